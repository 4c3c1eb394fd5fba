#include <pushforward/logdet/draws.hpp>

#include <bit>
#include <cmath>
#include <vector>

namespace pushforward::logdet {

namespace {

// Rows of v (d) are s_r · H(r, column), H(r, c) = (−1)^popcount(r & c).
template <class T>
void hadamard_set(const Draws& draws, Index i, Index m, MatrixView<T> v) {
  const Index d = v.rows();
  const auto size = static_cast<Index>(std::bit_ceil(static_cast<std::uint64_t>(d)));
  for (Index begin = 0; begin < m; begin += size) {
    auto signs = draws.stream(random::Purpose::probe, i, begin);
    const random::Permutation columns(signs.bits(), random::Purpose::probe, 0, size);
    std::vector<double> sign(d);
    for (double& s : sign) s = signs.rademacher();
    for (Index j = begin; j < std::min(begin + size, m); ++j) {
      const auto column = static_cast<std::uint64_t>(columns(j - begin));
      for (Index r = 0; r < d; ++r) {
        const bool negative = std::popcount(static_cast<std::uint64_t>(r) & column) % 2 == 1;
        v(r, i * m + j) = static_cast<T>(negative ? -sign[r] : sign[r]);
      }
    }
  }
}

// Inversion of the distribution function, term by term.
Index poisson(double rate, double uniform) {
  double term = std::exp(-rate), below = term;
  Index n = 0;
  while (uniform > below && term > 0) {
    ++n;
    term *= rate / static_cast<double>(n);
    below += term;
  }
  return n;
}

}  // namespace

Draws Draws::from(Index offset) const {
  Draws rest = *this;
  rest.first += offset;
  if (!samples.empty()) rest.samples = samples.subspan(offset);
  if (!steps.empty()) rest.steps = steps.subspan(offset);
  return rest;
}

template <class T>
void draw_probes(Probe kind, const Draws& draws, Index m, MatrixView<T> v) {
  for (Index i = 0; i < v.cols() / m; ++i) {
    if (kind == Probe::hadamard) {
      hadamard_set(draws, i, m, v);
      continue;
    }
    for (Index j = 0; j < m; ++j) {
      auto stream = draws.stream(random::Purpose::probe, i, j);
      const auto column = v.column_span(i * m + j);
      if (kind == Probe::rademacher) {
        stream.rademacher(column);
      } else {
        for (T& value : column) value = static_cast<T>(stream.normal());
      }
    }
  }
}

const NameTable<Probe>& probe_names() {
  static const NameTable<Probe> table("probe", {"rademacher", "gaussian", "hadamard"});
  return table;
}

void ProbeOptions::add_to(OptionSet& set) {
  set.add("probe", probe, "law of the probes", one_of(probe_names().names()))
      .add("probes", probes, "probes of each sample", between(1, 1'000'000));
}

void draw_lengths(const Lengths& law, const Draws& draws, std::span<Index> lengths) {
  const Index n = std::ssize(lengths) / law.samples;
  for (Index i = 0; i < n; ++i) {
    for (Index s = 0; s < law.samples; ++s) {
      Draws mine = draws;
      if (law.per_step) {
        mine = {.seed = draws.seed, .step = draws.step_of(i), .block = draws.block};
      }
      auto stream = mine.stream(random::Purpose::roulette, law.per_step ? 0 : i, s);
      const double u = stream.uniform();
      lengths[i * law.samples + s] = law.law == Lengths::Law::poisson
                                         ? poisson(law.parameter, u)
                                         : 1 + static_cast<Index>(std::floor(std::log(u) / std::log1p(-law.parameter)));
    }
  }
}

double survival(const Lengths& law, Index j) {
  if (j <= 0) return 1;
  if (law.law == Lengths::Law::geometric) return std::pow(1 - law.parameter, static_cast<double>(j - 1));
  const double rate = law.parameter;
  // P(N ≥ j) = Σ_{n ≥ j} e^{−λ}λⁿ/n!, summed from its largest term on the safe side of cancellation.
  double term = std::exp(static_cast<double>(j) * std::log(rate) - rate - std::lgamma(static_cast<double>(j) + 1));
  double sum = 0;
  for (Index n = j; n < j + 10'000 && term > sum * 1e-18; ++n) {
    sum += term;
    term *= rate / static_cast<double>(n + 1);
  }
  return std::min(sum, 1.0);
}

template void draw_probes(Probe, const Draws&, Index, MatrixView<float>);
template void draw_probes(Probe, const Draws&, Index, MatrixView<double>);

}  // namespace pushforward::logdet
