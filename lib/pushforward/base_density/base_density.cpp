#include <pushforward/base_density/base_density.hpp>
#include <pushforward/base_density/base_kinds.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

template <class T>
BaseDensity<T>::BaseDensity(const BasePlace& place)
    : dimension_(place.dimension), periodic_(place.periodic), spheres_(place.spheres) {
  require<ShapeError>(dimension_ >= 1, "base density: dimension {} must be at least 1", dimension_);
  std::vector<bool> is_uniform(dimension_);
  for (const Index row : periodic_) {
    require<OptionError>(row >= 0 && row < dimension_, "base density: periodic row {} must be from 0 to {}", row,
                         dimension_ - 1);
    require<OptionError>(!is_uniform[row], "base density: periodic row {} is named twice", row);
    is_uniform[row] = true;
  }
  check_spheres(spheres_, periodic_, dimension_);
  for (const Index row : columns_of(spheres_)) is_uniform[row] = true;
  log_uniform_ = -std::log(2 * std::numbers::pi) * static_cast<double>(periodic_.size());
  for (const Sphere& sphere : spheres_) log_uniform_ -= log_area(std::ssize(sphere));
  for (Index row = 0; row < dimension_; ++row) {
    if (!is_uniform[row]) rows_.push_back(row);
  }
}

template <class T>
void BaseDensity<T>::require_rows(std::string_view kind) const {
  require<OptionError>(!rows_.empty(),
                       "base density '{}' has no rows: all {} are periodic or of spheres, and uniform with any kind",
                       kind, dimension_);
}

template <class T>
void BaseDensity<T>::log_prob(ConstMatrixView<T> z, std::span<double> log_prob) const {
  require<ShapeError>(z.rows() == dimension_ && z.cols() == std::ssize(log_prob),
                      "base density: latents ({} × {}) and {} log-densities do not fit dimension {}", z.rows(),
                      z.cols(), log_prob.size(), dimension_);
  for (Index i = 0; i < z.cols(); ++i) {
    const T* const column = z.column(i);
    double sum = log_uniform_;
    for (const Index row : periodic_) sum += log_of_box(column[row], -std::numbers::pi_v<T>, std::numbers::pi_v<T>);
    for (const Sphere& sphere : spheres_) {
      const double off = std::abs(radius_of<T>(sphere, z.column_span(i)) - 1);
      sum += std::isnan(off) ? off : off <= unit_tolerance ? 0 : -std::numeric_limits<double>::infinity();
    }
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
    for (const Index row : periodic_) bar[row] = 0;
    for (const Sphere& sphere : spheres_) {
      for (const Index row : sphere) bar[row] = 0;
    }
  }
}

template <class T>
void BaseDensity<T>::draw(random::Stream& stream, std::span<double> z) const {
  require<ShapeError>(std::ssize(z) == dimension_, "base density: room for {} values does not fit dimension {}",
                      z.size(), dimension_);
  draw_one(stream, z);
  for (const Index row : periodic_) {
    z[row] = std::numbers::pi * (2 * stream.uniform() - 1);
  }
  for (const Sphere& sphere : spheres_) {
    for (const Index row : sphere) z[row] = stream.normal();
    const double radius = radius_of<double>(sphere, z);
    for (const Index row : sphere) z[row] /= radius;
  }
}

template <class T>
std::unique_ptr<BaseDensity<T>> make_base(const BaseOptions& options, const BasePlace& place) {
  return options.chosen().maker.template make<T>(place, options.options());
}

template class BaseDensity<float>;
template class BaseDensity<double>;
template std::unique_ptr<BaseDensity<float>> make_base(const BaseOptions&, const BasePlace&);
template std::unique_ptr<BaseDensity<double>> make_base(const BaseOptions&, const BasePlace&);

}  // namespace pushforward::flow
