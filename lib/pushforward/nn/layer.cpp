#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/layer.hpp>

#include <cmath>
#include <limits>

namespace pushforward::nn {

template <class T>
Layer<T>::Layer(ParameterLayout& layout, std::string_view kind, const std::string& name, const LayerSize& size, T bound)
    : size_(size), bound_(bound), effective_(size.rows, size.cols), bias_(static_cast<std::size_t>(size.rows)) {
  require<ShapeError>(size.in >= 1 && size.out >= 1, "{} layer {}: sizes {} → {} must be at least 1", kind, name,
                      size.in, size.out);
  require<OptionError>(bound > 0, "{} layer {}: Lipschitz bound {} must be positive", kind, name, bound);
  const auto offset = [&](Index block) { return layout.blocks()[block].offset; };
  weight_offset_ = offset(layout.add(name + "/weight", size.rows, size.cols));
  bias_offset_ = offset(layout.add(name + "/bias", size.rows));
}

template <class T>
void Layer<T>::initialize(std::span<T> parameters, random::Stream& stream, bool zero) const {
  const auto w = weight_in(parameters);
  std::vector<double> scale;
  for (Index i = 0; i < w.rows(); ++i) {
    scale.push_back(zero ? 0 : 1 / std::sqrt(static_cast<double>(std::max<Index>(1, fan_in(i)))));
  }
  for (Index j = 0; j < w.cols(); ++j) {
    for (Index i = 0; i < w.rows(); ++i) {
      w(i, j) = static_cast<T>(scale[i] * stream.normal());
    }
  }
  mask(w);
  const auto b = bias_in(parameters);
  for (std::size_t i = 0; i < b.size(); ++i) b[i] = static_cast<T>(scale[i] * (2 * stream.uniform() - 1));
}

template <class T>
void Layer<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  std::copy_n(parameters.data() + bias_offset_, size_.rows, bias_.data());
  std::copy_n(parameters.data() + weight_offset_, effective_.size(), effective_.data());
  mask(effective_);
  if (!std::isfinite(bound_)) {
    norm_ = std::numeric_limits<T>::infinity();
    return;
  }
  sigma_ = measure_norm(normalization);
  shrunk_ = normalization != Normalization::stored && sigma_ > bound_;
  norm_ = shrunk_ ? bound_ : sigma_;
  if (!shrunk_) return;
  if (normalization != Normalization::values) prepare_norm_gradient(normalization);
  const T factor = bound_ / sigma_;
  for (T& value : effective_.span()) value *= factor;
}

template <class T>
void Layer<T>::gradient_of_raw_parameters(std::span<T> gradient) const {
  const auto w_bar = weight_in(gradient);
  if (shrunk_) {
    const std::span<T> flat(w_bar.data(), static_cast<std::size_t>(w_bar.size()));
    add_norm_gradient(-linalg::dot(std::span<const T>(flat), effective_.span()) / bound_, w_bar);
    for (T& value : flat) value *= bound_ / sigma_;
  }
  mask(w_bar);
}

template <class T>
void Layer<T>::bake_normalization(std::span<T> parameters) const {
  std::copy_n(effective_.data(), effective_.size(), weight_in(parameters).data());
}

template <class T>
std::span<T> Layer<T>::bias_in(std::span<T> buffer) const {
  return buffer.subspan(bias_offset_, size_.rows);
}

template <class T>
void Layer<T>::add_bias_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const {
  const auto sum = bias_in(gradient);
  if (bar.rows() == size_.rows) return add_columns<T>(bar, sum);
  for (Index j = 0; j < bar.cols(); ++j) add_columns<T>({bar.column(j), size_.rows, bar.rows() / size_.rows}, sum);
}

template <class T>
ConstMatrixView<T> Layer<T>::weight() const {
  throw BugError("only a dense layer has its map as a matrix");
}

template <class T>
MatrixView<T> Layer<T>::weight_gradient(std::span<T>) const {
  throw BugError("only a dense layer has the gradient of its map as a matrix");
}

template class Layer<float>;
template class Layer<double>;

}  // namespace pushforward::nn
