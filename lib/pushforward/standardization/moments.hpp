#pragma once

#include <pushforward/core/index.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <span>
#include <vector>

namespace pushforward::data {

/// Weighted mean, covariance and extremes of samples that come in slabs. The moments of each slab are taken about its
/// own mean and merged by the update of Chan, Golub & LeVeque [1983], so that a large mean does not drown a small
/// spread.
class Moments {
 public:
  /// Which second moments are taken: those of each column, in O(N d), or those of all pairs, in O(N d²).
  enum class Second { variances, covariances };

  explicit Moments(Index dimension, Second second = Second::covariances);
  /// Moments from the numbers that pack() wrote.
  Moments(Index dimension, Second second, std::span<const double> packed);

  /// Adds a slab. x: (d × n). weights: (n), not negative, or empty for 1 each. Rows of weight 0 count for nothing.
  void add(ConstMatrixView<double> x, std::span<const double> weights);
  /// Adds the samples of other moments, after those that are here. Slabs that different ranks have taken give the same
  /// bits as slabs that one rank adds, if they are merged in the same order.
  void merge(const Moments& other);

  /// Numbers that pack() writes for d columns.
  static Index packed_size(Index dimension, Second second) {
    return 1 + 3 * dimension + (second == Second::variances ? dimension : dimension * dimension);
  }
  /// Writes the moments to packed_size() numbers.
  void pack(std::span<double> packed) const;

  Index dimension() const { return static_cast<Index>(mean_.size()); }
  double total_weight() const { return total_weight_; }
  const std::vector<double>& mean() const { return mean_; }
  /// (d), normalized by the total weight.
  std::vector<double> variances() const;
  /// (d × d), normalized by the total weight; only the lower triangle is meant. Throws BugError unless covariances are
  /// taken.
  Matrix<double> covariance() const;
  const std::vector<double>& least() const { return least_; }
  const std::vector<double>& greatest() const { return greatest_; }
  /// Whether column i has had one value only, exactly.
  bool is_constant(Index i) const;

 private:
  std::vector<double> mean_;
  Second second_;
  Matrix<double> scatter_;  // Σ w (x − mean)(x − mean)ᵀ (d × d), or its diagonal (d × 1)
  std::vector<double> least_, greatest_;
  double total_weight_ = 0;
};

}  // namespace pushforward::data
