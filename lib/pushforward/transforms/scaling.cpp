#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/transforms/scaling.hpp>

#include <cmath>

namespace pushforward::flow {

template <class T>
Scaling<T>::Scaling(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                    const ScalingOptions& options)
    : shape_(shape),
      options_(options),
      log_scale_offset_(nn::add_vector(layout, name + "/log_scale", shape.size())),
      scale_(static_cast<std::size_t>(shape.size()), T(1)) {}

template <class T>
void Scaling<T>::initialize(std::span<T> parameters) const {
  std::fill_n(parameters.data() + log_scale_offset_, shape_.size(), T(0));
}

template <class T>
void Scaling<T>::prepare(std::span<const T> parameters, Normalization) {
  log_det_ = 0;
  const auto log_scale = nn::part_of(parameters, log_scale_offset_, shape_.size());
  for (std::size_t i = 0; i < scale_.size(); ++i) {
    scale_[i] = std::exp(log_scale[i]);
    log_det_ += static_cast<double>(log_scale[i]);
  }
}

template <class T>
std::unique_ptr<TransformState<T>> Scaling<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void Scaling<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                         std::span<Status>) const {
  const auto x = batch.x;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) z(i, j) = scale_[i] * x(i, j);
  }
  for (double& value : log_det) value += log_det_;
}

template <class T>
void Scaling<T>::reverse(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
                         MatrixView<T> x_bar, std::span<T> gradient) const {
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) x_bar(i, j) = scale_[i] * z_bar(i, j);
  }
  if (gradient.empty()) return;
  const auto log_scale_gradient = nn::part_of(gradient, log_scale_offset_, shape_.size());
  const T total = total_weight(weight, x.cols());
  for (T& value : log_scale_gradient) value += total;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) log_scale_gradient[i] += x_bar(i, j) * x(i, j);
  }
}

template <class T>
void Scaling<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                         std::span<Status>, const InverseOptions&) const {
  const auto z = batch.x;
  for (Index j = 0; j < z.cols(); ++j) {
    for (Index i = 0; i < z.rows(); ++i) x(i, j) = z(i, j) / scale_[i];
  }
  for (double& value : log_det) value -= log_det_;
}

template <class T>
void Scaling<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> b,
                                  MatrixView<T> lambda) const {
  for (Index j = 0; j < b.cols(); ++j) {
    for (Index i = 0; i < b.rows(); ++i) lambda(i, j) = b(i, j) / scale_[i];
  }
}

template class Scaling<float>;
template class Scaling<double>;

}  // namespace pushforward::flow
