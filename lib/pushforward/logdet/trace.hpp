#pragma once

// The first terms of log det(I + J) = tr J − ½ tr J² + … exactly, for networks of up to two hidden layers, for one
// product per batch and no probe. With dₗ = φ′(aₗ) of a sample:
//
//   two hidden layers,  J = W₃D₂W₂D₁W₁:  tr J = d₂ᵀ M d₁,  M = W₂ ∘ (W₁W₃)ᵀ
//   one hidden layer,   J = W₂D₁W₁:      tr J = Σᵢ d₁ᵢ Kᵢᵢ,  tr J² = d₁ᵀ(K ∘ Kᵀ)d₁,  K = W₁W₂
//   none,               J = W:           tr J = tr W
//
// The formula for tr J² follows from tr J² = tr(D₁KD₁K) = Σᵢⱼ d₁ᵢ Kᵢⱼ d₁ⱼ Kⱼᵢ. It takes a product with an (h × h)
// matrix per sample, where h is the hidden width: h/2d of a product with J.
//
// Reverse, with weight w of a sample:
//   tr J of two     d̄₁ = w Mᵀd₂, d̄₂ = w M d₁, M̄ = Σ w d₂d₁ᵀ, W̄₂ = M̄ ∘ (W₁W₃)ᵀ, and with P̄ = (M̄ ∘ W₂)ᵀ the gradient
//                   with respect to W₁W₃: W̄₁ = P̄ W₃ᵀ, W̄₃ = W₁ᵀ P̄.
//   tr J of one     d̄₁ = w diag K, and K̄ is diagonal: K̄ᵢᵢ = Σ w d₁ᵢ.
//   tr J² of one    K ∘ Kᵀ is symmetric: d̄₁ = 2w (K ∘ Kᵀ)d₁, and with S = Σ w d₁d₁ᵀ,
//                   d Σ w tr J² = Σᵢⱼ Sᵢⱼ d(KᵢⱼKⱼᵢ), so that K̄ = 2 S ∘ Kᵀ.
//   of K            W̄₁ = K̄W₂ᵀ, W̄₂ = W₁ᵀK̄.

#include <pushforward/nn/network.hpp>

namespace pushforward::logdet {

template <class T>
class ExactTrace {
 public:
  /// The largest number of hidden layers.
  static constexpr Index most_hidden = 2;
  /// The number of terms that are possible for a network: 2 with one hidden layer, 1 otherwise.
  static Index most_terms(const nn::NetworkOptions& network) { return network.hidden.size() == 1 ? 2 : 1; }

  /// terms: 1, tr J; or 2, tr J − ½ tr J². Memory for up to n samples, from value() to add_to_reverse().
  ExactTrace(const nn::Network<T>& network, linalg::Workspace& kept, Index n, Index terms);

  /// sum: (n) out, of the terms, at the x of the network's last forward().
  void value(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> sum);
  /// Gradient of Σ wᵢ sumᵢ: to the weights in `gradient` (flat, added to), to x and all else by the state's slope_bar.
  /// weight: (n) or empty. Once after each value().
  void add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);

 private:
  void value_linear(const nn::Network<T>& network, std::span<double> sum);
  void value_one_hidden(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> sum);
  void value_two_hidden(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> sum);
  void add_linear(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                  std::span<T> gradient);
  void add_one_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);
  void add_two_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                      std::span<T> gradient);
  // One hidden layer has these for tr J² only.
  MatrixView<T> inner_;     // (W₁W₃)ᵀ (h₂ × h₁), or K (h₁ × h₁)
  MatrixView<T> coupling_;  // M, or K ∘ Kᵀ, likewise
  MatrixView<T> image_;     // M d₁ of each sample (h₂ × n), or (K ∘ Kᵀ)d₁ (h₁ × n)
  MatrixView<T> weighted_;  // w d₂ (h₂ × n), or w d₁ (h₁ × n)
  std::span<T> diagonal_;   // of K (h₁)
  bool square_;             // tr J² is wanted
};

extern template class ExactTrace<float>;
extern template class ExactTrace<double>;

}  // namespace pushforward::logdet
