#pragma once

// Flow matching [Lipman et al. 2023; Liu et al. 2023; Albergo & Vanden-Eijnden 2023]: the vector field v of a
// continuous flow is fitted to the velocities of given paths from latents to rows (path.hpp),
//
//   loss = ‖v(x_t, t; u) − ẋ_t‖²/q(t),   x_t = α(t) x₀ + β(t) x₁ + γ(t) ε,
//
// with x₁ a row, x₀ a latent from the base density, ε standard normal, and t drawn from the density q of the path. No
// path is followed in training, so a step costs one pass of the network and its reverse. Where ẋ_t has a singular term,
// its square is left out of the loss.
//
// The couplings (coupling.hpp): independent, or optimal transport over the global batch or several of them, exact or
// entropic [Tong et al. 2024; Pooladian et al. 2023], which makes paths straight. Times are stratified over the global
// batch: t of the row at place i is t((π(i) + U)/B) with a permutation π of the step, so that they are spread evenly.
//
// Transforms without parameters and ActNorms may come before the field. The paths then lead to the images of the rows
// (row_images.hpp). ActNorms keep the values that they have from the data until the steps of maximum likelihood.
//
// Paths may begin at points of a source (data.source) in place of draws from the base density, either at random ones or
// at the point that is given for each row. These points are latents as they are: they are not standardized. If their
// law is that of the base density, log p of the flow is the density that is trained. So it is in rectified flows, whose
// points are the latents of another model and whose rows are its samples [Liu et al. 2023]. If it is another law, the
// flow still maps this law to that of the rows, but its log p means nothing, and nothing is said about likelihoods.
//
// A part of the rows may be trained without their contexts, a fraction `unconditional` that is drawn anew in each step.
// The field then knows samples without a context, and may be guided (ode/guidance.hpp).
//
// The last `likelihood_steps` steps of a run make the negative log-likelihood small instead (likelihood.hpp).
// Validations report the NLL, by which the best parameters are chosen, and the loss on the validation rows. The
// latents, noises and times of these rows are the same in each validation, and they are coupled as in training. If log
// p means nothing, the loss chooses.

#include <pushforward/train/coupling.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/train/path.hpp>
#include <pushforward/transforms/continuous.hpp>

namespace pushforward::train {

struct FlowMatchingOptions {
  static constexpr const char* kind = "flow_matching";
  static constexpr const char* help =
      "flow matching of a continuous flow: the mean of |v(x_t, t) - dx_t/dt|^2 [Lipman et al. 2023]";
  static constexpr bool takes_source = true;
  std::string path = "linear";
  double noise = 0;                       ///< σ, in units of standardized columns
  std::string coupling = "independent";   ///< or optimal_transport, sinkhorn, given
  double regularization = 0.05;           ///< sinkhorn: ε relative to the mean cost above the least one
  std::string coupling_context = "none";  ///< or equal, or cost: see ContextRule
  double context_cost = 10;               ///< cost: λ, in units of standardized columns and contexts
  Index coupling_batch = 1;               ///< global batches whose rows are coupled together
  std::string source_law = "other";       ///< base: the points of the source are draws from the base density
  std::string times = "stratified";       ///< or uniform
  double unconditional = 0;               ///< fraction of the rows that are trained without their contexts, below 1
  Index likelihood_steps = 0;             ///< the last steps of the run, by maximum likelihood

  OptionSet declare();
};

template <class T>
class FlowMatching final : public Objective<T> {
 public:
  /// Throws OptionError unless the flow is one continuous transform, after ActNorms and transforms without parameters,
  /// or if the options do not fit the data and its source.
  FlowMatching(const ObjectivePlace<T>& place, const FlowMatchingOptions& options);

  LossName loss_name() const override { return {"loss", "1"}; }
  LossName validation_name() const override { return has_density_ ? likelihood_.loss_name() : loss_name(); }
  bool has_density() const override { return has_density_; }
  bool validates_loss() const override { return has_density_; }

  void plan(Index n) override;
  void plan_evaluation() override {
    if (has_density_) likelihood_.plan_evaluation();
  }
  Index workspace_bytes() const override;
  /// In addition to what the likelihood demands, throws DataError if the points of the source are said to be draws from
  /// the base density and their mean log-density shows that they are not. Warns of columns of the source that are far
  /// from the scale of latents.
  void require_data(const comm::Communicator& comm, const TrainingData<T>& data, const Warn& warn) override;

