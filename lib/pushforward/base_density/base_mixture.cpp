#include <pushforward/base_density/base_mixture.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

// log Σ exp of values: −∞ where all are, NaN where one is.
double log_sum_exp(std::span<const double> values) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  double largest = -infinity;
  for (const double value : values) largest = value > largest || std::isnan(value) ? value : largest;
  if (largest == -infinity) return largest;
  double sum = 0;
  for (const double value : values) sum += std::exp(value - largest);
  return largest + std::log(sum);
}

}  // namespace

OptionSet MixtureOptions::declare() {
  OptionSet set;
  set.add("components", components, "number of normal densities", between(1, 1024));
  return set;
}

template <class T>
NormalMixture<T>::NormalMixture(const BasePlace& place, const MixtureOptions& options)
    : BaseDensity<T>(place), seed_(place.seed) {
  const Index count = options.components, r = std::ssize(this->rows());
  this->require_rows(MixtureOptions::kind);
  require<OptionError>(count >= 1 && count <= max_components, "base density: components = {} must be from 1 to {}",
                       count, max_components);
  const auto offset = [&](Index block) { return place.layout.blocks()[block].offset; };
  logits_offset_ = offset(place.layout.add("base/logits", count));
  mean_offset_ = offset(place.layout.add("base/mean", r, count));
  log_scale_offset_ = offset(place.layout.add("base/log_scale", r, count));
  weight_.resize(count);
  log_constant_.resize(weight_.size());
  mean_ = Matrix<double>(r, count);
  scale_ = Matrix<double>(r, count);
}

template <class T>
void NormalMixture<T>::initialize(std::span<T> parameters) const {
  // Networks draw from step 0.
  random::Stream stream(seed_, random::Purpose::parameters, 1);
  std::fill_n(parameters.data() + logits_offset_, weight_.size(), T(0));
  for (Index j = 0; j < mean_.size(); ++j) {
    parameters.data()[mean_offset_ + j] = static_cast<T>(std::sqrt(0.5) * stream.normal());
  }
  std::fill_n(parameters.data() + log_scale_offset_, mean_.size(), static_cast<T>(0.5 * std::log(0.5)));
}

template <class T>
void NormalMixture<T>::prepare(std::span<const T> parameters) {
  const Index r = mean_.rows();
  std::copy_n(parameters.data() + logits_offset_, weight_.size(), log_constant_.data());
  const double total = log_sum_exp(log_constant_);
  for (Index k = 0; k < mean_.cols(); ++k) {
    double& log_constant = log_constant_[k];
    log_constant -= total;
    weight_[k] = std::exp(log_constant);
    for (Index j = 0; j < r; ++j) {
      const auto log_scale = static_cast<double>(parameters.data()[log_scale_offset_ + j + k * r]);
      mean_(j, k) = static_cast<double>(parameters.data()[mean_offset_ + j + k * r]);
      scale_(j, k) = std::exp(log_scale);
      log_constant -= log_scale + 0.5 * std::log(2 * std::numbers::pi);
    }
  }
}

template <class T>
double NormalMixture<T>::component(const T* z, Index k) const {
  double square = 0;
  for (Index j = 0; j < mean_.rows(); ++j) {
    const double row = static_cast<double>(z[this->rows()[j]]);
    const double y = (row - mean_(j, k)) / scale_(j, k);
    square += y * y;
  }
  return log_constant_[k] - 0.5 * square;
}

template <class T>
double NormalMixture<T>::log_prob_one(const T* z) const {
  std::array<double, max_components> l;
  for (std::size_t k = 0; k < weight_.size(); ++k) l[k] = component(z, static_cast<Index>(k));
  return log_sum_exp({l.data(), weight_.size()});
}

template <class T>
void NormalMixture<T>::reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const {
  const Index r = mean_.rows();
  std::array<double, max_components> share;  // w·rₖ
  for (std::size_t k = 0; k < weight_.size(); ++k) share[k] = component(z, static_cast<Index>(k));
  const double log_prob = log_sum_exp({share.data(), weight_.size()});
  for (std::size_t k = 0; k < weight_.size(); ++k) {
    const double responsibility = std::exp(share[k] - log_prob);
    gradient.data()[logits_offset_ + static_cast<Index>(k)] += static_cast<T>(weight * (responsibility - weight_[k]));
    share[k] = weight * responsibility;
  }
  for (Index j = 0; j < r; ++j) {
    const Index row = this->rows()[j];
    const auto value = static_cast<double>(z[row]);
    double bar = 0;
    for (Index k = 0; k < mean_.cols(); ++k) {
      const double y = (value - mean_(j, k)) / scale_(j, k), w = share[k];
      const double mean_bar = w * y / scale_(j, k);
      bar -= mean_bar;
      gradient.data()[mean_offset_ + j + k * r] += static_cast<T>(mean_bar);
      gradient.data()[log_scale_offset_ + j + k * r] += static_cast<T>(w * (y * y - 1));
    }
    z_bar[row] = static_cast<T>(bar);
  }
}

template <class T>
void NormalMixture<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  // Rounding may leave the sum of all weights below u.
  double rest = stream.uniform();
  Index k = 0;
  while (k + 1 < mean_.cols() && rest >= weight_[k]) {
    rest -= weight_[k++];
  }
  for (Index j = 0; j < mean_.rows(); ++j) {
    z[this->rows()[j]] = mean_(j, k) + scale_(j, k) * stream.normal();
  }
}

template class NormalMixture<float>;
template class NormalMixture<double>;

}  // namespace pushforward::flow
