#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/logdet/probe_mean.hpp>
#include <pushforward/logdet/series.hpp>

#include <cmath>

namespace pushforward::logdet {

OptionSet SeriesOptions::declare() {
  OptionSet set;
  set.add("terms", terms, "terms of the series", between(1, 1'000'000))
      .add("trace", trace, "traces by probes, or exact ones by powers of the dense J", one_of({"probes", "exact"}));
  add_to(set);
  return set.only_with("probe", "trace", {"probes"}).only_with("probes", "trace", {"probes"});
}

void RandomSeriesOptions::add_lengths_to(OptionSet& set) {
  set.add("exact", exact, "terms that are always there", between(0, 1'000'000))
      .add("samples", samples, "lengths of each sample, whose weights are averaged", between(1, 1'000'000))
      .add("length", length, "whether lengths are drawn for each sample, or once for all samples of a step",
           one_of({"sample", "step"}));
  add_to(set);
}

Lengths RandomSeriesOptions::lengths(Lengths::Law law, double parameter) const {
  return {.law = law, .parameter = parameter, .exact = exact, .samples = samples, .per_step = length == "step"};
}

OptionSet RouletteOptions::declare() {
  OptionSet set;
  set.add("p", p,
          "chance to stop after each term beyond the exact ones; without it 1 - c, which is safe, for blocks of "
          "Lipschitz constant c",
          strictly_between(0, 1));
  add_lengths_to(set);
  return set;
}

void RouletteOptions::settle(const nn::NetworkOptions& network) {
  if (p > 0) return;
  require<OptionError>(network.lipschitz < 1, "no p is safe for a Lipschitz constant of {}", network.lipschitz);
  const double room = 1 - network.lipschitz, scale = std::pow(10.0, 3 - std::floor(std::log10(room)));
  p = std::floor(scale * room * (1 + 1e-9)) / scale;
}

std::string RouletteOptions::warning(double lipschitz) const {
  if (p <= 1 - lipschitz * lipschitz) return "";
  return fmt::format(
      "the variance is infinite where an eigenvalue of J reaches {:.3g}, and a block may have {:.3g}; p ≤ {:.3g} is "
      "safe",
      std::sqrt(1 - p), lipschitz, 1 - lipschitz);
}

OptionSet PoissonOptions::declare() {
  OptionSet set;
  set.add("rate", rate, "mean number of terms beyond the exact ones",
          {"more than 0 and at most 1000", [](double r) { return r > 0 && r <= 1000; }, {}});
  add_lengths_to(set);
  return set;
}

namespace {

// (−1)ᵏ⁺¹.
double sign_of(Index k) {
  return k % 2 == 1 ? 1 : -1;
}

template <class T>
void copy(ConstMatrixView<T> from, MatrixView<T> to) {
  for (Index j = 0; j < from.cols(); ++j) std::copy_n(from.column(j), from.rows(), to.column(j));
}

// to += factor · from, one column each.
template <class T>
void add_column(double factor, ConstMatrixView<T> from, Index from_column, MatrixView<T> to, Index to_column) {
  const T f = static_cast<T>(factor);
  for (Index r = 0; r < from.rows(); ++r) to(r, to_column) += f * from(r, from_column);
}

template <class T>
struct SeriesState final : Estimator<T>::State {
  // terms: the pairs of a probe that are kept.
  SeriesState(Index d, Index probes_of_all, Index terms, Index lengths_of_all, linalg::Workspace& kept,
              linalg::Workspace& scratch)
      : power(scratch.matrix<T>(d, probes_of_all)),
        next(scratch.matrix<T>(d, probes_of_all)),
        values(scratch.take<double>(probes_of_all)),
        lengths(scratch.take<Index>(lengths_of_all)) {
    probes = kept.matrix<T>(d, probes_of_all);
    directions = kept.matrix<T>(d, probes_of_all * terms);
  }

