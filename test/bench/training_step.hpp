#pragma once

// A training step as train::Trainer takes it, on its own: preparation, such as power iteration, the gradient of this
// rank's share of the batch, all-reduce, optimizer, average. Made of the same classes; test_bench.cpp holds the two
// against each other.

#include <pushforward/optim/optimizer.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/train/gradient_sum.hpp>
#include <pushforward/train/objective.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::bench {

template <class T>
class TrainingStep {
 public:
  /// data: (d × N), the same on all ranks. objective and data must outlive this. Plans the objective's memory.
  TrainingStep(const comm::Communicator& comm, train::Objective<T>& objective, ConstMatrixView<T> data,
               const train::Options& options);

  /// Takes the next step; what log-dets draw is that of `draw_step`. Returns the batch's mean loss. Throws
  /// NumericalError, the same on all ranks, where it is not finite. Collective.
  double take(Index draw_step);
  Index steps() const { return step_; }

  /// Numbers of the rows of this rank's share in the next batch.
  std::span<const Index> next_rows();

  std::span<const T> average() const { return average_; }

 private:
  const comm::Communicator& comm_;
  train::Options options_;
  train::Objective<T>& objective_;
  ConstMatrixView<T> data_;
  comm::Share share_;
  train::GradientSum<T> sum_;
  optim::Optimizer<T> optimizer_;
  random::BatchOrder order_;
  Index step_ = 0;
  std::vector<T> average_;

  Matrix<T> x_;
  std::vector<Index> rows_;
};

extern template class TrainingStep<float>;
extern template class TrainingStep<double>;

}  // namespace pushforward::bench
