#pragma once

// Fits a flow to data: from options and rows to a trained flow, its history and a model file.
//
//     train::TrainingData<float> data(comm, options.data);          // or from a caller's ArrayRows
//     const auto fitted = train::fit(comm, options, data);
//     fitted.flow …                                                 // on standardized rows
//
// Fit does the same in steps, for programs that report what they do.

#include <pushforward/train/log_dets.hpp>
#include <pushforward/train/objective.hpp>
#include <pushforward/train/trainer.hpp>

#include <memory>

namespace pushforward::train {

/// Choices about a run in addition to its options.
template <class T>
struct FitSetup {
  std::optional<flow::Architecture> architecture{};  ///< of the flow; if there is none, options.model decides
  std::string history{};                             ///< CSV file; "" for a history in memory only
  std::string checkpoint{};                          ///< checkpoint file; "" for a run without checkpoints
  std::string diagnosis{};                           ///< file that is written if a step is not finite; "" for none
};

/// The result of fit().
template <class T>
struct Fitted {
  flow::Flow<T> flow;  ///< on standardized rows, with its best parameters, prepared
  Outcome outcome;     ///< check its end: a run that has diverged is no error
  History history;
};

/// A training run of a flow.
template <class T>
class Fit {
 public:
  /// Prepares everything for the first step: log-dets, a fresh flow that is initialized from the first rows, the
  /// objective, and memory. If there is a checkpoint and checkpoint.restart allows it, the run goes on from there:
  /// options and data must be those of the checkpoint, but for keys without effect on the course and a larger
  /// train.steps. A finished run on another file is no obstacle: the new run replaces it, with a warning. comm and data
  /// must outlive the object. `warn` is called on rank 0. Collective. Throws OptionError and
  /// ShapeError, the same on all ranks, if options, architecture and data do not go together or train.workspace is too
  /// small; DataError for a checkpoint of another run; IoError for one that cannot be used.
  Fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data, FitSetup<T> setup = {},
      const Warn& warn = {});

  /// The checkpoint that the run goes on from, and the steps that it has; none for a new run.
  const std::optional<std::string>& continued_from() const { return continued_from_; }
  Index steps_before() const { return steps_before_; }

  const LogDets& log_dets() const { return log_dets_; }
  /// The flow, on standardized rows. After run() it has its best parameters.
  flow::Flow<T>& flow() { return *flow_; }
  const Objective<T>& objective() const { return *objective_; }

  /// Throws DataError, the same on all ranks, if the objective cannot be trained on these rows. `warn` is called on
  /// rank 0 for what a user should know about them. run() begins with it. Collective.
  void require_data(const Warn& warn = [](const std::string&) {});
  /// Trains, as Trainer::run() does. Check the end of the outcome: a run that has diverged is no error here.
  /// Collective.
  const Outcome& run(const Hooks& hooks = {});
  const Outcome& outcome() const { return outcome_; }
  const History& history() const { return history_; }
  /// Moves the flow and the records of the run out of an object that is of no use afterwards.
  Fitted<T> result() && { return {std::move(*flow_), std::move(outcome_), std::move(history_)}; }

  /// Evaluates the flow on all rows of a split, in the units that the objective reports. Collective.
  flow::Evaluation evaluate(data::Split split) { return objective_->evaluate(comm_, data_.batch(split)); }
  /// Writes the trained flow with standardization, history and provenance as a model file, atomically. Call it after
  /// run(). Collective. Throws IoError, the same on all ranks.
  void save(const std::string& path);

 private:
  const comm::Communicator& comm_;
  Options options_;
  const TrainingData<T>& data_;
  FitSetup<T> setup_;
  std::string configuration_;
  std::string data_digest_, source_digest_;  // on rank 0
  std::optional<std::string> continued_from_;
  Index steps_before_ = 0;
  std::optional<CheckpointWriter> checkpoints_;
  LogDets log_dets_;
  std::optional<flow::Flow<T>> flow_;
  std::unique_ptr<Objective<T>> objective_;
  std::optional<RowBatches<T>> source_;
  std::optional<Trainer<T>> trainer_;
  bool checked_ = false;
  History history_;
  Outcome outcome_;
};

/// Trains a flow on data. Collective. Throws what Fit throws.
template <class T>
Fitted<T> fit(const comm::Communicator& comm, const Options& options, const TrainingData<T>& data,
              FitSetup<T> setup = {}, const Hooks& hooks = {});

extern template class Fit<float>;
extern template class Fit<double>;
extern template Fitted<float> fit(const comm::Communicator&, const Options&, const TrainingData<float>&,
                                  FitSetup<float>, const Hooks&);
extern template Fitted<double> fit(const comm::Communicator&, const Options&, const TrainingData<double>&,
                                   FitSetup<double>, const Hooks&);

}  // namespace pushforward::train
