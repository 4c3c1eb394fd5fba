#pragma once

// Data-parallel training: each rank works its share of the global batch, the sums of all ranks are divided by the
// batch's total weight, and every rank takes the same optimizer step. The samples of a step depend on seed and step
// only, so that runs on any number of ranks follow the same trajectory up to rounding, or bit for bit with
// train.reproducible. What is trained, and to what end, is the objective's business (objective.hpp).

#include <pushforward/train/batch_source.hpp>
#include <pushforward/train/checkpoint.hpp>
#include <pushforward/train/gradient_sum.hpp>
#include <pushforward/train/history.hpp>
#include <pushforward/train/objective.hpp>

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
  Index skipped = 0;                                  ///< steps that were left out, because they were not finite
  Index returned = 0;                                 ///< returns to a checkpoint, because a step was not finite
  Index steps = 0;                                    ///< steps taken
  Index best_step = 0;                                ///< the step that led to the parameters that were kept
  std::optional<flow::Evaluation> best_validation{};  ///< of the parameters that were kept
};

/// What somebody outside wants of a run.
enum class Wish {
  none,
  checkpoint,  ///< write a checkpoint and go on
  stop         ///< write a checkpoint and stop
};

/// What a run calls; each function may be empty.
struct Hooks {
  std::function<void(const HistoryRow&)> observer{};  ///< on all ranks, after each step that makes a row of the history
  std::function<Wish()> wish{};  ///< on each rank, before each step; the wish of one rank is enough
  Warn warn{};                   ///< on rank 0, for what a user should know
};

/// Where a run writes what it keeps; each may be missing.
struct Keeping {
  CheckpointWriter* checkpoints = nullptr;
  std::string diagnosis{};  ///< a file that is written if a step is not finite
};

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

  /// Steps taken so far.
  Index steps() const { return step_; }
  /// Everything that changes from step to step. A trainer of the same options with these values goes on as this one.
  StateSet state();

  /// Runs from the present state to the end. Rows of the history go to `history` on rank 0 only, then to the observer.
  /// There is a checkpoint whenever one is due, and at the end unless the run has diverged. A checkpoint that cannot be
  /// written is a warning, and the next one tries again. Afterwards the objective has the best parameters, baked. With
  /// validation, these are the parameters with the best validation, otherwise the last ones. They are averaged if
  /// train.average is not 0. Collective. Throws NumericalError, the same on all ranks, if the state of a rank differs
  /// from that of the others at a checkpoint.
  Outcome run(History& history, const Keeping& keeping = {}, const Hooks& hooks = {});

 private:
  /// The facts about a step that all ranks know.
  struct Step {
    double train_loss = 0;  // in the units of Objective::add()
    double gradient_norm = 0;
    bool keep = false, stop = false;
    std::string failure;  // if the loss or the gradient is not finite
  };

  /// Takes step number step_, or finds that it is not finite.
  Step take_step(Wish wish);
  /// Returns the sum over all parts of all ranks. failure_ then says what went wrong on this rank.
  StepSum<T> add_up(Wish wish);
  /// Does what train.on_nonfinite says. Returns false if the run must end. Collective.
  bool recover(const Step& step, const StateCopy& good, const Keeping& keeping, const Hooks& hooks);
  /// Writes what is known about a step that is not finite. On rank 0.
  void diagnose(const Step& step, const std::string& path, const Warn& warn);
  /// Validates the averaged parameters and keeps them if they are the best so far.
  flow::Evaluation validate(const flow::Batch<T>& rows);
  /// Tells what the objective has changed about the model, and evaluates the best parameters again then.
  void follow_changes(const flow::Batch<T>& rows, const Warn& warn);
  double learning_rate(Index step) const;

  const comm::Communicator& comm_;
  const Options& options_;
  Objective<T>& objective_;
  BatchSource<T>& source_;
  GradientSum<T> sum_;
  optim::Optimizer<T> optimizer_;
  std::vector<T> average_, best_;  // parameters
  Index step_ = 0;
  Index repeated_ = 0, skipped_ = 0, returned_ = 0;
  Index without_improvement_ = 0;  // validations
  Index best_step_ = 0;
  bool validated_ = false;            // whether there has been a validation
  bool has_best_ = false;             // whether one of them gave a finite loss
  flow::Evaluation best_validation_;  // if has_best_
  double loss_sum_ = 0;               // over the steps since the last row of the history
  Index loss_count_ = 0;
  double seconds_ = 0;      // that the run has taken
  double rate_factor_ = 1;  // of the learning rate, after returns to a checkpoint
  std::string failure_;     // of this rank's samples in the present step
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pushforward::train
