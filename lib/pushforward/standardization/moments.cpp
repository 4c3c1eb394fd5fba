#include <pushforward/standardization/moments.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/linalg/blas.hpp>

#include <cmath>
#include <limits>

namespace pushforward::data {

Moments::Moments(Index dimension)
    : mean_(static_cast<std::size_t>(dimension)),
      scatter_(dimension, dimension),
      least_(mean_.size(), std::numeric_limits<double>::infinity()),
      greatest_(mean_.size(), -std::numeric_limits<double>::infinity()) {}

void Moments::add(ConstMatrixView<double> x, std::span<const double> weights) {
  const Index d = dimension();
  require<ShapeError>(x.rows() == d && (weights.empty() || static_cast<Index>(weights.size()) == x.cols()),
                      "Moments::add: ({} × {}) samples with {} weights, where d = {}", x.rows(), x.cols(),
                      weights.size(), d);
  const auto weight = [&](Index j) { return weights.empty() ? 1.0 : weights[j]; };

  std::vector<double> sum(mean_.size());
  double slab_weight = 0;
  for (Index j = 0; j < x.cols(); ++j) {
    if (weight(j) == 0) continue;
    slab_weight += weight(j);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      const double value = x.column(j)[i];
      sum[i] += weight(j) * value;
      least_[i] = std::min(least_[i], value);
      greatest_[i] = std::max(greatest_[i], value);
    }
  }
  if (slab_weight == 0) return;

  Matrix<double> centered(d, x.cols());
  for (Index j = 0; j < x.cols(); ++j) {
    const double root = std::sqrt(weight(j));
    for (std::size_t i = 0; i < sum.size(); ++i) {
      centered(static_cast<Index>(i), j) = root * (x.column(j)[i] - sum[i] / slab_weight);
    }
  }
  linalg::gemm(linalg::Op::none, linalg::Op::transpose, 1.0, centered.view(), centered.view(), 1.0, scatter_.view());

  std::vector<double> shift(mean_.size());
  for (std::size_t i = 0; i < shift.size(); ++i) shift[i] = sum[i] / slab_weight - mean_[i];
  const double joined = total_weight_ + slab_weight;
  linalg::ger(total_weight_ * slab_weight / joined, shift, shift, scatter_.view());
  for (std::size_t i = 0; i < shift.size(); ++i) mean_[i] += shift[i] * slab_weight / joined;
  total_weight_ = joined;
}

Matrix<double> Moments::covariance() const {
  Matrix<double> covariance = scatter_;
  for (double& c : covariance.span()) c /= total_weight_;
  return covariance;
}

bool Moments::is_constant(Index i) const {
  return !(least_[i] < greatest_[i]);
}

}  // namespace pushforward::data
