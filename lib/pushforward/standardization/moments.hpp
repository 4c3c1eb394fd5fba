#pragma once

#include <pushforward/core/index.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <span>
#include <vector>

namespace pushforward::data {

/// Weighted mean, covariance and extremes of samples that come in slabs. Slabs are centered on their own mean and
/// joined by the update of Chan, Golub & LeVeque [1983], so that a large mean does not drown a small spread.
class Moments {
 public:
  explicit Moments(Index dimension);

  /// x: (d × n). weights: (n), not negative, or empty for 1 each. Rows of weight 0 count for nothing.
  void add(ConstMatrixView<double> x, std::span<const double> weights);

  Index dimension() const { return static_cast<Index>(mean_.size()); }
  double total_weight() const { return total_weight_; }
  const std::vector<double>& mean() const { return mean_; }
  /// (d × d), normalized by the total weight; only the lower triangle is meant.
  Matrix<double> covariance() const;
  const std::vector<double>& least() const { return least_; }
  const std::vector<double>& greatest() const { return greatest_; }
  /// Whether column i has had one value only, exactly.
  bool is_constant(Index i) const;

 private:
  std::vector<double> mean_;
  Matrix<double> scatter_;  // Σ w (x − mean)(x − mean)ᵀ
  std::vector<double> least_, greatest_;
  double total_weight_ = 0;
};

}  // namespace pushforward::data
