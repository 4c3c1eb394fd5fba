#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/pixels.hpp>

#include <cmath>

namespace pushforward::flow {

template <class T>
ActNorm<T>::ActNorm(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                    const ActNormOptions& options)
    : shape_(shape),
      options_(options),
      log_scale_offset_(nn::add_vector(layout, name + "/log_scale", shape.channels)),
      shift_offset_(nn::add_vector(layout, name + "/shift", shape.channels)),
      scale_(static_cast<std::size_t>(shape.channels), T(1)),
      shift_(scale_.size(), T(0)) {}

template <class T>
void ActNorm<T>::initialize(std::span<T> parameters) const {
  std::fill_n(parameters.data() + log_scale_offset_, shape_.channels, T(0));
  std::fill_n(parameters.data() + shift_offset_, shape_.channels, T(0));
}

template <class T>
void ActNorm<T>::initialize_from_data(std::span<T> parameters, ConstMatrixView<T> samples) const {
  const auto x = pixels_of<const T>(shape_, samples);
  const auto n = static_cast<double>(x.cols());
  for (Index i = 0; i < shape_.channels; ++i) {
    double mean = 0, square = 0;
    for (Index j = 0; j < x.cols(); ++j) mean += static_cast<double>(x(i, j)) / n;
    for (Index j = 0; j < x.cols(); ++j) square += std::pow(static_cast<double>(x(i, j)) - mean, 2) / n;
    // The deviation of a constant column would be the rounding of its mean.
    bool constant = true;
    for (Index j = 1; j < x.cols(); ++j) constant = constant && x(i, j) == x(i, 0);
    parameters[shift_offset_ + i] = static_cast<T>(mean);
    parameters[log_scale_offset_ + i] = constant ? T(0) : static_cast<T>(-0.5 * std::log(square));
  }
}

template <class T>
void ActNorm<T>::prepare(std::span<const T> parameters, Normalization) {
  log_det_ = 0;
  for (Index i = 0; i < shape_.channels; ++i) {
    const T log_scale = parameters[log_scale_offset_ + i];
    scale_[i] = std::exp(log_scale);
    shift_[i] = parameters[shift_offset_ + i];
    log_det_ += static_cast<double>(log_scale);
  }
  log_det_ *= static_cast<double>(shape_.pixels());
}

template <class T>
std::unique_ptr<TransformState<T>> ActNorm<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void ActNorm<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> latents, std::span<double> log_det,
                         std::span<Status>) const {
  const auto x = pixels_of<const T>(shape_, batch.x);
  const auto z = pixels_of<T>(shape_, latents);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < shape_.channels; ++i) {
      const auto at = static_cast<std::size_t>(i);
      z(i, j) = scale_[at] * (x(i, j) - shift_[at]);
    }
  }
  for (double& value : log_det) value += log_det_;
}

template <class T>
void ActNorm<T>::reverse(TransformState<T>&, ConstMatrixView<T> samples, ConstMatrixView<T> latent_bar,
                         std::span<const T> weight, MatrixView<T> sample_bar, std::span<T> gradient) const {
  const auto x = pixels_of<const T>(shape_, samples);
  const auto z_bar = pixels_of<const T>(shape_, latent_bar);
  const auto x_bar = pixels_of<T>(shape_, sample_bar);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < shape_.channels; ++i) x_bar(i, j) = scale_[i] * z_bar(i, j);
  }
  if (gradient.empty()) return;
  T* const log_scale_gradient = gradient.data() + log_scale_offset_;
  T* const shift_gradient = gradient.data() + shift_offset_;
  const T log_det_bar = total_weight(weight, latent_bar.cols()) * static_cast<T>(shape_.pixels());
  for (Index i = 0; i < shape_.channels; ++i) log_scale_gradient[i] += log_det_bar;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < shape_.channels; ++i) {
      log_scale_gradient[i] += x_bar(i, j) * (x(i, j) - shift_[i]);
      shift_gradient[i] -= x_bar(i, j);
    }
  }
}

template <class T>
void ActNorm<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> samples, std::span<double> log_det,
                         std::span<Status>, const InverseOptions&) const {
  const auto z = pixels_of<const T>(shape_, batch.x);
  const auto x = pixels_of<T>(shape_, samples);
  for (Index j = 0; j < z.cols(); ++j) {
    for (Index i = 0; i < shape_.channels; ++i) {
      const auto at = static_cast<std::size_t>(i);
      x(i, j) = z(i, j) / scale_[at] + shift_[at];
    }
  }
  for (double& value : log_det) value -= log_det_;
}

template <class T>
void ActNorm<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> rhs,
                                  MatrixView<T> solution) const {
  const auto b = pixels_of<const T>(shape_, rhs);
  const auto lambda = pixels_of<T>(shape_, solution);
  for (Index j = 0; j < b.cols(); ++j) {
    for (Index i = 0; i < shape_.channels; ++i) lambda(i, j) = b(i, j) / scale_[i];
  }
}

template class ActNorm<float>;
template class ActNorm<double>;

}  // namespace pushforward::flow