  MatrixView<T> probes;       // v: (d × n·m)
  MatrixView<T> directions;   // vⱼ of a truncated series: (d × n·m·N)
  MatrixView<T> power, next;  // Aᵏv: (d × n·m)
  std::span<double> values;
  std::span<Index> lengths;
};

// wₖ of all samples.
class RouletteWeight {
 public:
  RouletteWeight(const Lengths& law, std::span<const Index> lengths, Index k)
      : lengths_(lengths),
        samples_(law.samples),
        beyond_(k - law.exact),
        scale_(beyond_ <= 0 ? 1 : 1 / (static_cast<double>(samples_) * survival(law, beyond_))) {}

  double operator()(Index i) const {
    if (beyond_ <= 0) return 1;
    Index reached = 0;
    for (Index s = 0; s < samples_; ++s) {
      reached += lengths_[i * samples_ + s] >= beyond_ ? 1 : 0;
    }
    return reached == 0 ? 0 : static_cast<double>(reached) * scale_;
  }

 private:
  std::span<const Index> lengths_;
  Index samples_, beyond_;
  double scale_;
};

}  // namespace

template <class T>
std::unique_ptr<typename Estimator<T>::State> SeriesEstimator<T>::plan(const nn::Network<T>& network,
                                                                       linalg::Workspace& kept,
                                                                       linalg::Workspace& scratch, Index n,
                                                                       nn::Pass pass) const {
  const Index pairs = pass == nn::Pass::gradient ? terms_ : 0, samples = lengths_ ? lengths_->samples : 0;
  return std::make_unique<SeriesState<T>>(network.in(), n * probes_, pairs, n * samples, kept, scratch);
}

template <class T>
void SeriesEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                  typename Estimator<T>::State& state, const Draws& draws,
                                  const Estimate& result) const {
  auto& s = static_cast<SeriesState<T>&>(state);
  const Index n = passes.samples(), m = probes_, columns = n * m;
  const bool truncated = !lengths_, gradient = passes.pass() == nn::Pass::gradient;
  const auto v = s.probes.columns(0, columns);
  // A truncated series takes all of its weights from a law without random terms.
  const Lengths law = lengths_.value_or(Lengths{.exact = terms_, .samples = 0});
  const auto lengths = s.lengths.first(n * law.samples);
  auto power = s.power.columns(0, columns), next = s.next.columns(0, columns);
  draw_probes(probe_, draws, m, v);
  if (!truncated) draw_lengths(law, draws, lengths);

  Index longest = 0;
  for (const Index length : lengths) longest = std::max(longest, length);
  longest += law.exact;
  // Column of pair j of probe c: the pairs of a sample are adjacent.
  const Index terms = terms_;
  const auto pair_column = [&](Index c, Index j) { return truncated ? c * terms + j : c; };

  if (gradient && truncated) {
    copy<T>(v, power);
    for (Index j = 0; j < terms; ++j) {
      for (Index c = 0; c < columns; ++c)
        std::copy_n(power.column(c), v.rows(), s.directions.column(pair_column(c, j)));
      if (j + 1 == terms) break;
      network.tangent(passes, nn::Directions<T>::given(power, m), next);
      std::swap(power, next);
    }
  }
  const auto u = gradient ? passes.tangent_seed(tangents(network)) : MatrixView<T>();
  for (Index j = 0; j < u.cols(); ++j) std::fill_n(u.column(j), u.rows(), T(0));

  const auto values = s.values.first(columns);
  std::fill(values.begin(), values.end(), 0.0);
  copy<T>(v, power);
  for (Index k = 1; k <= longest; ++k) {
    const RouletteWeight weight_of(law, lengths, k);
    // power is Aᵏ⁻¹v: its part in the gradient, then the next power and its part in the value.
    for (Index c = 0; gradient && c < columns; ++c) {
      if (truncated) {
        for (Index j = 0; j + k <= terms; ++j) {
          add_column<T>(sign_of(k + j) / static_cast<double>((k + j) * m), power, c, u, pair_column(c, j));
        }
      } else if (const double w = weight_of(c / m); w != 0) {
        add_column<T>(w * sign_of(k) / static_cast<double>(m), power, c, u, c);
      }
    }
    network.cotangent(passes, power, m, next);
    std::swap(power, next);
    for (Index c = 0; c < columns; ++c) {
      const double w = weight_of(c / m);
      if (w != 0) values[c] += w * sign_of(k) / static_cast<double>(k) * linalg::column_dot<T>(v, power, c);
    }
  }
  average_probes(values, m, result);
  for (Index i = 0; i < n; ++i) {
    const auto drawn = lengths.subspan(i * law.samples, law.samples);
    result.products[i] = m * (law.exact + (truncated ? 0 : *std::max_element(drawn.begin(), drawn.end())));
  }
  if (!gradient) return;
  const auto directions = truncated ? s.directions.columns(0, columns * terms) : v;
  network.tangent(passes, nn::Directions<T>::given(directions, tangents(network)), {});
}