  std::span<T> parameters() override { return likelihood_.parameters(); }
  void add_state(StateSet& state) override { likelihood_.add_state(state); }
  std::vector<std::pair<std::string, double>> norms(std::span<const T> values) const override {
    return likelihood_.norms(values);
  }
  void begin_step(const comm::Communicator& comm, Index step) override;
  void prepare() override { likelihood_.prepare(); }
  bool prepare_again(Index attempt, bool folded) override { return likelihood_.prepare_again(attempt, folded); }
  std::string take_changes() override { return likelihood_.take_changes(); }
  LossSum add(const StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) override;
  void gradient_of_raw_parameters(std::span<T> gradient) const override {
    likelihood_.gradient_of_raw_parameters(gradient);
  }

  void prepare_with(std::span<const T> parameters) override { likelihood_.prepare_with(parameters); }
  flow::Evaluation evaluate(const comm::Communicator& comm, const flow::Batch<T>& rows) override {
    return has_density_ ? likelihood_.evaluate(comm, rows) : evaluate_loss(comm, rows);
  }
  /// The rows are those of a split of the data if there is a source.
  flow::Evaluation evaluate_loss(const comm::Communicator& comm, const flow::Batch<T>& rows) override;
  void bake() override { likelihood_.bake(); }

 private:
  // The memory of a pass for some samples.
  struct Memory {
    Memory(const ode::VectorField<T>& field, linalg::Workspace& workspace, Index n, bool has_images, bool leaves_out);
    ode::FieldState<T> field;
    MatrixView<T> image;                  // x₁ (d × n), if transforms come before the field
    MatrixView<T> x, velocity, singular;  // see PathSample (d × n)
    MatrixView<T> value;                  // v (d × n)
    std::span<double> time, weight;       // t, 1/q(t) (n)
    std::span<Index> stratum;             // of the time of each (n)
    std::span<std::int8_t> none;          // 1 for rows that go without their contexts (n), if there are such rows
  };
  // The rows that share out the times: those of a global batch, or all rows of a validation.
  struct Group {
    Index step = 0, rows = 0;
    random::Purpose order;
    double unconditional = 0;  // fraction of the rows that go without their contexts
    const Latents<T>& latents;
    const Coupling<T>& coupling;
  };

  bool is_likelihood(Index step) const { return step >= matching_steps_; }
  /// Throws OptionError if the source does not fit the options and the data.
  void require_source(const Options& options) const;
  /// Throws DataError if the points of the source are not draws from the base density. Not collective.
  void require_base_law() const;
  /// Warns of columns of the source with another scale than latents. Not collective.
  void examine_source(const Warn& warn) const;
  TransportOptions transport_options() const;
  /// The images of rows under the transforms before the field, for couplings.
  ImageOfRows<T> image_of_rows();
  /// Puts the images in the place of the rows of a chunk, until the next call.
  flow::Batch<T> image_of(flow::Batch<T> chunk);
  /// The latents of rows of a split, by a purpose. If the split has no source, they are those of the training rows.
  Latents<T> latents(random::Purpose purpose, data::Split split) const;
  /// Chooses the latents and the coupling of rows that evaluate_loss() gets.
  void choose_check(const flow::Batch<T>& rows);
  /// Writes the points of the samples of a chunk, which begins at a place of its group. A latent that is the antipode
  /// of its row is drawn anew.
  void set_points(const Group& group, Index place, const flow::Batch<T>& chunk);
  /// Returns v at these points.
  MatrixView<T> velocities(const flow::Batch<T>& chunk);
  /// The loss ‖v − ẋ‖²/q of sample j of a chunk, without the square of the singular term.
  double loss_of(MatrixView<T> v, Index j) const;

  Likelihood<T> likelihood_;
  const flow::Flow<T>& flow_;
  const flow::Continuous<T>& transform_;
  const TrainingData<T>& data_;
  RowImages<T> images_;
  std::vector<Index> periodic_;  // values of an image that are angles
  FlowMatchingOptions options_;
  const Path& path_;
  std::uint64_t seed_;
  Index batch_, matching_steps_;
  bool has_density_;  // whether log p means something
  Latents<T> latents_;
  std::unique_ptr<Coupling<T>> coupling_;
  const T* checked_ = nullptr;  // the rows of the last evaluate_loss(), with their latents and coupling
  std::optional<Latents<T>> check_latents_;
  std::unique_ptr<Coupling<T>> check_coupling_;
  Index bytes_;
  linalg::Workspace workspace_;
  std::optional<Memory> memory_;
  Index capacity_ = 0;
  std::vector<double> latent_, noise_;  // (d), of one sample
};

extern template class FlowMatching<float>;
extern template class FlowMatching<double>;

}  // namespace pushforward::train
