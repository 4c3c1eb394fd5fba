#pragma once

// A dense layer a = Ŵ h + b, Ŵ = W·min(1, c/σ(W)): its effective weight never has a spectral norm beyond the bound c.

#include <pushforward/nn/parameters.hpp>
#include <pushforward/nn/spectral_norm.hpp>

#include <limits>

namespace pushforward::nn {

template <class T>
class DenseLayer {
 public:
  /// Adds `<name>/weight` (out × in) and `<name>/bias` (out) to the layout. bound: c > 0, or infinity for a layer
  /// whose norm is free. start: the stream of the power iteration's first vector.
  DenseLayer(ParameterLayout& layout, const std::string& name, Index in, Index out, T bound, random::Stream start);

  Index in() const { return in_; }
  Index out() const { return out_; }
  T bound() const { return bound_; }

  /// W and b as a fresh network has them: W normal with variance 1/in, b uniform on ±1/√in; all zero where `zero`.
  void initialise(std::span<T> parameters, random::Stream& stream, bool zero) const;

  /// Makes the effective weight from the parameters. Power iteration goes on until σ changes by less than 1e-4
  /// relative.
  void prepare(std::span<const T> parameters, Normalization normalization);

  /// (out × in) and (out), valid after prepare().
  ConstMatrixView<T> weight() const { return effective_.view(); }
  std::span<const T> bias() const { return bias_; }
  /// σ of the effective weight: from below after power iteration, else to rounding.
  T norm() const { return norm_; }

  /// The layer's part of the gradient buffer, with respect to effective weight and bias.
  MatrixView<T> weight_gradient(std::span<T> gradient) const;
  std::span<T> bias_gradient(std::span<T> gradient) const;

  /// Turns the gradient with respect to Ŵ into that with respect to W, in place. Where Ŵ = cW/σ with σ = uᵀWv,
  ///     W̄ = (c/σ)·(Ŵ̄ − ⟨Ŵ̄, Ŵ⟩/c · u vᵀ).
  /// u and v are the power iteration's, which after an SVD goes on until σ no longer changes.
  void finish_gradient(std::span<T> gradient) const;

  /// Overwrites W with the effective weight in the parameter buffer: what a model file holds.
  void fold(std::span<T> parameters) const;

 private:
  MatrixView<T> weight_in(std::span<T> buffer) const { return {buffer.data() + weight_offset_, out_, in_}; }

  Index in_, out_, weight_offset_, bias_offset_;
  T bound_;
  PowerIteration<T> power_;
  Matrix<T> effective_;
  std::vector<T> bias_;
  T sigma_ = 0;  // of W
  T norm_ = 0;   // of the effective weight
  bool shrunk_ = false;
};

extern template class DenseLayer<float>;
extern template class DenseLayer<double>;

}  // namespace pushforward::nn
