#pragma once

// The data-parallel sum of a step: gradients, log-likelihood, weights and three flags of all ranks in one buffer.
//
// The gradient of a global batch is Σ over all its rows divided by their total weight: right for uneven shares, for
// ranks without rows and for weighted samples. The flags ride at the end, so that every step agrees on them for free.

#include <pushforward/comm/communicator.hpp>

#include <vector>

namespace pushforward::train {

/// One rank's contribution to a step, or their sum: [gradient | total], T throughout.
template <class T>
class StepSum {
 public:
  enum Total : std::size_t { log_likelihood, weight, non_finite, stop, error, totals };

  explicit StepSum(std::span<T> buffer) : buffer_(buffer) {}

  std::span<T> gradient() { return buffer_.first(buffer_.size() - totals); }
  /// Σ w log p (standardized units), Σ w, and how many ranks raised each flag.
  T& operator[](Total total) { return buffer_[buffer_.size() - totals + total]; }

 private:
  std::span<T> buffer_;
};

/// How a global batch of rows is divided into parts that are worked and added up one by one.
///
/// As it comes (`reproducible` false): one part per rank, one all-reduce. Reproducible: eight parts whatever the number
/// of ranks, contiguous parts to a rank, and a sum in the order of the parts: each rank collects its slice of the
/// buffer from all parts, adds up, and the slices are gathered. Then the result has the same bits on any number of
/// ranks, at the cost of more communication and of ranks beyond the eighth having no rows.
template <class T>
class GradientSum {
 public:
  static constexpr int reproducible_parts = 8;

  GradientSum(const comm::Communicator& comm, Index parameters, bool reproducible);

  /// Parts of the batch in all, and those of this rank: [first, last).
  int parts() const { return parts_; }
  comm::Share local_parts() const { return local_; }
  /// The buffer of the i-th local part, to be filled.
  StepSum<T> part(Index i);

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
  std::vector<T> slices_, result_;  // of the ordered sum
  std::vector<int> send_counts_, receive_counts_, slice_counts_;
  std::vector<T> send_;
};

extern template class GradientSum<float>;
extern template class GradientSum<double>;

}  // namespace pushforward::train
