#include <pushforward/base_density/base_student_t.hpp>

#include <cmath>
#include <numbers>

namespace pushforward::flow {

GammaRatio gamma_ratio(double a) {
  GammaRatio sum{0, 0};
  for (; a < 20; ++a) {
    sum.log_value -= std::log1p(0.5 / a);
    sum.derivative += 0.5 / (a * (a + 0.5));
  }
  const double x = 1 / a, xx = x * x;
  sum.log_value += 0.5 * std::log(a) - x / 8 + xx * x * (1.0 / 192 - xx * (1.0 / 640 - xx * 17 / 14336));
  sum.derivative += 0.5 * x + xx * (1.0 / 8 - xx * (1.0 / 64 - xx * (1.0 / 128 - xx * 17 / 2048)));
  return sum;
}

OptionSet StudentTOptions::declare() {
  OptionSet set;
  set.add("degrees_of_freedom", degrees_of_freedom, "degrees of freedom at the start", more_than(0));
  return set;
}

template <class T>
StudentT<T>::StudentT(const BasePlace& place, const StudentTOptions& options)
    : BaseDensity<T>(place), options_(options), nu_(this->rows().size()), slope_(nu_.size()) {
  this->require_rows(StudentTOptions::kind);
  require<OptionError>(options.degrees_of_freedom > 0 && std::isfinite(options.degrees_of_freedom),
                       "base density: degrees_of_freedom = {} must be positive and finite", options.degrees_of_freedom);
  const Index block = place.layout.add("base/log_degrees_of_freedom", std::ssize(this->rows()));
  offset_ = place.layout.blocks()[block].offset;
}

template <class T>
void StudentT<T>::initialize(std::span<T> parameters) const {
  std::fill_n(parameters.data() + offset_, nu_.size(), static_cast<T>(std::log(options_.degrees_of_freedom)));
}

template <class T>
void StudentT<T>::prepare(std::span<const T> parameters) {
  log_constant_ = 0;
  for (std::size_t j = 0; j < nu_.size(); ++j) {
    const auto log_nu = static_cast<double>(parameters[static_cast<std::size_t>(offset_) + j]);
    nu_[j] = std::exp(log_nu);
    const auto ratio = gamma_ratio(0.5 * nu_[j]);
    log_constant_ += ratio.log_value - 0.5 * (log_nu + std::log(std::numbers::pi));
    slope_[j] = 0.5 * (nu_[j] * ratio.derivative - 1);
  }
}

template <class T>
double StudentT<T>::log_prob_one(const T* z) const {
  double sum = log_constant_;
  for (std::size_t j = 0; j < nu_.size(); ++j) {
    const auto value = static_cast<double>(z[this->rows()[j]]);
    sum -= 0.5 * (nu_[j] + 1) * std::log1p(value * value / nu_[j]);
  }
  return sum;
}

// With q = z²/ν, ∂q/∂ log ν = −q: that of −(ν + 1)/2 · log(1 + q) is −ν/2 · log(1 + q) + (ν + 1)/2 · q/(1 + q).
template <class T>
void StudentT<T>::reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const {
  for (std::size_t j = 0; j < nu_.size(); ++j) {
    const Index row = this->rows()[j];
    const double nu = nu_[j], value = static_cast<double>(z[row]), q = value * value / nu;
    const double share = (nu + 1) / (1 + q);
    gradient[static_cast<std::size_t>(offset_) + j] +=
        static_cast<T>(weight * (slope_[j] + 0.5 * (share * q - nu * std::log1p(q))));
    z_bar[row] = static_cast<T>(-weight * share * value / nu);
  }
}

template <class T>
void StudentT<T>::draw_one(random::Stream& stream, std::span<double> z) const {
  for (std::size_t j = 0; j < nu_.size(); ++j) {
    const double normal = stream.normal(), chi_square = 2 * stream.gamma(0.5 * nu_[j]);
    z[this->rows()[j]] = normal / std::sqrt(chi_square / nu_[j]);
  }
}

template class StudentT<float>;
template class StudentT<double>;

}  // namespace pushforward::flow
