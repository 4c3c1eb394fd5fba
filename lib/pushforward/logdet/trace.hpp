#pragma once

// tr J exactly, for networks of up to two hidden layers, for one product per batch and no probe. With dₗ = φ′(aₗ) of a
// sample:
//
//   two hidden layers,  J = W₃D₂W₂D₁W₁:  tr J = d₂ᵀ M d₁,  M = W₂ ∘ (W₁W₃)ᵀ
//   one hidden layer,   J = W₂D₁W₁:      tr J = Σᵢ d₁ᵢ Kᵢᵢ,  tr J² = d₁ᵀ(K ∘ Kᵀ)d₁,  K = W₁W₂
//   none,               J = W:           tr J = tr W
//
// Reverse, with weight w of a sample: d̄₁ = w Mᵀd₂, d̄₂ = w M d₁, M̄ = Σ w d₂d₁ᵀ, W̄₂ = M̄ ∘ (W₁W₃)ᵀ, and with
// P̄ = (M̄ ∘ W₂)ᵀ the gradient with respect to W₁W₃: W̄₁ = P̄ W₃ᵀ, W̄₃ = W₁ᵀ P̄. For one layer the diagonal k of K has k̄ = Σ
// w d₁.

#include <pushforward/nn/network.hpp>

namespace pushforward::logdet {

template <class T>
class ExactTrace {
 public:
  /// The most hidden layers that it is for.
  static constexpr Index most_hidden = 2;

  /// Memory for up to n samples, from value() to add_to_reverse().
  ExactTrace(const nn::Network<T>& network, linalg::Workspace& kept, Index n);

  /// trace: (n) out, at the x of the network's last forward().
  void value(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> trace);
  /// Gradient of Σ wᵢ tr Jᵢ: to the weights in `gradient` (flat, added to), to x and all else by the state's slope_bar.
  /// weight: (n) or empty.
  void add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);

 private:
  void add_two_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);
  void add_one_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);

  MatrixView<T> inner_;     // W₁W₃ (h₁ × h₂)
  MatrixView<T> coupling_;  // M (h₂ × h₁)
  MatrixView<T> image_;     // M d₁ of each sample (h₂ × n)
  MatrixView<T> weighted_;  // w d₂ (h₂ × n)
  std::span<T> diagonal_;   // of K (h₁)
};

extern template class ExactTrace<float>;
extern template class ExactTrace<double>;

}  // namespace pushforward::logdet
