#pragma once

// The data-parallel sum of a step: the gradients, losses, weights and three flags of all ranks.
//
// The gradient of a global batch is the sum over all its samples divided by their total weight. This is right for
// uneven shares, for ranks without samples and for weighted samples. Losses and weights are doubles on the whole way,
// also if the gradient is in float. The flags go along, so that every step agrees on them for free.

#include <pushforward/comm/communicator.hpp>

#include <array>
#include <vector>

namespace pushforward::train {

/// Sums of a step in addition to the gradient: Σ w·loss and Σ w, and how many parts raised each flag.
struct StepTotals {
  double loss = 0;
  double weight = 0;
  double failed = 0;  ///< parts whose loss is not finite
  double folded = 0;  ///< parts that failed because a determinant is ≤ 0
  double keep = 0;    ///< parts of ranks that want a checkpoint
  double stop = 0;    ///< parts of ranks that want to stop
  double error = 0;   ///< parts of ranks with an error

  static constexpr std::size_t size = 7;
  std::array<double, size> values() const { return {loss, weight, failed, folded, keep, stop, error}; }
  static StepTotals from(std::span<const double> values) {
    return {values[0], values[1], values[2], values[3], values[4], values[5], values[6]};
  }
};

/// The sum over all parts of all ranks.
template <class T>
struct StepSum {
  std::span<T> gradient;
  StepTotals totals;
};

/// How a global batch of rows is divided into parts that are worked and added up one by one.
///
/// If `reproducible` is false, each rank has one part. One all-reduce sums the gradients and one sums the totals, which
/// are six doubles. If it is true, there are eight parts on any number of ranks, and each rank has contiguous parts.
/// Each rank collects its slice of the gradient from all parts and adds the parts in their order, and then the slices
/// are gathered. So the result has the same bits on any number of ranks. This costs more communication, and ranks
/// beyond the eighth have no rows.
template <class T>
class GradientSum {
 public:
  static constexpr int reproducible_parts = 8;

  GradientSum(const comm::Communicator& comm, Index parameters, bool reproducible);
  /// Bytes that rank 0, which has most of them, keeps for each parameter on a number of ranks.
  static double bytes_of_parameter(int ranks, bool reproducible);

  /// The number of parts of a batch on a number of ranks. The first part is the largest.
  static int parts(int ranks, bool reproducible) { return reproducible ? reproducible_parts : ranks; }

  /// The number of parts of the batch, and the parts of this rank: [first, last).
  int parts() const { return parts_; }
  comm::Share local_parts() const { return local_; }
  /// The gradient of the i-th local part, to be filled.
  std::span<T> gradient(Index i);
  /// The totals of the i-th local part, to be filled.
  StepTotals& totals(Index i) { return totals_[i]; }

  /// Adds all parts of all ranks. The result lies in a buffer that stays valid until the next call. Collective, no
  /// allocation after the first call.
  StepSum<T> reduce();

 private:
  const comm::Communicator& comm_;
  Index length_;
  int parts_;
  comm::Share local_;
  bool reproducible_;
  std::vector<T> buffers_;          // (length × local parts)
  std::vector<StepTotals> totals_;  // (local parts)
  std::vector<double> table_;       // totals of all parts, or their sum
  std::vector<T> slices_, result_;  // of the ordered sum
  std::vector<int> send_counts_, receive_counts_, slice_counts_;
  std::vector<T> send_;
};

extern template class GradientSum<float>;
extern template class GradientSum<double>;

}  // namespace pushforward::train
