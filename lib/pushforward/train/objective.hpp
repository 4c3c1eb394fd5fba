#pragma once

// An objective is what a training run makes small: the weighted mean over the training samples of a loss. The trainer
// knows steps, sums over ranks, optimizer and patience; everything about the model and its loss is the objective's.
//
// The trainer calls, in this order:
//
//   at the beginning   plan(), and plan_evaluation() if there are rows to validate
//   in each step       begin_step() and prepare(), then add() for each part of this rank's batch, then
//   gradient_of_raw_parameters() on
//                      the sum over all ranks
//   for a validation   prepare_with(), evaluate() and, if validates_loss(), evaluate_loss()
//   at the end         bake()
//
// An objective may keep state from step to step, which add_state() names.

#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/core/state_set.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/train/history.hpp>
#include <pushforward/train/training_data.hpp>
#include <pushforward/transforms/batch.hpp>

#include <cmath>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pushforward::train {

/// Where the samples of a call of Objective::add() stand in a run.
struct StepPart {
  Index step = 0;   ///< number of the step, from 0
  Index first = 0;  ///< place of the first sample in the global batch
  Index batch = 0;  ///< samples of the global batch
};

/// Sums over the samples of a batch.
struct LossSum {
  double loss = 0;      ///< Σ w·loss
  double weight = 0;    ///< Σ w
  std::string failure;  ///< if the loss of a sample is not finite: where, why and what may help; else ""
  bool folded = false;  ///< whether it failed because a determinant is ≤ 0, so that the map is not invertible
};

/// The end of messages about steps that went too far.
inline constexpr std::string_view smaller_steps = "; try a smaller train.learning_rate, or train.clip = 1";

template <class T>
class Objective {
 public:
  virtual ~Objective() = default;

  /// The name and the units of the loss that add() gives, for the history.
  virtual LossName loss_name() const = 0;
  /// The name and the units of what evaluate() gives.
  virtual LossName validation_name() const { return loss_name(); }
  /// Whether log p of the flow is the density of the rows, so that it means something.
  virtual bool has_density() const { return true; }
  /// Whether a validation gives the loss of add() as well, because evaluate() gives another figure.
  virtual bool validates_loss() const { return false; }
  LossNames loss_names() const { return {loss_name(), validation_name(), validates_loss()}; }
  /// Converts a mean loss over training samples, as it follows from add(), to the units that the history reports.
  virtual double reported(double mean_loss) const { return mean_loss; }

  /// Plans memory for batches of at most n samples, unless that has been done. Throws OptionError if the options leave
  /// too little. Not collective.
  virtual void plan(Index n) = 0;
  /// Plans memory for evaluate(), unless that has been done. Throws what plan() throws. Not collective.
  virtual void plan_evaluation() = 0;
  /// Bytes of this rank's memory for a step.
  virtual Index workspace_bytes() const = 0;
  /// Throws DataError, the same on all ranks, for rows that no training can fit. `warn` is called on rank 0 for what a
  /// user should know about the rows. Called before the first step. Collective.
  virtual void require_data(const comm::Communicator& comm, const TrainingData<T>& data, const Warn& warn) = 0;

  /// The parameters that are trained, flat. The trainer changes them between steps.
  virtual std::span<T> parameters() = 0;
  /// What the objective keeps from step to step in addition to parameters(). A checkpoint holds it.
  virtual void add_state(StateSet& /*state*/) {}
  /// The norms of parts of an array with the layout of parameters(), by name, for diagnoses.
  virtual std::vector<std::pair<std::string, double>> norms(std::span<const T> values) const {
    return {{"parameters", std::sqrt(linalg::dot_in_double(values.data(), values.data(), std::ssize(values)))}};
  }
  /// Called at the beginning of a step, the same step on all ranks. Collective.
  virtual void begin_step(const comm::Communicator& /*comm*/, Index /*step*/) {}
  /// Prepares for add() after the parameters have changed.
  virtual void prepare() = 0;
  /// Prepares again, in another way, after a loss was not finite. attempt: how often that has been done in this step.
  /// folded: whether a determinant was ≤ 0 on any rank. Returns false if there is nothing else to try; then the run
  /// ends. The same on all ranks.
  virtual bool prepare_again(Index /*attempt*/, bool /*folded*/) { return false; }
  /// Says, for people, what the objective has changed about the model of its own accord since the last call, the same
  /// on all ranks; "" if nothing. Evaluations before such a change are of another model.
  virtual std::string take_changes() { return ""; }
  /// Adds the gradient of Σ w·loss over the batch to `gradient`, and returns the sums. The gradient may be one with
  /// respect to other parameters, which gradient_of_raw_parameters() turns into the gradient with respect to
  /// parameters(). If the loss is not finite, the gradient means nothing. Not collective. Does not allocate unless it
  /// fails.
  virtual LossSum add(const StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) = 0;
  /// Turns a sum of the gradients of add() into the gradient with respect to parameters(), in place.
  virtual void gradient_of_raw_parameters(std::span<T> gradient) const = 0;

  /// Prepares for evaluate() with other parameters than parameters(), which keep their values. Call prepare() before
  /// the next add().
  virtual void prepare_with(std::span<const T> parameters) = 0;
  /// Evaluates rows that all ranks have whole, in the units that are reported, with the parameters that were prepared
  /// last. Collective.
  virtual flow::Evaluation evaluate(const comm::Communicator& comm, const flow::Batch<T>& rows) = 0;
  /// Evaluates the loss of add() on rows that all ranks have whole, in the units that are reported, with the parameters
  /// that were prepared last. Its draws are the same in every call, so that the values of a run can be compared. Only
  /// called if validates_loss(). Collective.
  virtual flow::Evaluation evaluate_loss(const comm::Communicator& comm, const flow::Batch<T>& rows) {
    return evaluate(comm, rows);
  }
  /// Whether an evaluation says that the model is better than one with evaluation `other` of the same rows.
  virtual bool better(const flow::Evaluation& evaluation, const flow::Evaluation& other) const {
    return flow::better(evaluation, other);
  }

  /// Makes parameters() those that a model file holds, and prepares for evaluations. Called once the run has ended.
  virtual void bake() = 0;
};

}  // namespace pushforward::train
