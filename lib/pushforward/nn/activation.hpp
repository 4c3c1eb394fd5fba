#pragma once

// Activation functions with their first two derivatives, vectorised. For log-det training φ must have Lip(φ) ≤ 1 and a
// continuous derivative; φ″ carries the gradient of the log-det.
//
//   lipswish  a·σ(βa)/1.1, β > 0 trained [Chen et al. 2019]   tanh      tanh a
//   elu       a for a > 0, eᵃ − 1 otherwise                    softplus  log(1 + eᵃ)
//   sine      sin a                                            relu      max(a, 0); φ″ = 0: starves the log-det
//   gradient

#include <pushforward/linalg/matrix.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pushforward::nn {

enum class Activation { lipswish, tanh, elu, softplus, relu, sine };

/// The names above, in the order of the enumeration.
const std::vector<std::string>& activation_names();
std::string_view activation_name(Activation activation);
/// Throws OptionError with a suggestion when there is no such name.
Activation activation_of(std::string_view name);

/// True when the activation has a trained slope β.
constexpr bool has_slope(Activation activation) {
  return activation == Activation::lipswish;
}

/// What activate() computes beside the value.
template <class T>
struct ActivationOutput {
  MatrixView<T> value;   ///< φ(a), (w × n); may alias a
  MatrixView<T> first;   ///< φ′(a), (w × n); may be empty
  MatrixView<T> second;  ///< φ″(a), (w × n); may be empty, and is when `first` is
};

/// a ← a + bias (to each column), then φ and, where asked for, φ′ and φ″ of it, from one exponential.
/// a: (w × n) in, out. bias: (w). beta: the slope β, read by activations that have one.
/// All arrays contiguous. No allocation.
template <class T>
void activate(Activation activation, T beta, std::span<const T> bias, MatrixView<T> a, const ActivationOutput<T>& out);

extern template void activate(Activation, float, std::span<const float>, MatrixView<float>,
                              const ActivationOutput<float>&);
extern template void activate(Activation, double, std::span<const double>, MatrixView<double>,
                              const ActivationOutput<double>&);

/// Tangents through an activation: out(:, i·k + j) ← first(:, i) ∘ t(:, i·k + j), k per sample. out may alias t.
template <class T>
void scale_tangents(ConstMatrixView<T> first, Index k, ConstMatrixView<T> t, MatrixView<T> out);

extern template void scale_tangents(ConstMatrixView<float>, Index, ConstMatrixView<float>, MatrixView<float>);
extern template void scale_tangents(ConstMatrixView<double>, Index, ConstMatrixView<double>, MatrixView<double>);

/// Reverse of value and tangents through an activation h = φ(a), τ = φ′(a) ∘ t (k tangents per sample). Given the
/// cotangents h̄ and τ̄ of these,
///     t̄ = φ′ ∘ τ̄,   ā = φ′ ∘ h̄ + φ″ ∘ Σⱼ τ̄ⱼ ∘ tⱼ,
/// written over τ̄ and h̄. t: (w × n·k), tau_bar: (w × n·k), h_bar: (w × n); with `broadcast`, t is (w × k) and the same
/// for every sample. Returns the gradient with respect to log β, for activations that have a slope. Since φ(a; β) =
/// ψ(βa)/β, the derivative along log β is aφ′ − φ for the value and aφ″ for φ′, so it is Σ h̄(aφ′ − φ) + Σ τ̄·t·aφ″ = ⟨a,
/// ā⟩ − ⟨h̄, h⟩ with the h̄ before it is overwritten.
template <class T>
struct ActivationTape {
  ConstMatrixView<T> a, value, first, second;
  ConstMatrixView<T> first_bar{};  ///< further cotangents of φ′, (w × n), added to Σⱼ τ̄ⱼ ∘ tⱼ; may be empty
};
template <class T>
double reverse_activation(const ActivationTape<T>& tape, Index k, ConstMatrixView<T> t, bool broadcast, bool slope,
                          MatrixView<T> h_bar, MatrixView<T> tau_bar);

extern template double reverse_activation(const ActivationTape<float>&, Index, ConstMatrixView<float>, bool, bool,
                                          MatrixView<float>, MatrixView<float>);
extern template double reverse_activation(const ActivationTape<double>&, Index, ConstMatrixView<double>, bool, bool,
                                          MatrixView<double>, MatrixView<double>);

}  // namespace pushforward::nn
