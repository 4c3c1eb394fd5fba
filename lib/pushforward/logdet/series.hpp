#pragma once

// Power series log det(I + J) = Σₖ (−1)ᵏ⁺¹/k tr Jᵏ, its traces by probes, truncated or by Russian roulette.
//
// With v a probe and A = Jᵀ, qₖ = vᵀAᵏv is an unbiased estimate of tr Jᵏ.
//
// series. The value is Σₖ≤N cₖ qₖ with cₖ = (−1)ᵏ⁺¹/k. Its gradient is that of this sum:
//   dqₖ = Σ_{i+j=k−1} (Aⁱv)ᵀ dJ (Jʲv), so that the pairs are vⱼ = Jʲv, uⱼ = Σᵢ c_{i+j+1} Aⁱv, j < N.
//
// roulette. The value is Σₖ wₖ cₖ qₖ with wₖ = 1[N ≥ k]/P(N ≥ k), or the mean of these weights if several lengths are
//   drawn. Its gradient is the Neumann series with the same weights [Chen et al. 2019, Theorem 2]: one pair,
//   u = Σₖ wₖ (−1)ᵏ⁺¹ Aᵏ⁻¹v with v, in memory that does not depend on the number of terms. The value comes from the
//   products of the series, and is not computed as vᵀJu.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

template <class T>
class SeriesEstimator final : public Estimator<T> {
 public:
  /// Kind::series without exact traces, Kind::roulette or Kind::poisson.
  explicit SeriesEstimator(const Method& method) : method_(method) {}

  const Method& method() const override { return method_; }
  double bias_bound(Index d, double lipschitz) const override {
    return method_.kind == Kind::series ? truncation_bound(d, lipschitz, method_.terms) : 0;
  }
  Index tangents(const nn::Network<T>&) const override {
    return method_.kind == Kind::series ? method_.terms * method_.probes : method_.probes;
  }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;

 private:
  Method method_;
};

/// The truncated series with exact traces: powers of the dense J, a d × d product for each sample and term. The
/// pairs are V = I, U = Σₖ (−1)ᵏ⁺¹ (Jᵀ)ᵏ⁻¹.
template <class T>
class DenseSeriesEstimator final : public Estimator<T> {
 public:
  explicit DenseSeriesEstimator(const Method& method) : method_(method) {}

  const Method& method() const override { return method_; }
  double bias_bound(Index d, double lipschitz) const override { return truncation_bound(d, lipschitz, method_.terms); }
  Index tangents(const nn::Network<T>& network) const override { return network.in(); }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;

 private:
  Method method_;
};

extern template class SeriesEstimator<float>;
extern template class SeriesEstimator<double>;
extern template class DenseSeriesEstimator<float>;
extern template class DenseSeriesEstimator<double>;

}  // namespace pushforward::logdet
