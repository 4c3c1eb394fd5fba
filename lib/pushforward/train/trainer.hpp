#pragma once

// Maximum-likelihood training, data-parallel: each rank works its share of the global batch, the sums of all ranks are
// divided by the batch's total weight, and every rank takes the same optimizer step. The rows of a step depend on seed
// and step only, so that runs on any number of ranks follow the same trajectory up to rounding, or bit for bit with
// train.reproducible.

#include <pushforward/random/stream.hpp>
#include <pushforward/train/evaluation.hpp>
#include <pushforward/train/gradient_sum.hpp>
#include <pushforward/train/history.hpp>
#include <pushforward/train/log_dets.hpp>
#include <pushforward/train/training_data.hpp>

#include <exception>

namespace pushforward::train {

/// How a run ended.
enum class End {
  steps,     ///< all steps were taken
  patience,  ///< validation has not improved for long enough
  stop,      ///< a stop was requested
  diverged   ///< a batch's likelihood was not finite
};

struct Outcome {
  End end = End::steps;
  std::string reason;                         ///< of `diverged`, for people, with what may help
  Index repeated = 0;                         ///< steps that were taken again with spectral norms by SVD
  Index steps = 0;                            ///< steps taken
  Index best_step = 0;                        ///< after which the weights that were kept were reached
  std::optional<Evaluation> best_validation;  ///< of theirs, data units
};

/// What a caller hears after each step that makes a row of the history. Called on all ranks.
using Observer = std::function<void(const HistoryRow&)>;

template <class T>
class Trainer {
 public:
  /// A fresh flow, initialized from the first rows. comm, options and data must outlive the trainer. Not collective,
  /// but the same on all ranks. Throws OptionError where train.workspace has no room for a sample of a step, or of an
  /// evaluation where there are rows of validation or test.
  Trainer(const comm::Communicator& comm, const Options& options, const flow::Architecture& architecture,
          const LogDets& log_dets, const TrainingData<T>& data);

  /// Runs. Rows of the history go to `history` on rank 0 only, then to `observer`. `stop_requested` is asked on each
  /// rank before each step; one rank is enough. Afterwards flow() is the best one: that whose validation is better()
  /// than all others when there is validation data, else the last; averaged when train.average is not 0; its weights
  /// folded. Collective. Throws what require_support() throws, before the first step; NumericalError for a flow that is
  /// not invertible where it should be, naming transform and row, and what `history` throws, on all ranks alike.
  Outcome run(History& history, const Observer& observer, const std::function<bool()>& stop_requested);

  /// Throws DataError for columns that are constant in the training rows, unless they are dequantized, and, naming
  /// transform or base density, split, row and bounds, for the first row outside of the
  /// support: of any split where it is that of transforms before any parameter, which nothing can change; of the
  /// training rows where the flow as initialized has bounds elsewhere. Once; run() begins with it. Collective.
  void require_support();

  flow::Flow<T>& flow() { return flow_; }
  /// Bytes of this rank's workspace for a step.
  Index workspace_bytes() const { return workspace_.bytes(); }
  /// NLL of a split in the data's units. Collective.
  Evaluation evaluate(data::Split split, const flow::Flow<T>& flow);

 private:
  /// What all ranks know of a step.
  struct Step {
    double train_nll = 0;  // standardized units
    double gradient_norm = 0;
    bool stop = false;
  };

  /// Takes step number step_. Throws NumericalError, the same on all ranks, when a likelihood is not finite.
  Step take_step(const std::exception_ptr& failure, bool stop);
  /// The sum over this rank's parts and all ranks; what went wrong here is in failure_.
  StepSum<T> add_up(bool failed, bool stop);
  /// Fills `sum` with part number `part` of the step's batch; what went wrong is in failure_.
  void add_part(Index part, StepSum<T> sum);

  /// That of evaluate(), planned when it is first asked for.
  flow::FlowWorkspace<T>& evaluation_workspace();
  /// "transform 3 (coupling)", as messages name it.
  std::string place(Index transform) const;
  /// The part of require_support() about constant columns. The same on all ranks.
  void require_spread() const;
  /// Collective.
  void require_support(data::Split split, flow::Reach reach, flow::FlowWorkspace<T>& workspace) const;

  const comm::Communicator& comm_;
  const Options& options_;
  const TrainingData<T>& data_;
  flow::Flow<T> flow_, average_;
  GradientSum<T> sum_;
  flow::FlowWorkspace<T> workspace_;
  std::optional<flow::FlowWorkspace<T>> evaluation_workspace_;
  optim::Optimizer<T> optimizer_;
  random::BatchOrder order_;
  Index step_ = 0;
  Index repeated_ = 0;
  bool support_checked_ = false;
  std::string failure_;  // of this rank's rows in the present step

  // Of one part of a batch.
  Matrix<T> x_, context_;
  std::vector<T> weight_;
  std::vector<Index> rows_;
  std::vector<double> log_prob_;
  std::vector<flow::Status> status_;
};

extern template class Trainer<float>;
extern template class Trainer<double>;

}  // namespace pushforward::train
