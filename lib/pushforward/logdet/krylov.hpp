#pragma once

// Arnoldi on one probe at a time. With A = Jᵀ, A Q_m = Q_{m+1}H̄ from q₁ = v/‖v‖:
//
//   value  vᵀ log(I + J) v ≈ ‖v‖² e₁ᵀ log(I + H_m) e₁
//   pair   u ≈ (I + J)⁻ᵀ v in the span of Q_m by GMRES on the same basis, with v
//
// With the exact trace only the rest is left to the probe: tr J + vᵀ(log(I + J) − J)v, and the pair (u − v, v).

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

template <class T>
class KrylovEstimator final : public Estimator<T> {
 public:
  /// Kind::krylov or Kind::trace_krylov; method.terms Arnoldi steps, at most the width of the network.
  KrylovEstimator(const Method& method, const nn::NetworkOptions& network);

  const Method& method() const override { return method_; }
  /// vᵀJᵏv and ‖v‖²e₁ᵀHᵏe₁ agree for k ≤ m, and what is beyond is at most ‖v‖²Σₖ cᵏ/k in either; E‖v‖² = d. With a
  /// tolerance a probe may stop after two steps.
  double bias_bound(Index d, double lipschitz) const override {
    if (method_.terms == d && method_.tolerance == 0) return 0;
    return 2 * truncation_bound(d, lipschitz, method_.tolerance > 0 ? std::min<Index>(2, d) : method_.terms);
  }
  Index tangents(const nn::Network<T>&) const override { return method_.probes; }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n,
                                                     nn::Purpose purpose) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;
  void add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                      std::span<const T> weight, std::span<T> gradient) const override;

 private:
  Method method_;
};

extern template class KrylovEstimator<float>;
extern template class KrylovEstimator<double>;

}  // namespace pushforward::logdet
