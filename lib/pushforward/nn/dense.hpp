#pragma once

// A dense layer. Its linear map is W, or W ∘ M if there is a mask M of zeros and ones. Where M is zero, the effective
// weight and its gradient are exactly zero.

#include <pushforward/nn/layer.hpp>
#include <pushforward/nn/parameters.hpp>

namespace pushforward::nn {

template <class T>
class DenseLayer final : public Layer<T> {
 public:
  /// Adds `<name>/weight` (out × in) and `<name>/bias` (out) to the layout. bound: c > 0, or infinity for a layer
  /// whose norm is free. start: the stream of the power iteration's first vector. mask: (out × in), or empty for ones.
  DenseLayer(ParameterLayout& layout, const std::string& name, Index in, Index out, T bound, random::Stream start,
             Matrix<T> mask = {});

  void apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T> scratch) const override;
  void apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T> scratch) const override;
  void add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                           std::span<T> scratch) const override;
  double flops(Index columns) const override;
  void to_matrix(MatrixView<T> matrix) const override;
  void add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const override;
  void add_state(StateSet& state, const std::string& name) override { power_.add_state(state, name); }
  ConstMatrixView<T> weight() const override { return this->effective(); }
  MatrixView<T> weight_gradient(std::span<T> gradient) const override { return this->weight_in(gradient); }

 private:
  Index fan_in(Index row) const override;
  void mask(MatrixView<T> w) const override;
  T measure_norm(Normalization normalization) override;
  void prepare_norm_gradient(Normalization normalization) override;
  void add_norm_gradient(T factor, MatrixView<T> w_bar) const override;

  Matrix<T> mask_;
  PowerIteration<T> power_;
};

extern template class DenseLayer<float>;
extern template class DenseLayer<double>;

}  // namespace pushforward::nn
