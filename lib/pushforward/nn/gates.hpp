#pragma once

// Gates of hidden layers. Some values τ of a context, such as features of time, scale and shift the pre-activations of
// hidden layer l [as the ConcatSquash layers of Grathwohl et al. 2019 do],
//
//   a = γ ∘ p + V τ + b,   p = W h,   γ = 2σ(G τ),
//
// so 0 < γ < 2, and γ = 1 in a fresh network, whose G is zero. The first hidden layer has no V of its own, because the
// context enters there in any case.
//
// Passes. For tangents, the gate is a part of the slope: τ′ = c ∘ W τ with c = γ ∘ φ′(a). For the reverse pass,
// c = γ ∘ φ′ and e = γ² ∘ φ″ stand where a layer without gates has φ′ and φ″. With R = W τ the tangents before the
// gate, reverse_activation() (activation.hpp) then gives
//
//   R̄ = c ∘ τ̄   and   c ∘ h̄ + e ∘ Σ τ̄ ∘ R = γ ∘ (φ′ ∘ h̄ + φ″ ∘ γ ∘ Σ τ̄ ∘ R) = γ ∘ ā = p̄,
//
// the cotangents of products with W, as it does without gates. Those of the gates follow from them:
//
//   ā = p̄/γ,   b̄ = Σ ā,   V̄ = Σ ā τᵀ,   Ḡ = Σ ((1 − γ/2) ∘ (p̄ ∘ p + Σ R̄ ∘ R + c ∘ c̄′)) τᵀ,
//
// where c̄′ are further cotangents of c, and 1 − γ/2 = (dγ/dg)/γ for γ = 2σ(g).

#include <pushforward/nn/parameters.hpp>

#include <optional>

namespace pushforward::nn {

/// The inputs of the gradient of a layer's gates, for n samples with k tangents each. All are read only.
template <class T>
struct GateTape {
  ConstMatrixView<T> gate;         ///< γ (w × n)
  ConstMatrixView<T> product;      ///< p (w × n)
  ConstMatrixView<T> product_bar;  ///< [p̄ | R̄] (w × n(1 + k))
  ConstMatrixView<T> tangents;     ///< R (w × n·k), or (w × k) if it is the same for every sample
  ConstMatrixView<T> slope;        ///< c (w × n)
  ConstMatrixView<T> slope_bar;    ///< c̄′ (w × n), or empty
};

template <class T>
class Gates {
 public:
  /// Adds `<path>/gate` (w × values), and `<path>/shift` likewise if the layer shifts. values: the number of values τ.
  Gates(ParameterLayout& layout, const std::string& path, Index w, Index values, bool shifts);

  /// Sets G and V to zero.
  void initialize(std::span<T> parameters) const;
  void prepare(std::span<const T> parameters);

  /// a ← γ ∘ a + V τ. gate: γ, (w × n) out. tau: (values × n) in. a: (w × n) in, out.
  void apply(ConstMatrixView<T> tau, MatrixView<T> gate, MatrixView<T> a) const;
  /// c ← γ ∘ c, and e ← γ² ∘ e unless e is empty. All (w × n).
  static void scale_derivatives(ConstMatrixView<T> gate, MatrixView<T> first, MatrixView<T> second);
  /// Writes ā = p̄/γ, (w × n) out. product_bar: p̄.
  static void before_gate(ConstMatrixView<T> gate, ConstMatrixView<T> product_bar, MatrixView<T> a_bar);
  /// Adds the gradients of G and V. tau: (values × n). a_bar: ā (w × n), which is overwritten. gradient: the flat
  /// buffer.
  void add_gradient(const GateTape<T>& tape, ConstMatrixView<T> tau, MatrixView<T> a_bar, std::span<T> gradient) const;
  /// Returns an upper bound on γ for ‖τ‖ up to `length`.
  double largest(double length) const;

 private:
  Index gate_offset_;
  std::optional<Index> shift_offset_;
  Matrix<T> gate_, shift_;  // G and V (w × values); V may be empty
};

extern template class Gates<float>;
extern template class Gates<double>;

}  // namespace pushforward::nn
