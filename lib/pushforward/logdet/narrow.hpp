#pragma once

// log|det(I + J)| and its gradient, exactly, by LU of a matrix as wide as a hidden layer h, r < d as a rule. Up to that
// layer J is B = D_h W_h … D₁W₁ (r × d), from there on A = W_L D_{L−1} … W_{h+1} (d × r), and
//
//   det(I_d + AB) = det(I_r + BA)                                          [Sylvester; van den Berg et al. 2018]
//
// BA is a walk of r tangents around the network, from hidden layer h back to it, by the matrices V = W_{h+1}, …, W_L,
// W₁, …, W_h in this order; where joins_ends() of cost.hpp says so, by P = W₁W_L in place of its two factors, formed
// once a batch:
//
//   τ₀ = I,  T̂ᵢ = Vᵢ τᵢ₋₁,  τᵢ = Dᵢ ∘ T̂ᵢ  (Dᵢ the slopes of the layer that Vᵢ leads to; none behind W_L),  BA = τ_end
//
// Each hop is one product for all tangents of all samples, and the first is none: T̂₁ = V₁. With one hidden layer that
// leaves I + D₁P.
//
// Reverse. d log|det| = tr(M d(BA)), M = (I + BA)⁻¹: with weight w of a sample τ̄_end = w Mᵀ, then back along the walk
//
//   d̄ᵢ = Σⱼ τ̄ᵢⱼ ∘ T̂ᵢⱼ,  T̄ᵢ = Dᵢ ∘ τ̄ᵢ,  V̄ᵢ = Σ T̄ᵢ τᵢ₋₁ᵀ,  τ̄ᵢ₋₁ = Vᵢᵀ T̄ᵢ;  at its end  W̄₁ += P̄ W_Lᵀ,  W̄_L += W₁ᵀ P̄
//
// Weights gain theirs at once, and d̄ are the slope_bar with which the network's reverse pass goes on: there are no
// pairs (u, v).

#include <pushforward/logdet/estimator.hpp>

#include <optional>

namespace pushforward::logdet {

template <class T>
class NarrowEstimator final : public Estimator<T> {
 public:
  /// Goes through hidden layer h (0-based).
  NarrowEstimator(const nn::NetworkOptions& network, Index h);

  double bias_bound(Index, double) const override { return 0; }
  Index tangents(const nn::Network<T>&) const override { return 0; }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;
  void add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                      std::span<const T> weight, std::span<T> gradient) const override;

 private:
  struct Hop {
    std::optional<Index> layer;   // whose weight is V; none for P
    std::optional<Index> slopes;  // the hidden layer that V leads to; none behind W_L
    Index rows = 0;               // of V
  };

  Index width_;  // r
  std::vector<Hop> walk_;
};

extern template class NarrowEstimator<float>;
extern template class NarrowEstimator<double>;

}  // namespace pushforward::logdet
