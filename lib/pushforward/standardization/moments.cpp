#include <pushforward/standardization/moments.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/linalg/blas.hpp>

#include <cmath>
#include <limits>

namespace pushforward::data {

Moments::Moments(Index dimension, Second second)
    : mean_(static_cast<std::size_t>(dimension)),
      second_(second),
      scatter_(dimension, second == Second::variances ? 1 : dimension),
      least_(mean_.size(), std::numeric_limits<double>::infinity()),
      greatest_(mean_.size(), -std::numeric_limits<double>::infinity()) {}

Moments::Moments(Index dimension, Second second, std::span<const double> packed) : Moments(dimension, second) {
  require<ShapeError>(std::ssize(packed) == packed_size(dimension, second), "moments of {} columns from {} numbers",
                      dimension, packed.size());
  const auto* from = packed.data();
  total_weight_ = *from++;
  for (auto* const to : {&mean_, &least_, &greatest_}) {
    std::copy_n(from, dimension, to->begin());
    from += dimension;
  }
  std::copy_n(from, scatter_.size(), scatter_.data());
}

void Moments::pack(std::span<double> packed) const {
  require<ShapeError>(std::ssize(packed) == packed_size(dimension(), second_), "moments of {} columns to {} numbers",
                      dimension(), packed.size());
  auto* to = packed.data();
  *to++ = total_weight_;
  for (const auto* const from : {&mean_, &least_, &greatest_}) to = std::copy(from->begin(), from->end(), to);
  std::copy_n(scatter_.data(), scatter_.size(), to);
}

void Moments::add(ConstMatrixView<double> x, std::span<const double> weights) {
  const Index d = dimension();
  require<ShapeError>(x.rows() == d && (weights.empty() || static_cast<Index>(weights.size()) == x.cols()),
                      "Moments::add: ({} × {}) samples with {} weights, where d = {}", x.rows(), x.cols(),
                      weights.size(), d);
  const auto weight = [&](Index j) { return weights.empty() ? 1.0 : weights[j]; };
  Moments slab(d, second_);
  for (Index j = 0; j < x.cols(); ++j) {
    if (weight(j) == 0) continue;
    slab.total_weight_ += weight(j);
    for (std::size_t i = 0; i < mean_.size(); ++i) {
      const double value = x.column(j)[i];
      slab.mean_[i] += weight(j) * value;
      slab.least_[i] = std::min(slab.least_[i], value);
      slab.greatest_[i] = std::max(slab.greatest_[i], value);
    }
  }
  if (slab.total_weight_ == 0) return;
  for (double& mean : slab.mean_) mean /= slab.total_weight_;

  if (second_ == Second::variances) {
    for (Index j = 0; j < x.cols(); ++j) {
      for (std::size_t i = 0; i < mean_.size(); ++i) {
        const double off = x.column(j)[i] - slab.mean_[i];
        slab.scatter_.data()[i] += weight(j) * off * off;
      }
    }
    return merge(slab);
  }
  Matrix<double> centered(d, x.cols());
  for (Index j = 0; j < x.cols(); ++j) {
    const double root = std::sqrt(weight(j));
    for (std::size_t i = 0; i < mean_.size(); ++i) {
      centered(static_cast<Index>(i), j) = root * (x.column(j)[i] - slab.mean_[i]);
    }
  }
  linalg::gemm(linalg::Op::none, linalg::Op::transpose, 1.0, centered.view(), centered.view(), 0.0,
               slab.scatter_.view());
  merge(slab);
}

void Moments::merge(const Moments& other) {
  require<ShapeError>(other.dimension() == dimension(), "Moments::merge: moments of {} columns, where d = {}",
                      other.dimension(), dimension());
  require<BugError>(other.second_ == second_, "Moments::merge: variances and covariances");
  if (other.total_weight_ == 0) return;
  const double joined = total_weight_ + other.total_weight_;
  std::vector<double> shift(mean_.size());
  for (std::size_t i = 0; i < shift.size(); ++i) shift[i] = other.mean_[i] - mean_[i];
  for (Index i = 0; i < scatter_.size(); ++i) scatter_.data()[i] += other.scatter_.data()[i];
  const double between = total_weight_ * (other.total_weight_ / joined);
  if (second_ == Second::covariances) {
    linalg::ger(between, shift, shift, scatter_.view());
  } else {
    for (std::size_t i = 0; i < shift.size(); ++i) scatter_.data()[i] += between * shift[i] * shift[i];
  }
  for (std::size_t i = 0; i < shift.size(); ++i) {
    mean_[i] += shift[i] * other.total_weight_ / joined;
    least_[i] = std::min(least_[i], other.least_[i]);
    greatest_[i] = std::max(greatest_[i], other.greatest_[i]);
  }
  total_weight_ = joined;
}

std::vector<double> Moments::variances() const {
  std::vector<double> variances(mean_.size());
  const Index step = second_ == Second::variances ? 1 : dimension() + 1;
  for (Index i = 0; i < dimension(); ++i) variances[i] = scatter_.data()[i * step] / total_weight_;
  return variances;
}

Matrix<double> Moments::covariance() const {
  require<BugError>(second_ == Second::covariances, "Moments::covariance: only variances were taken");
  Matrix<double> covariance = scatter_;
  for (double& c : covariance.span()) c /= total_weight_;
  return covariance;
}

bool Moments::is_constant(Index i) const {
  return !(least_[i] < greatest_[i]);
}

}  // namespace pushforward::data
