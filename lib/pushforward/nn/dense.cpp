#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/dense.hpp>

#include <cmath>

namespace pushforward::nn {

namespace {

constexpr int most_power_iterations = 100;

// Change of σ from one iteration to the next that is no change.
template <class T>
constexpr T rounding = 4 * std::numeric_limits<T>::epsilon();

}  // namespace

template <class T>
DenseLayer<T>::DenseLayer(ParameterLayout& layout, const std::string& name, Index in, Index out, T bound,
                          random::Stream start)
    : in_(in),
      out_(out),
      bound_(bound),
      power_(out, in, start),
      effective_(out, in),
      bias_(static_cast<std::size_t>(out)) {
  require<ShapeError>(in >= 1 && out >= 1, "dense layer {}: sizes {} → {} must be at least 1", name, in, out);
  require<OptionError>(bound > 0, "dense layer {}: Lipschitz bound {} must be positive", name, bound);
  const auto offset = [&](Index block) { return layout.blocks()[static_cast<std::size_t>(block)].offset; };
  weight_offset_ = offset(layout.add(name + "/weight", out, in));
  bias_offset_ = offset(layout.add(name + "/bias", out));
}

template <class T>
void DenseLayer<T>::initialise(std::span<T> parameters, random::Stream& stream, bool zero) const {
  const auto w = weight_in(parameters);
  const double scale = zero ? 0 : 1 / std::sqrt(static_cast<double>(in_));
  for (Index j = 0; j < in_; ++j) {
    for (Index i = 0; i < out_; ++i) w(i, j) = static_cast<T>(scale * stream.normal());
  }
  for (T& b : bias_gradient(parameters)) b = static_cast<T>(scale * (2 * stream.uniform() - 1));
}

template <class T>
void DenseLayer<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  const ConstMatrixView<T> w(parameters.data() + weight_offset_, out_, in_);
  std::copy_n(parameters.data() + bias_offset_, out_, bias_.data());
  if (normalization == Normalization::power_iteration) {
    sigma_ = std::isfinite(bound_) ? power_.update(w, T(1e-4), most_power_iterations) : T(0);
  } else {
    sigma_ = linalg::singular_values(w).front();
  }
  shrunk_ = normalization != Normalization::stored && sigma_ > bound_;
  // The gradient through σ wants its singular vectors.
  if (shrunk_ && normalization == Normalization::svd) power_.update(w, rounding<T>, 10 * most_power_iterations);
  const T factor = shrunk_ ? bound_ / sigma_ : T(1);
  norm_ = shrunk_ ? bound_ : sigma_;
  for (Index i = 0; i < w.size(); ++i) effective_.data()[i] = factor * w.data()[i];
}

template <class T>
MatrixView<T> DenseLayer<T>::weight_gradient(std::span<T> gradient) const {
  return weight_in(gradient);
}

template <class T>
std::span<T> DenseLayer<T>::bias_gradient(std::span<T> gradient) const {
  return gradient.subspan(static_cast<std::size_t>(bias_offset_), static_cast<std::size_t>(out_));
}

template <class T>
void DenseLayer<T>::finish_gradient(std::span<T> gradient) const {
  if (!shrunk_) return;
  const auto w_bar = weight_in(gradient);
  const std::span<T> flat(w_bar.data(), static_cast<std::size_t>(w_bar.size()));
  const T along = linalg::dot(std::span<const T>(flat), effective_.span()) / bound_;
  linalg::ger(-along, power_.left(), power_.right(), w_bar);
  for (T& value : flat) value *= bound_ / sigma_;
}

template <class T>
void DenseLayer<T>::fold(std::span<T> parameters) const {
  std::copy_n(effective_.data(), effective_.size(), weight_in(parameters).data());
}

template class DenseLayer<float>;
template class DenseLayer<double>;

}  // namespace pushforward::nn
