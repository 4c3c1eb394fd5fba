#pragma once

// Maximum likelihood: loss = −log p(x | u), nats. On continuous flows there may be penalties for the kinetic energy of
// paths and the norm of Jacobians (ode/runge_kutta.hpp), which are part of the loss in training but not in validations.

#include <pushforward/train/grid_guard.hpp>
#include <pushforward/train/objective.hpp>
#include <pushforward/train/objective_kind.hpp>

#include <optional>

namespace pushforward::train {

struct LikelihoodOptions {
  static constexpr const char* kind = "likelihood";
  static constexpr const char* help = "maximum likelihood: the mean of -log p, weighted and conditional";

  OptionSet declare() { return {}; }
};

/// The inputs of a likelihood in addition to the flow.
struct LikelihoodSetup {
  double log_det = 0;  ///< log|det| of the map from the data's units to the flow's, nats: subtracted in reports
  Index bytes = flow::default_workspace_bytes;  ///< for the passes of a step, and of an evaluation
  std::uint64_t seed = 0;                       ///< of the draws with which require_data() dequantizes
  ode::Penalty penalty{};                       ///< in training, of transforms that integrate an equation
};

/// The negative log-likelihood of a flow, weighted and conditional. If a log-density is not finite, the step is tried
/// again with spectral norms by SVD: a power iteration bounds a norm from below only, and now and then a weight has
/// outgrown it. Grids that turn out to be too coarse are made finer (grid_guard.hpp), and the step is tried again on
/// them.
template <class T>
class Likelihood final : public Objective<T> {
 public:
  /// The flow must outlive the objective.
  /// Throws OptionError for a penalty if nothing in the flow has one.
  explicit Likelihood(flow::Flow<T>& flow, const LikelihoodSetup& setup = {});
  /// Reports in the data's units, and takes the memory and the seed of the run.
  explicit Likelihood(const ObjectivePlace<T>& place, const LikelihoodOptions& options = {});

  LossName loss_name() const override { return {"nll", "nat"}; }
  double reported(double mean_loss) const override { return mean_loss - setup_.log_det; }

  void plan(Index n) override;
  void plan_evaluation() override;
  Index workspace_bytes() const override { return workspace_ ? workspace_->bytes() : 0; }
  /// Throws DataError for columns that are constant in the training rows and for training rows without a density
  /// (density_check.hpp), unless they are dequantized. Throws DataError for the first row outside the support, with
  /// transform or base density, split, row and bounds. A row of any split is refused if no parameter can change that. A
  /// training row is also refused if the flow as it is excludes it.
  void require_data(const comm::Communicator& comm, const TrainingData<T>& data, const Warn& warn) override;

  std::span<T> parameters() override { return flow_.parameters(); }
  void add_state(StateSet& state) override;
  std::vector<std::pair<std::string, double>> norms(std::span<const T> values) const override;
  /// Compares grids with their limits now and then.
  void begin_step(const comm::Communicator& comm, Index step) override;
  void prepare() override;
  bool prepare_again(Index attempt, bool folded) override;
  std::string take_changes() override { return guard_.take_changes(); }
  LossSum add(const StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) override;
  void gradient_of_raw_parameters(std::span<T> gradient) const override { flow_.gradient_of_raw_parameters(gradient); }

  void prepare_with(std::span<const T> parameters) override;
  flow::Evaluation evaluate(const comm::Communicator& comm, const flow::Batch<T>& rows) override;
  void bake() override;

 private:
  /// A workspace within setup_.bytes. Throws OptionError if a single sample has no room in it.
  flow::FlowWorkspace<T> workspace(Index most, nn::Pass pass) const;
  /// Plans the present workspaces anew, for other grids.
  void plan_again();
  /// Follows the grids of the guard's state, which a checkpoint may have set.
  void follow_grids();
  /// "transform 3 (coupling)", as messages name it.
  std::string place(Index transform) const;
  /// The part of require_data() about constant columns. Not collective.
  void require_spread(const TrainingData<T>& data) const;
  /// The part of require_data() about rows without a density. Not collective.
  void require_density(const TrainingData<T>& data, const Warn& warn) const;
  /// The part of require_data() about the support, for one split. Collective.
  void require_support(const comm::Communicator& comm, const TrainingData<T>& data, data::Split split,
                       flow::Reach reach, flow::FlowWorkspace<T>& workspace) const;

  flow::Flow<T>& flow_;
  LikelihoodSetup setup_;
  GridGuard<T> guard_;
  flow::Batch<T> training_rows_;  // for comparisons of grids with their limits; empty if they are not known
  std::optional<flow::FlowWorkspace<T>> workspace_, evaluation_workspace_;
  std::vector<double> log_prob_;      // of one batch
  std::vector<flow::Status> status_;  // of one batch
};

extern template class Likelihood<float>;
extern template class Likelihood<double>;

}  // namespace pushforward::train
