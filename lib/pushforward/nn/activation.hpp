#pragma once

// Activation functions with their first two derivatives, vectorized. For log-det training φ must have a continuous
// derivative, since φ″ carries the gradient of the log-det. A network with a Lipschitz bound needs Lip(φ) ≤ 1.
// ActivationKind::registry() (activation.cpp) lists the built-in ones, and activation_kind() makes one from a formula.

#include <pushforward/core/registry.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <array>

namespace pushforward::nn {

/// The values that activate() computes.
template <class T>
struct ActivationOutput {
  MatrixView<T> value;   ///< φ(a), (w × n); may alias a
  MatrixView<T> first;   ///< φ′(a), (w × n); may be empty
  MatrixView<T> second;  ///< φ″(a), (w × n); may be empty, and is when `first` is
};

/// a ← a + bias (to each column), then φ and, where asked for, φ′ and φ″ of it, as activate() describes.
template <class T>
using Activate = std::function<void(T beta, std::span<const T> bias, MatrixView<T> a, const ActivationOutput<T>& out)>;

/// An activation function, which has no options.
struct ActivationKind {
  static Registry<ActivationKind>& registry();

  std::string name;
  std::string help;                  ///< its formula, one line
  bool has_slope = false;            ///< whether it has a trained slope β
  bool starves_the_log_det = false;  ///< whether φ″ = 0 wherever it exists, so that the log-det trains no weights
  Activate<float> in_float;
  Activate<double> in_double;
  double lipschitz = 1;  ///< sup |φ′|
};

/// An activation from its formula: values(a), for a float or a double, returns {φ, φ′, φ″} as a std::array. The
/// compiler vectorizes what it can. Lip(φ) is taken to be 1; set the member `lipschitz` if it is not.
template <class Values>
ActivationKind activation_kind(std::string name, std::string help, Values values) {
  const auto all = [values](auto, auto bias, auto a, const auto& out) {
    for (Index j = 0; j < a.cols(); ++j) {
      for (Index i = 0; i < a.rows(); ++i) {
        a(i, j) += bias[i];
        const auto [value, first, second] = values(a(i, j));
        out.value(i, j) = value;
        if (!out.first.empty()) out.first(i, j) = first;
        if (!out.second.empty()) out.second(i, j) = second;
      }
    }
  };
  return {std::move(name), std::move(help), false, false, all, all, 1};
}

/// a ← a + bias (to each column), then φ and, where asked for, φ′ and φ″ of it, from one exponential.
/// a: (w × n) in, out. bias: (w). beta: the slope β, read by activations that have one.
/// All arrays contiguous. No allocation. Throws ShapeError.
template <class T>
void activate(const ActivationKind& activation, T beta, std::span<const T> bias, MatrixView<T> a,
              const ActivationOutput<T>& out);

extern template void activate(const ActivationKind&, float, std::span<const float>, MatrixView<float>,
                              const ActivationOutput<float>&);
extern template void activate(const ActivationKind&, double, std::span<const double>, MatrixView<double>,
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
  ConstMatrixView<T> a, value, first;
  ConstMatrixView<T> second;       ///< may be empty if k = 0 and there is no first_bar
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