namespace {

template <class T>
struct DenseSeriesState final : Estimator<T>::State {
  DenseSeriesState(const nn::Network<T>& network, linalg::Workspace& scratch, Index n)
      : jacobians(scratch.matrix<T>(network.in(), network.in() * n)),
        power(scratch.matrix<T>(network.in(), network.in())),
        next(scratch.matrix<T>(network.in(), network.in())) {}
  MatrixView<T> jacobians, power, next;
};

}  // namespace

template <class T>
std::unique_ptr<typename Estimator<T>::State> DenseSeriesEstimator<T>::plan(const nn::Network<T>& network,
                                                                            linalg::Workspace&,
                                                                            linalg::Workspace& scratch, Index n,
                                                                            nn::Pass) const {
  return std::make_unique<DenseSeriesState<T>>(network, scratch, n);
}

template <class T>
void DenseSeriesEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                       typename Estimator<T>::State& state, const Draws&,
                                       const Estimate& result) const {
  auto& s = static_cast<DenseSeriesState<T>&>(state);
  const Index d = network.in(), n = passes.samples();
  const bool gradient = passes.pass() == nn::Pass::gradient;
  network.tangent(passes, nn::Directions<T>::identity(d), s.jacobians.columns(0, d * n));
  const PhaseScope scope(Phase::lu, static_cast<double>(n * (terms_ - 1)) * linalg::gemm_flops(d, d, d));
  for (Index i = 0; i < n; ++i) {
    const auto j = s.jacobians.columns(i * d, d);
    auto power = s.power, next = s.next;  // Jᵏ⁻¹
    for (Index c = 0; c < d; ++c) {
      std::fill_n(power.column(c), d, T(0));
      power(c, c) = 1;
    }
    double value = 0;
    for (Index k = 1; k <= terms_; ++k) {
      for (Index c = 0; gradient && c < d; ++c) {
        const auto u = passes.tangent_seed(d).columns(i * d, d);
        for (Index r = 0; r < d; ++r) {
          const T term = static_cast<T>(sign_of(k)) * power(c, r);
          u(r, c) = k == 1 ? term : u(r, c) + term;
        }
      }
      double trace = 0;
      for (Index c = 0; c < d; ++c) {
        for (Index r = 0; r < d; ++r) trace += static_cast<double>(power(c, r)) * static_cast<double>(j(r, c));
      }
      value += sign_of(k) / static_cast<double>(k) * trace;
      if (k == terms_) break;
      linalg::gemm(linalg::Op::none, linalg::Op::none, T(1), power, j, T(0), next);
      std::swap(power, next);
    }
    const auto at = static_cast<std::size_t>(i);
    result.value[at] = value;
    result.variance[at] = 0;
    result.sign[at] = std::isfinite(value) ? linalg::Sign(1) : linalg::Sign(0);
    result.products[at] = d * terms_;
  }
}

template class SeriesEstimator<float>;
template class SeriesEstimator<double>;
template class DenseSeriesEstimator<float>;
template class DenseSeriesEstimator<double>;

}  // namespace pushforward::logdet
