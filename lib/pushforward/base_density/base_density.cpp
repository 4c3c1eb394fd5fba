#include <pushforward/base_density/base_density.hpp>
#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/base_density/base_mixture.hpp>
#include <pushforward/base_density/base_student_t.hpp>
#include <pushforward/core/text.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

template <class T>
BaseDensity<T>::BaseDensity(Index dimension, const BaseOptions& options) : dimension_(dimension), options_(options) {
  require<ShapeError>(dimension >= 1, "base density: dimension {} must be at least 1", dimension);
  std::vector<bool> is_angle(dimension);
  for (const Index row : options.periodic) {
    require<OptionError>(row >= 0 && row < dimension, "base density: periodic row {} must be from 0 to {}", row,
                         dimension - 1);
    require<OptionError>(!is_angle[row], "base density: periodic row {} is named twice", row);
    is_angle[row] = true;
  }
  for (Index row = 0; row < dimension; ++row) {
    if (!is_angle[row]) rows_.push_back(row);
  }
}

template <class T>
void BaseDensity<T>::require_rows() const {
  require<OptionError>(!rows_.empty(), "base density '{}' has no rows: all {} are periodic, and uniform with any kind",
                       kind(), dimension_);
}

template <class T>
void BaseDensity<T>::log_prob(ConstMatrixView<T> z, std::span<double> log_prob) const {
  require<ShapeError>(z.rows() == dimension_ && z.cols() == std::ssize(log_prob),
                      "base density: latents ({} × {}) and {} log-densities do not fit dimension {}", z.rows(),
                      z.cols(), log_prob.size(), dimension_);
  const double angles = -std::log(2 * std::numbers::pi) * static_cast<double>(options_.periodic.size());
  for (Index i = 0; i < z.cols(); ++i) {
    const T* const column = z.column(i);
    double sum = angles;
    for (const Index row : options_.periodic)
      sum += log_of_box(column[row], -std::numbers::pi_v<T>, std::numbers::pi_v<T>);
    log_prob[i] += sum + log_prob_one(column);
  }
}

template <class T>
void BaseDensity<T>::reverse(ConstMatrixView<T> z, std::span<const T> weight, MatrixView<T> z_bar,
                             std::span<T> gradient) const {
  require<ShapeError>(z.rows() == dimension_ && z_bar.rows() == dimension_ && z_bar.cols() == z.cols() &&
                          (weight.empty() || std::ssize(weight) == z.cols()),
                      "base density: gradient ({} × {}) and {} weights do not fit latents ({} × {}) of dimension {}",
                      z_bar.rows(), z_bar.cols(), weight.size(), z.rows(), z.cols(), dimension_);
  for (Index i = 0; i < z.cols(); ++i) {
    T* const bar = z_bar.column(i);
    reverse_one(z.column(i), weight.empty() ? 1.0 : static_cast<double>(weight[i]), bar, gradient);
    for (const Index row : options_.periodic) bar[row] = 0;
  }
}

template <class T>
void BaseDensity<T>::draw(random::Stream& stream, std::span<double> z) const {
  require<ShapeError>(std::ssize(z) == dimension_, "base density: room for {} values does not fit dimension {}",
                      z.size(), dimension_);
  draw_one(stream, z);
  for (const Index row : options_.periodic) {
    z[row] = std::numbers::pi * (2 * stream.uniform() - 1);
  }
}

const std::vector<std::string>& base_kinds() {
  static const std::vector<std::string> kinds{"standard_normal", "normal",    "mixture",
                                              "uniform",         "student_t", "logistic"};
  return kinds;
}

OptionSet BaseOptions::declare() {
  OptionSet set;
  set.add("kind", kind, "density of the latents that are no angles", one_of(base_kinds()))
      .add("components", components, "mixture: normal densities", between(1, 1024))
      .add("low", low, "uniform: lower bound")
      .add("high", high, "uniform: upper bound")
      .add("degrees_of_freedom", degrees_of_freedom, "student_t: degrees of freedom to begin with", more_than(0));
  return set;
}

template <class T>
std::unique_ptr<BaseDensity<T>> make_base(nn::ParameterLayout& layout, const BaseOptions& options, Index dimension,
                                          std::uint64_t seed) {
  const auto& kinds = base_kinds();
  if (options.kind == "standard_normal") return std::make_unique<StandardNormal<T>>(dimension, options);
  if (options.kind == "normal") return std::make_unique<DiagonalNormal<T>>(layout, dimension, options);
  if (options.kind == "mixture") return std::make_unique<NormalMixture<T>>(layout, dimension, options, seed);
  if (options.kind == "uniform") return std::make_unique<UniformBox<T>>(dimension, options);
  if (options.kind == "student_t") return std::make_unique<StudentT<T>>(layout, dimension, options);
  require<OptionError>(options.kind == "logistic", "base density '{}' is unknown{}; there are {}", options.kind,
                       suggestion(options.kind, kinds), join(kinds));
  return std::make_unique<Logistic<T>>(dimension, options);
}

template class BaseDensity<float>;
template class BaseDensity<double>;
template std::unique_ptr<BaseDensity<float>> make_base(nn::ParameterLayout&, const BaseOptions&, Index, std::uint64_t);
template std::unique_ptr<BaseDensity<double>> make_base(nn::ParameterLayout&, const BaseOptions&, Index, std::uint64_t);

}  // namespace pushforward::flow
