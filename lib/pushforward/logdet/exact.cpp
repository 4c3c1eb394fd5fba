#include <pushforward/core/timer.hpp>
#include <pushforward/logdet/exact.hpp>

namespace pushforward::logdet {

OptionSet ExactOptions::declare() {
  OptionSet set;
  set.add("through", through,
          "whose matrix is decomposed: that of the input, that of the narrowest hidden layer, or "
          "the one that takes fewer operations",
          one_of({"cheaper", "input", "narrowest"}));
  return set;
}

template <class T>
ExactLogDet<T>::ExactLogDet(linalg::Workspace& scratch, Index d, Index n)
    : d_(d), jacobians_(scratch.matrix<T>(d, d * n)), pivots_(scratch.take<int>(d * n)) {}

template <class T>
void ExactLogDet<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& state, std::span<double> log_det,
                              std::span<linalg::Sign> sign) {
  n_ = std::ssize(log_det);
  const auto jacobians = jacobians_.columns(0, d_ * n_);
  const auto pivots = pivots_.first(d_ * n_);
  network.tangent(state, nn::Directions<T>::identity(d_), jacobians);
  const bool gradient = state.pass() == nn::Pass::gradient;
  const double cube = static_cast<double>(d_ * d_ * d_) * static_cast<double>(n_);
  const PhaseScope scope(Phase::lu, (gradient ? 8.0 / 3.0 : 2.0 / 3.0) * cube);
  for (Index i = 0; i < n_; ++i) {
    for (Index j = 0; j < d_; ++j) jacobians(j, i * d_ + j) += T(1);
  }
  linalg::lu_log_det(jacobians, pivots, log_det, sign);
  if (gradient) linalg::lu_inverse_transpose(jacobians, pivots, sign, state.tangent_seed(d_));
}

template <class T>
void ExactLogDet<T>::solve(MatrixView<T> b) const {
  const PhaseScope scope(Phase::lu, 2.0 * static_cast<double>(d_ * d_ * n_));
  for (Index i = 0; i < n_; ++i) {
    linalg::lu_solve(jacobians_.columns(i * d_, d_), pivots_.subspan(i * d_, d_), b.columns(i, 1));
  }
}

namespace {

template <class T>
struct ExactState final : Estimator<T>::State {
  ExactState(linalg::Workspace& scratch, Index d, Index n) : exact(scratch, d, n) {}
  ExactLogDet<T> exact;
};

}  // namespace

template <class T>
std::unique_ptr<typename Estimator<T>::State> ExactEstimator<T>::plan(const nn::Network<T>& network, linalg::Workspace&,
                                                                      linalg::Workspace& scratch, Index n,
                                                                      nn::Pass) const {
  return std::make_unique<ExactState<T>>(scratch, network.in(), n);
}

template <class T>
void ExactEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                 typename Estimator<T>::State& state, const Draws&, const Estimate& result) const {
  static_cast<ExactState<T>&>(state).exact.estimate(network, passes, result.value, result.sign);
  std::fill(result.variance.begin(), result.variance.end(), 0.0);
  std::fill(result.products.begin(), result.products.end(), network.in());
}

template class ExactLogDet<float>;
template class ExactLogDet<double>;
template class ExactEstimator<float>;
template class ExactEstimator<double>;

}  // namespace pushforward::logdet
