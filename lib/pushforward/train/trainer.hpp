#pragma once

// Data-parallel training: each rank works its share of the global batch, the sums of all ranks are divided by the
// batch's total weight, and every rank takes the same optimizer step. The samples of a step depend on seed and step
// only, so that runs on any number of ranks follow the same trajectory up to rounding, or bit for bit with
// train.reproducible. What is trained, and to what end, is the objective's business (objective.hpp).

#include <pushforward/train/batch_source.hpp>
#include <pushforward/train/gradient_sum.hpp>
#include <pushforward/train/history.hpp>
#include <pushforward/train/objective.hpp>

#include <exception>
#include <functional>
#include <optional>

namespace pushforward::train {

/// How a run ended.
enum class End {
  steps,     ///< all steps were taken
  patience,  ///< validation has not improved for long enough
  stop,      ///< a stop was requested
  diverged   ///< a batch's loss was not finite
};

struct Outcome {
  End end = End::steps;
  std::string reason{};                               ///< of `diverged`, for people, with what may help
  Index repeated = 0;                                 ///< steps that were taken again after Objective::prepare_again()
  Index steps = 0;                                    ///< steps taken
  Index best_step = 0;                                ///< the step that led to the parameters that were kept
  std::optional<flow::Evaluation> best_validation{};  ///< of the parameters that were kept
};

/// Called on all ranks after each step that makes a row of the history.
using Observer = std::function<void(const HistoryRow&)>;
/// Asked on each rank before each step whether the run should stop; one rank is enough.
using StopRequest = std::function<bool()>;

template <class T>
class Trainer {
 public:
  /// Plans the objective's memory. All arguments must outlive the trainer. Uses the train and output options. Not
  /// collective, but the same on all ranks. Throws what plan() and plan_evaluation() of the objective throw.
  Trainer(const comm::Communicator& comm, const Options& options, Objective<T>& objective, BatchSource<T>& source);

  /// The number of rows of the largest part of a batch.
  static Index largest_part(const comm::Communicator& comm, const Options& options);
  /// Bytes that a rank keeps for each parameter, in addition to those of the objective: gradients, two moments of the
  /// optimizer, the averaged and the best parameters.
  static double bytes_of_parameter(int ranks, bool reproducible) {
    return GradientSum<T>::bytes_of_parameter(ranks, reproducible) + 4 * sizeof(T);
  }

  /// Runs. Rows of the history go to `history` on rank 0 only, then to `observer`; either function may be empty.
  /// Afterwards the objective has the best parameters, baked. With validation, these are the parameters with the best
  /// validation, otherwise the last ones. They are averaged if train.average is not 0. Collective. Throws what
  /// `history` throws, the same on all ranks.
  Outcome run(History& history, const Observer& observer, const StopRequest& stop_requested);

 private:
  /// The facts about a step that all ranks know.
  struct Step {
    double train_loss = 0;  // in the units of Objective::add()
    double gradient_norm = 0;
    bool stop = false;
  };

  /// Takes step number step_. Throws NumericalError, the same on all ranks, if a loss is not finite.
  Step take_step(const std::exception_ptr& error, bool stop);
  /// Returns the sum over all parts of all ranks. failure_ then says what went wrong on this rank.
  StepSum<T> add_up(bool error, bool stop);
  /// Validates the averaged parameters and keeps them if they are the best so far.
  flow::Evaluation validate(const flow::Batch<T>& rows, Outcome& outcome);

  const comm::Communicator& comm_;
  const Options& options_;
  Objective<T>& objective_;
  BatchSource<T>& source_;
  GradientSum<T> sum_;
  optim::Optimizer<T> optimizer_;
  std::vector<T> average_, best_;  // parameters
  Index step_ = 0;
  Index repeated_ = 0;
  Index without_improvement_ = 0;  // validations
  bool validated_ = false;         // whether there has been a validation
  std::string failure_;            // of this rank's samples in the present step
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pushforward::train
