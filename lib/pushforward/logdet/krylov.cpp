#include <pushforward/logdet/hessenberg.hpp>
#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/probe_mean.hpp>
#include <pushforward/logdet/trace.hpp>

#include <cmath>
#include <optional>

namespace pushforward::logdet {

namespace {

template <class T>
struct KrylovState final : Estimator<T>::State {
  KrylovState(const nn::Network<T>& network, const Method& method, linalg::Workspace& kept, linalg::Workspace& scratch,
              Index n)
      : probes(kept.matrix<T>(network.in(), n * method.probes)),
        values(scratch.take<double>(n * method.probes)),
        trace_values(scratch.take<double>(n)),
        hessenberg(scratch.take<double>(n * method.probes * (method.terms + 1) * method.terms)),
        work(scratch.take<double>((method.terms + 1) * (method.terms + 2))),
        solution(scratch.take<double>(method.terms)) {
    if (method.kind == Kind::trace_krylov) trace.emplace(network, kept, n);
    for (Index k = 0; k <= method.terms; ++k) basis.push_back(scratch.matrix<T>(network.in(), n * method.probes));
  }

  MatrixView<T> probes;              // v: (d × n·m)
  std::vector<MatrixView<T>> basis;  // qₖ of each probe: (d × n·m)
  std::span<double> values, trace_values, hessenberg, work, solution;
  std::optional<ExactTrace<T>> trace;
};

// One step: w = A qₖ stands in the place of qₖ₊₁; orthogonalised twice against all before it, normalised. A basis that
// is complete goes on with zeros, which change nothing.
template <class T>
void orthogonalise(std::span<const MatrixView<T>> basis, Index k, Index column, MatrixView<double> h) {
  const auto w = basis[static_cast<std::size_t>(k + 1)];
  const auto norm = [&] { return std::sqrt(column_dot<T>(w, w, column)); };
  const double before = norm();
  for (int pass = 0; pass < 2; ++pass) {
    for (Index l = 0; l <= k; ++l) {
      const auto q = basis[static_cast<std::size_t>(l)];
      const double along = column_dot<T>(q, w, column);
      h(l, k) += along;
      for (Index r = 0; r < w.rows(); ++r) w(r, column) -= static_cast<T>(along) * q(r, column);
    }
  }
  const double length = norm();
  const bool complete = !(length > 16 * static_cast<double>(std::numeric_limits<T>::epsilon()) * before);
  h(k + 1, k) = complete ? 0 : length;
  for (Index r = 0; r < w.rows(); ++r) w(r, column) = complete ? T(0) : static_cast<T>(w(r, column) / length);
}

}  // namespace

template <class T>
KrylovEstimator<T>::KrylovEstimator(const Method& method, const nn::NetworkOptions& network) : method_(method) {
  require<OptionError>(method.terms <= network.in,
                       "log-det method {}: {} Arnoldi steps for dimension {}: at most as many", to_string(method),
                       method.terms, network.in);
  require<OptionError>(
      method.kind == Kind::krylov || std::ssize(network.hidden) <= ExactTrace<T>::most_hidden,
      "log-det method {}: the exact trace is for at most {} hidden layers, not {}; use krylov or exact",
      to_string(method), ExactTrace<T>::most_hidden, network.hidden.size());
}

template <class T>
std::unique_ptr<typename Estimator<T>::State> KrylovEstimator<T>::plan(const nn::Network<T>& network,
                                                                       linalg::Workspace& kept,
                                                                       linalg::Workspace& scratch, Index n,
                                                                       nn::Purpose) const {
  return std::make_unique<KrylovState<T>>(network, method_, kept, scratch, n);
}

template <class T>
void KrylovEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                  typename Estimator<T>::State& state, const Draws& draws,
                                  const Estimate& result) const {
  auto& s = static_cast<KrylovState<T>&>(state);
  const Index d = network.in(), n = passes.samples(), m = method_.probes, columns = n * m, steps = method_.terms;
  const auto v = s.probes.columns(0, columns);
  draw_probes(method_.probe, draws, m, v);
  const auto hessenberg = [&](Index column) {
    return MatrixView<double>(s.hessenberg.data() + column * (steps + 1) * steps, steps + 1, steps);
  };
  std::fill_n(s.hessenberg.data(), columns * (steps + 1) * steps, 0.0);

  for (Index c = 0; c < columns; ++c) {
    const double length = std::sqrt(column_dot<T>(v, v, c));
    for (Index r = 0; r < d; ++r) s.basis[0](r, c) = static_cast<T>(v(r, c) / length);
  }
  for (Index k = 0; k < steps; ++k) {
    const auto at = static_cast<std::size_t>(k);
    network.cotangent(passes, s.basis[at].columns(0, columns), m, s.basis[at + 1].columns(0, columns));
    for (Index c = 0; c < columns; ++c) orthogonalise<T>(s.basis, k, c, hessenberg(c));
  }

  const bool rest = method_.kind == Kind::trace_krylov;
  if (rest) s.trace->value(network, passes, s.trace_values.first(static_cast<std::size_t>(n)));
  for (Index c = 0; c < columns; ++c) {
    const auto h = hessenberg(c);
    const double square = column_dot<T>(v, v, c);
    double value = log_form(h.block(0, 0, steps, steps), s.work);
    if (rest) value -= h(0, 0);
    s.values[static_cast<std::size_t>(c)] =
        square * value + (rest ? s.trace_values[static_cast<std::size_t>(c / m)] : 0);
  }
  average_probes(std::span<const double>(s.values).first(static_cast<std::size_t>(columns)), m, result);
  std::fill(result.products.begin(), result.products.end(), m * steps);
  if (passes.purpose() != nn::Purpose::gradient) return;

  const auto u = passes.tangent_seed(m);
  for (Index c = 0; c < columns; ++c) {
    solve_shifted(hessenberg(c), std::sqrt(column_dot<T>(v, v, c)), s.solution, s.work);
    for (Index r = 0; r < d; ++r) {
      double sum = rest ? -static_cast<double>(v(r, c)) : 0;
      for (Index k = 0; k < steps; ++k) {
        sum +=
            s.solution[static_cast<std::size_t>(k)] * static_cast<double>(s.basis[static_cast<std::size_t>(k)](r, c));
      }
      u(r, c) = static_cast<T>(sum / static_cast<double>(m));
    }
  }
  // Only the tangents that the pass leaves behind are wanted; Jv goes where the basis is no longer needed.
  network.tangent(passes, nn::Directions<T>::given(v, m), s.basis[0].columns(0, columns));
}

template <class T>
void KrylovEstimator<T>::add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                        typename Estimator<T>::State& state, std::span<const T> weight,
                                        std::span<T> gradient) const {
  auto& s = static_cast<KrylovState<T>&>(state);
  if (s.trace) s.trace->add_to_reverse(network, passes, weight, gradient);
}

template class KrylovEstimator<float>;
template class KrylovEstimator<double>;

}  // namespace pushforward::logdet
