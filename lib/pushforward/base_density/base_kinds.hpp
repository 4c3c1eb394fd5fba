#pragma once

// The simple base densities: products over rows, in closed form.

#include <pushforward/base_density/base_density.hpp>

namespace pushforward::flow {

template <class T>
class StandardNormal final : public BaseDensity<T> {
 public:
  using BaseDensity<T>::BaseDensity;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;
};

/// With r rows, `base/mean` (r) and `base/log_scale` (r), both 0 at first.
template <class T>
class DiagonalNormal final : public BaseDensity<T> {
 public:
  DiagonalNormal(nn::ParameterLayout& layout, Index dimension, const BaseOptions& options);
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

template <class T>
class UniformBox final : public BaseDensity<T> {
 public:
  /// Throws OptionError unless low < high, both finite and different in T.
  UniformBox(Index dimension, const BaseOptions& options);
  std::pair<double, double> support() const override { return {this->options().low, this->options().high}; }

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;
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
