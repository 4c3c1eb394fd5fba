#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/dense.hpp>
#include <pushforward/nn/parameters.hpp>

namespace pushforward::nn {

using linalg::gemm;
using linalg::Op;

template <class T>
DenseLayer<T>::DenseLayer(ParameterLayout& layout, const std::string& name, Index in, Index out, T bound,
                          random::Stream start, Matrix<T> mask)
    : Layer<T>(layout, "dense", name, {.in = in, .out = out, .rows = out, .cols = in}, bound),
      mask_(std::move(mask)),
      power_(out, in, start) {
  require<ShapeError>(mask_.size() == 0 || (mask_.rows() == out && mask_.cols() == in),
                      "dense layer {}: a mask ({} × {}) does not fit a weight ({} × {})", name, mask_.rows(),
                      mask_.cols(), out, in);
}

template <class T>
void DenseLayer<T>::apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T>) const {
  gemm(Op::none, Op::none, T(1), weight(), x, T(0), y);
}

template <class T>
void DenseLayer<T>::apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T>) const {
  gemm(Op::transpose, Op::none, T(1), weight(), y, T(0), x);
}

template <class T>
void DenseLayer<T>::add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                                        std::span<T>) const {
  gemm(Op::none, Op::transpose, T(1), bar, x, T(1), weight_gradient(gradient));
}

template <class T>
double DenseLayer<T>::flops(Index columns) const {
  return linalg::gemm_flops(this->out(), columns, this->in());
}

template <class T>
void DenseLayer<T>::to_matrix(MatrixView<T> matrix) const {
  for (Index j = 0; j < matrix.cols(); ++j) std::copy_n(weight().column(j), matrix.rows(), matrix.column(j));
}

template <class T>
void DenseLayer<T>::add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const {
  const auto to = weight_gradient(gradient);
  for (Index j = 0; j < bar.cols(); ++j) {
    for (Index i = 0; i < bar.rows(); ++i) to(i, j) += bar(i, j);
  }
}

template <class T>
Index DenseLayer<T>::fan_in(Index row) const {
  if (mask_.size() == 0) return this->in();
  Index ones = 0;
  for (Index j = 0; j < mask_.cols(); ++j) ones += mask_(row, j) != 0;
  return ones;
}

template <class T>
void DenseLayer<T>::mask(MatrixView<T> w) const {
  for (Index i = 0; i < mask_.size(); ++i) {
    if (mask_.data()[i] == 0) w.data()[i] = 0;
  }
}

template <class T>
T DenseLayer<T>::measure_norm(Normalization normalization) {
  if (normalization != Normalization::power_iteration) return linalg::singular_values(weight()).front();
  return power_.update(weight(), training_tolerance<T>, most_power_iterations);
}

template <class T>
void DenseLayer<T>::prepare_norm_gradient(Normalization normalization) {
  // The gradient of σ needs the singular vectors.
  if (normalization == Normalization::svd) power_.update(weight(), no_change<T>, 10 * most_power_iterations);
}

template <class T>
void DenseLayer<T>::add_norm_gradient(T factor, MatrixView<T> w_bar) const {
  linalg::ger(factor, power_.left(), power_.right(), w_bar);
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace pushforward::nn
