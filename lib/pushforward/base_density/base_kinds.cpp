#include <pushforward/base_density/base_kinds.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

const double half_log_two_pi = 0.5 * std::log(2 * std::numbers::pi);

}  // namespace

template <class T>
double log_of_box(T z, T low, T high) {
  if (std::isnan(z)) return std::numeric_limits<double>::quiet_NaN();
  return z >= low && z <= high ? 0.0 : -std::numeric_limits<double>::infinity();
}

template <class T>
double StandardNormal<T>::log_prob_one(const T* z) const {
  double square = 0;
  for (const Index row : this->rows()) square += static_cast<double>(z[row]) * static_cast<double>(z[row]);
  return -0.5 * square - half_log_two_pi * static_cast<double>(this->rows().size());
}

template <class T>
void StandardNormal<T>::reverse_one(const T* z, double weight, T* z_bar, std::span<T>) const {
  for (const Index row : this->rows()) z_bar[row] = -static_cast<T>(weight) * z[row];
}

template <class T>
void StandardNormal<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  for (const Index row : this->rows()) z[row] = stream.normal();
}

template <class T>
DiagonalNormal<T>::DiagonalNormal(nn::ParameterLayout& layout, Index dimension, const BaseOptions& options)
    : BaseDensity<T>(dimension, options), mean_(this->rows().size(), 0.0), scale_(this->rows().size(), 1.0) {
  this->require_rows();
  const auto offset = [&](Index block) { return layout.blocks()[block].offset; };
  mean_offset_ = offset(layout.add("base/mean", std::ssize(this->rows())));
  log_scale_offset_ = offset(layout.add("base/log_scale", std::ssize(this->rows())));
}

template <class T>
void DiagonalNormal<T>::initialize(std::span<T> parameters) const {
  std::fill_n(parameters.data() + mean_offset_, mean_.size(), T(0));
  std::fill_n(parameters.data() + log_scale_offset_, scale_.size(), T(0));
}

template <class T>
void DiagonalNormal<T>::prepare(std::span<const T> parameters) {
  log_constant_ = 0;
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    const auto log_scale = static_cast<double>(parameters.data()[log_scale_offset_ + static_cast<Index>(j)]);
    mean_[j] = static_cast<double>(parameters.data()[mean_offset_ + static_cast<Index>(j)]);
    scale_[j] = std::exp(log_scale);
    log_constant_ -= log_scale + half_log_two_pi;
  }
}

template <class T>
double DiagonalNormal<T>::log_prob_one(const T* z) const {
  double square = 0;
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    const double y = (static_cast<double>(z[this->rows()[j]]) - mean_[j]) / scale_[j];
    square += y * y;
  }
  return log_constant_ - 0.5 * square;
}

template <class T>
void DiagonalNormal<T>::reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const {
  T* const mean_gradient = gradient.data() + mean_offset_;
  T* const log_scale_gradient = gradient.data() + log_scale_offset_;
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    const Index row = this->rows()[j];
    const double y = (static_cast<double>(z[row]) - mean_[j]) / scale_[j];
    const double bar = -weight * y / scale_[j];
    z_bar[row] = static_cast<T>(bar);
    mean_gradient[j] -= static_cast<T>(bar);
    log_scale_gradient[j] += static_cast<T>(weight * (y * y - 1));
  }
}

template <class T>
void DiagonalNormal<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  for (std::size_t j = 0; j < mean_.size(); ++j) {
    z[this->rows()[j]] = mean_[j] + scale_[j] * stream.normal();
  }
}

template <class T>
UniformBox<T>::UniformBox(Index dimension, const BaseOptions& options) : BaseDensity<T>(dimension, options) {
  const bool proper = std::isfinite(static_cast<T>(options.low)) && std::isfinite(static_cast<T>(options.high)) &&
                      static_cast<T>(options.low) < static_cast<T>(options.high);
  require<OptionError>(proper, "base density: low = {} must be below high = {}, both finite", options.low,
                       options.high);
}

template <class T>
double UniformBox<T>::log_prob_one(const T* z) const {
  const auto& options = this->options();
  double sum = -std::log(options.high - options.low) * static_cast<double>(this->rows().size());
  for (const Index row : this->rows()) {
    sum += log_of_box(z[row], static_cast<T>(options.low), static_cast<T>(options.high));
  }
  return sum;
}

template <class T>
void UniformBox<T>::reverse_one(const T*, double, T* z_bar, std::span<T>) const {
  for (const Index row : this->rows()) z_bar[row] = 0;
}

template <class T>
void UniformBox<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  const auto& options = this->options();
  for (const Index row : this->rows()) {
    z[row] = std::min(options.high, options.low + (options.high - options.low) * stream.uniform());
  }
}

template <class T>
double Logistic<T>::log_prob_one(const T* z) const {
  double sum = 0;
  for (const Index row : this->rows()) {
    const double size = std::abs(static_cast<double>(z[row]));
    sum -= size + 2 * std::log1p(std::exp(-size));
  }
  return sum;
}

template <class T>
void Logistic<T>::reverse_one(const T* z, double weight, T* z_bar, std::span<T>) const {
  for (const Index row : this->rows()) {
    z_bar[row] = static_cast<T>(-weight * std::tanh(0.5 * static_cast<double>(z[row])));
  }
}

template <class T>
void Logistic<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  for (const Index row : this->rows()) {
    const double u = stream.uniform();
    z[row] = std::log(u) - std::log1p(-u);
  }
}

template class StandardNormal<float>;
template class StandardNormal<double>;
template class DiagonalNormal<float>;
template class DiagonalNormal<double>;
template class UniformBox<float>;
template class UniformBox<double>;
template class Logistic<float>;
template class Logistic<double>;
template double log_of_box(float, float, float);
template double log_of_box(double, double, double);

}  // namespace pushforward::flow
