#pragma once

// Where the batches of a training run come from.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/transforms/batch.hpp>

#include <cstdint>
#include <vector>

namespace pushforward::train {

template <class T>
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  /// Returns the samples [share.first, share.last) of the global batch of a step. The samples are a function of the
  /// step and of their places in the batch, so that runs on any number of ranks see the same batches. The memory stays
  /// valid until the next call. Not collective.
  virtual flow::Batch<T> next(Index step, comm::Share share) = 0;
  /// Returns the rows that validations evaluate, whole on every rank; empty if nothing is validated.
  virtual flow::Batch<T> validation() const = 0;
};

/// Batches of rows in a shuffled order: each row once before any row comes again.
template <class T>
class RowBatches final : public BatchSource<T> {
 public:
  /// train, validation: all rows, which must outlive the object. batch: rows of the global batch. seed: of the order,
  /// and of what stochastic passes draw for a row.
  RowBatches(const flow::Batch<T>& train, const flow::Batch<T>& validation, Index batch, std::uint64_t seed);

  flow::Batch<T> next(Index step, comm::Share share) override;
  flow::Batch<T> validation() const override { return validation_; }
  /// Returns the first n rows that a run takes, without weights and draws. Valid until the next call of any function.
  flow::Batch<T> first_rows(Index n);

 private:
  /// Copies the rows with numbers rows_ to x_, context_ and weight_.
  flow::Batch<T> gather();

  flow::Batch<T> train_, validation_;
  std::uint64_t seed_;
  random::BatchOrder order_;
  std::vector<Index> rows_;
  std::vector<T> x_, context_, weight_;  // of rows_
};

extern template class RowBatches<float>;
extern template class RowBatches<double>;

}  // namespace pushforward::train
