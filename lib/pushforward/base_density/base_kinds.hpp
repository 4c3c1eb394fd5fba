#pragma once

// The simple base densities: products over rows, in closed form.

#include <pushforward/base_density/base_density.hpp>

namespace pushforward::flow {

struct StandardNormalOptions {
  static constexpr const char* kind = "standard_normal";
  static constexpr const char* help = "the normal density N(0, I)";

  OptionSet declare() { return {}; }
};

template <class T>
class StandardNormal final : public BaseDensity<T> {
 public:
  using BaseDensity<T>::BaseDensity;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;
};

struct NormalOptions {
  static constexpr const char* kind = "normal";
  static constexpr const char* help = "N(mean, diag exp(2·log_scale)), trained";

  OptionSet declare() { return {}; }
};

/// With r rows, `base/mean` (r) and `base/log_scale` (r), both 0 at first.
template <class T>
class DiagonalNormal final : public BaseDensity<T> {
 public:
  explicit DiagonalNormal(const BasePlace& place);
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters) override;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;

  Index mean_offset_, log_scale_offset_;
  std::vector<double> mean_, scale_;
  double log_constant_ = 0;  // log p₀ at the mean
};

struct UniformOptions {
  static constexpr const char* kind = "uniform";
  static constexpr const char* help = "uniform on the box [low, high]ᵈ";
  double low = -1;  ///< below `high`
  double high = 1;

  OptionSet declare();
};

template <class T>
class UniformBox final : public BaseDensity<T> {
 public:
  /// Throws OptionError unless low < high, both finite and different in T.
  UniformBox(const BasePlace& place, const UniformOptions& options);
  std::pair<double, double> support() const override { return {options_.low, options_.high}; }

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;

  UniformOptions options_;
};

struct LogisticOptions {
  static constexpr const char* kind = "logistic";
  static constexpr const char* help = "e^{−z}/(1 + e^{−z})² in each dimension";

  OptionSet declare() { return {}; }
};

template <class T>
class Logistic final : public BaseDensity<T> {
 public:
  using BaseDensity<T>::BaseDensity;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;
};

/// 0 in [low, high], −∞ outside, NaN for NaN.
template <class T>
double log_of_box(T z, T low, T high);

extern template class StandardNormal<float>;
extern template class StandardNormal<double>;
extern template class DiagonalNormal<float>;
extern template class DiagonalNormal<double>;
extern template class UniformBox<float>;
extern template class UniformBox<double>;
extern template class Logistic<float>;
extern template class Logistic<double>;
extern template double log_of_box(float, float, float);
extern template double log_of_box(double, double, double);

}  // namespace pushforward::flow
