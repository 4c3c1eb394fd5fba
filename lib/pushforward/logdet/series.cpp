#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/logdet/probe_mean.hpp>
#include <pushforward/logdet/series.hpp>

#include <cmath>

namespace pushforward::logdet {

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
  SeriesState(const nn::Network<T>& network, const Method& method, linalg::Workspace& kept, linalg::Workspace& scratch,
              Index n, nn::Pass pass)
      : power(scratch.matrix<T>(network.in(), n * method.probes)),
        next(scratch.matrix<T>(network.in(), n * method.probes)),
        values(scratch.take<double>(n * method.probes)),
        lengths(scratch.take<Index>(n * method.samples)) {
    const bool pairs = pass == nn::Pass::gradient && method.kind == Kind::series;
    probes = kept.matrix<T>(network.in(), n * method.probes);
    directions = kept.matrix<T>(network.in(), pairs ? n * method.probes * method.terms : 0);
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
  RouletteWeight(const Method& method, std::span<const Index> lengths, Index k)
      : lengths_(lengths),
        samples_(method.samples),
        beyond_(k - method.exact_terms),
        scale_(beyond_ <= 0 ? 1 : 1 / (static_cast<double>(samples_) * survival(method, beyond_))) {}

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
  return std::make_unique<SeriesState<T>>(network, method_, kept, scratch, n, pass);
}

template <class T>
void SeriesEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                  typename Estimator<T>::State& state, const Draws& draws,
                                  const Estimate& result) const {
  auto& s = static_cast<SeriesState<T>&>(state);
  const Index n = passes.samples(), m = method_.probes, columns = n * m;
  const bool truncated = method_.kind == Kind::series, gradient = passes.pass() == nn::Pass::gradient;
  const auto v = s.probes.columns(0, columns);
  const auto lengths = s.lengths.first(n * method_.samples);
  auto power = s.power.columns(0, columns), next = s.next.columns(0, columns);
  draw_probes(method_.probe, draws, m, v);
  if (!truncated) draw_lengths(method_, draws, lengths);

  Index longest = method_.terms;
  if (!truncated) {
    longest = 0;
    for (const Index length : lengths) longest = std::max(longest, length);
    longest += method_.exact_terms;
  }
  // Column of pair j of probe c: the pairs of a sample are adjacent.
  const Index terms = method_.terms;
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
    const RouletteWeight weight_of(method_, lengths, k);
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
      const double w = truncated ? 1 : weight_of(c / m);
      if (w != 0) values[c] += w * sign_of(k) / static_cast<double>(k) * linalg::column_dot<T>(v, power, c);
    }
  }
  average_probes(values, m, result);
  for (Index i = 0; i < n; ++i) {
    Index mine = longest;
    if (!truncated) {
      const auto drawn = lengths.subspan(i * method_.samples, method_.samples);
      mine = method_.exact_terms + *std::max_element(drawn.begin(), drawn.end());
    }
    result.products[i] = m * mine;
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
  const PhaseScope scope(Phase::lu, static_cast<double>(n * (method_.terms - 1)) * linalg::gemm_flops(d, d, d));
  for (Index i = 0; i < n; ++i) {
    const auto j = s.jacobians.columns(i * d, d);
    auto power = s.power, next = s.next;  // Jᵏ⁻¹
    for (Index c = 0; c < d; ++c) {
      std::fill_n(power.column(c), d, T(0));
      power(c, c) = 1;
    }
    double value = 0;
    for (Index k = 1; k <= method_.terms; ++k) {
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
      if (k == method_.terms) break;
      linalg::gemm(linalg::Op::none, linalg::Op::none, T(1), power, j, T(0), next);
      std::swap(power, next);
    }
    const auto at = static_cast<std::size_t>(i);
    result.value[at] = value;
    result.variance[at] = 0;
    result.sign[at] = std::isfinite(value) ? linalg::Sign(1) : linalg::Sign(0);
    result.products[at] = d * method_.terms;
  }
}

template class SeriesEstimator<float>;
template class SeriesEstimator<double>;
template class DenseSeriesEstimator<float>;
template class DenseSeriesEstimator<double>;

}  // namespace pushforward::logdet
