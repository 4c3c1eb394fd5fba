#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/base_density/base_mixture.hpp>
#include <pushforward/base_density/base_student_t.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

const double half_log_two_pi = 0.5 * std::log(2 * std::numbers::pi);

}  // namespace

Registry<BaseKind>& BaseKind::registry() {
  static Registry<BaseKind> kinds(
      "base density",
      {base_kind<StandardNormalOptions, StandardNormal>(), base_kind<NormalOptions, DiagonalNormal>(),
       base_kind<MixtureOptions, NormalMixture>(), base_kind<UniformOptions, UniformBox>(/*is_bounded=*/true),
       base_kind<StudentTOptions, StudentT>(), base_kind<LogisticOptions, Logistic>()});
  return kinds;
}

OptionSet UniformOptions::declare() {
  OptionSet set;
  set.add("low", low, "lower bound").add("high", high, "upper bound");
  return set;
}

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
DiagonalNormal<T>::DiagonalNormal(const BasePlace& place)
    : BaseDensity<T>(place), mean_(this->rows().size(), 0.0), scale_(this->rows().size(), 1.0) {
  this->require_rows(NormalOptions::kind);
  const auto offset = [&](Index block) { return place.layout.blocks()[block].offset; };
  mean_offset_ = offset(place.layout.add("base/mean", std::ssize(this->rows())));
  log_scale_offset_ = offset(place.layout.add("base/log_scale", std::ssize(this->rows())));
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
UniformBox<T>::UniformBox(const BasePlace& place, const UniformOptions& options)
    : BaseDensity<T>(place), options_(options) {
  const bool proper = std::isfinite(static_cast<T>(options.low)) && std::isfinite(static_cast<T>(options.high)) &&
                      static_cast<T>(options.low) < static_cast<T>(options.high);
  require<OptionError>(proper, "base density: low = {} must be below high = {}, both finite", options.low,
                       options.high);
}

template <class T>
double UniformBox<T>::log_prob_one(const T* z) const {
  double sum = -std::log(options_.high - options_.low) * static_cast<double>(this->rows().size());
  for (const Index row : this->rows()) {
    sum += log_of_box(z[row], static_cast<T>(options_.low), static_cast<T>(options_.high));
  }
  return sum;
}

template <class T>
void UniformBox<T>::reverse_one(const T*, double, T* z_bar, std::span<T>) const {
  for (const Index row : this->rows()) z_bar[row] = 0;
}

template <class T>
void UniformBox<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  for (const Index row : this->rows()) {
    z[row] = std::min(options_.high, options_.low + (options_.high - options_.low) * stream.uniform());
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
