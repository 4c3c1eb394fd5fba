#pragma once

// A flow: a chain of transforms and a base density.
//
//     log p(x | u) = log p₀(z) + Σ log|det ∂f_k|,   z = f_K ∘ … ∘ f_1 (x; u)
//
// All parameters lie in one flat buffer. Samples are columns. Log-densities are doubles, in nats. Nothing here
// communicates. The context u is data: (c × n), one column per sample. It is empty if the flow has none.
//
// If a transform factors values out, they keep their rows in z: the first rows go on to the next transform.

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/flow/architecture.hpp>
#include <pushforward/flow/families.hpp>
#include <pushforward/transforms/batch.hpp>
#include <pushforward/transforms/estimated.hpp>
#include <pushforward/transforms/integrated.hpp>
#include <pushforward/transforms/supported.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

/// The place where a pass first went wrong. For the base density, `transform` is the number of transforms.
struct Failure {
  Index transform;
  Index sample;
  Status status;
};

/// A sample that a flow does not admit.
struct Exclusion {
  Index transform;  ///< for the base density, the number of transforms
  Index sample;
  Status status;
  std::string reason;  ///< "value 3 is 9, and only integers from 0 to 3 are admitted"; "" if nothing more is known
};
/// How much of a flow is asked: the transforms that come before any parameter, or all of them and the base density.
enum class Reach { fixed, whole };

/// The default of a rank's memory for passes, bytes.
inline constexpr Index default_workspace_bytes = 256'000'000;

template <class T>
class FlowWorkspace;

template <class T>
class Flow {
 public:
  /// Bytes that a flow keeps for each parameter, at least: the parameter itself and its effective value.
  static constexpr double bytes_of_parameter = 2 * sizeof(T);

  /// Makes a flow with the parameters of Trained::initialize(), and prepares it. seed: of the initial weights.
  /// bytes_each: the memory of each parameter, with everything that the caller keeps for it. most_parameters: the
  /// largest number of parameters. Throws OptionError and ShapeError, with transform and sizes, if the pieces of the
  /// chain do not fit, and OptionError, before anything is computed, if there are more parameters or no memory for
  /// them.
  Flow(Architecture architecture, std::uint64_t seed, double bytes_each = bytes_of_parameter,
       double most_parameters = std::numeric_limits<double>::infinity());
  /// Makes a flow of a family on vectors of this dimension.
  Flow(Index dimension, const FlowOptions& options, std::uint64_t seed);

  Index dimension() const { return architecture_.data.size(); }
  const Architecture& architecture() const { return architecture_; }
  const nn::ParameterLayout& layout() const { return layout_; }
  const std::vector<std::unique_ptr<Transform<T>>>& transforms() const { return transforms_; }
  const BaseDensity<T>& base() const { return *base_; }

  /// The flat buffer. After writing to it, prepare().
  std::span<T> parameters() { return parameters_.span(); }
  std::span<const T> parameters() const { return parameters_.span(); }
  void prepare(Normalization normalization);
  /// Prepares for passes with other parameters, such as averages of parameters(), which keep their values. `parameters`
  /// has the layout of parameters().
  void prepare(std::span<const T> parameters, Normalization normalization);

  /// What prepare() keeps for its next call: the vectors of power iterations. With it and with parameters(), another
  /// flow of the same architecture goes on as this one.
  void add_state(StateSet& state);

  /// Chooses the estimator of log-dets for add_gradient() (Pass::gradient) or for log_prob() (Pass::evaluate). Until
  /// then it is the exact one. The choice holds for workspaces that are planned from now on. inverse() needs an exact
  /// one. Transforms of other kinds than the method's keep theirs. Throws OptionError.
  void set_log_det(Pass pass, const logdet::Method& method);

  /// The options of the transforms that integrate a differential equation, in order; none for most flows.
  std::vector<IntegrationOptions> integrations() const;
  /// Replaces them, also in architecture(). Workspaces keep the grids for which they were planned.
  void set_integrations(std::span<const IntegrationOptions> options);
  /// Workspaces that are planned from now on belong to the map that a sampler makes (integrated.hpp), but those for
  /// Pass::gradient. Throws OptionError if no transform integrates an equation, or for an unknown solver.
  void set_sampler(const Sampler& sampler);
  /// Workspaces that are planned from now on for Pass::evaluate belong to a sampler by a stochastic differential
  /// equation in the place of the last transform (integrated.hpp). inverse() then gives its samples, and its log_prob
  /// means nothing. log_prob() throws OptionError. Throws OptionError unless the last transform integrates an equation.
  void set_diffusion(const ode::Diffusion& diffusion);
  /// Guides the vector fields: see Integrated::set_guidance(). Workspaces that were planned before are of no use any
  /// more. Throws OptionError if no transform integrates an equation, or if a field cannot be guided.
  void set_guidance(double scale);

  /// Sets the parameters that start from the data. The batch is the same on all ranks; each transform sees it as the
  /// transforms before leave it. Weights are not used. Leaves the flow prepared. No log-dets are computed. In addition
  /// to a copy of the samples, `bytes` of memory are used; larger batches are worked in chunks, with the same result up
  /// to rounding.
  void initialize_from_data(const Batch<T>& batch, Index bytes = default_workspace_bytes);
  /// Prepares by SVD and overwrites parameters with effective parameters, which a model file holds.
  void bake_normalization();

  /// batch: (d × n) in; weights are not used. log_prob: (n) out. z: (d × n) out, or empty. status: (n) out. If a status
  /// is not ok, log_prob is NaN; outside the support it is −∞. report: out, sums over the transforms; with a report
  /// that is not empty, the workspace is planned for Pass::evaluate.
  void log_prob(const Batch<T>& batch, std::span<double> log_prob, MatrixView<T> z, std::span<Status> status,
                FlowWorkspace<T>& workspace, const IntegrationReport& report = {}) const;

  /// x = f⁻¹(z). z: (d × n) in. x: (d × n) out, must not alias z. log_prob: (n) out, of x. status: (n) out. The
  /// workspace is planned for Pass::evaluate. report: out, as in log_prob(). draws: of the noise of a diffusion.
  void inverse(ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_prob, std::span<Status> status,
               const InverseOptions& options, FlowWorkspace<T>& workspace, ConstMatrixView<T> context = {},
               const IntegrationReport& report = {}, const logdet::Draws& draws = {}) const;

  /// Returns Σᵢ wᵢ log p(xᵢ) over a batch (d × n) and adds its gradient. gradient: the flat buffer, added to, with
  /// respect to effective parameters; call gradient_of_raw_parameters() once all is added. log_prob, status: (n) out.
  /// If a status is not ok, the gradient is not finite or means nothing. The workspace is planned for Pass::gradient.
  double add_gradient(const Batch<T>& batch, std::span<T> gradient, std::span<double> log_prob,
                      std::span<Status> status, FlowWorkspace<T>& workspace) const;
  /// The gradient through the inverse x = f⁻¹(z), with z held fixed. Adds the gradient of Σᵢ x̄ᵢ·xᵢ + Σᵢ wᵢ log p(xᵢ)
  /// with respect to effective parameters to `gradient`, the flat buffer, and writes the gradient with respect to z to
  /// z_bar. So the reverse KL divergence E[log p(x) − log π(x)] over latents z has x̄ = −∇log π(x) and w = 1. batch: x
  /// (d × n), which inverse() has found, with weights of any sign. x_bar: (d × n) in. z_bar: (d × n) out, must not
  /// alias x_bar. log_prob, status: (n) out, as in log_prob(). If a status is not ok, the gradient is not finite or
  /// means nothing. The workspace is planned for Pass::gradient; the first call on it allocates memory.
  void add_inverse_gradient(const Batch<T>& batch, ConstMatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> z_bar,
                            std::span<double> log_prob, std::span<Status> status, FlowWorkspace<T>& workspace) const;
  /// Turns the gradient with respect to effective parameters into the gradient with respect to parameters(), in place.
  void gradient_of_raw_parameters(std::span<T> gradient) const;

  /// z = f(x), without log-dets. batch: (d × n) in. z: (d × n) out. status: (n) out: not_finite if x is not finite,
  /// the status of the transform that excludes x, or ok. Neither the base density nor determinants are asked. The
  /// workspace may be planned for Pass::map_only.
  void map(const Batch<T>& batch, MatrixView<T> z, std::span<Status> status, FlowWorkspace<T>& workspace) const;

  /// How many transforms come before any parameter.
  Index fixed_transforms() const;
  /// Whether the base density, or a transform after the first parameter, has a bounded support.
  bool is_bounded() const;
  /// Returns the first sample of the batch that the flow excludes as it is now. With Reach::fixed this is a sample
  /// whose status is not ok before any parameter, so that no parameter can change it. With Reach::whole it is a sample
  /// outside the support of a transform or of the base density. The workspace may be planned for Pass::map_only.
  /// Allocates.
  std::optional<Exclusion> excluded(const Batch<T>& batch, Reach reach, FlowWorkspace<T>& workspace) const;

 private:
  /// The further interfaces that a transform has; null if it does not have them.
  struct Roles {
    Trained<T>* trained;
    Estimated<T>* estimated;
    Integrated<T>* integrated;
    const Supported* supported;
  };

  /// Which log-dets a pass computes. If reverse passes follow, they find those of transforms that integrate an
  /// equation.
  enum class LogDets : std::int8_t { all, but_integrated };

  /// Takes a chunk through transforms [0, last). `log_prob` and `status` must have initial values. Returns where z is.
  /// Calls seen(k, x, z) after each transform.
  template <class Seen>
  ConstMatrixView<T> pass(const Batch<T>& chunk, Index last, LogDets log_dets, std::span<double> log_prob,
                          std::span<Status> status, FlowWorkspace<T>& workspace, Seen&& seen) const;
  /// Computes log_prob of one chunk, which begins with sample `first` of its batch, with the log-dets that are wanted.
  /// Returns where z is.
  ConstMatrixView<T> forward(const Batch<T>& chunk, Index first, LogDets log_dets, std::span<double> log_prob,
                             std::span<Status> status, FlowWorkspace<T>& workspace) const;
  /// Adds the log-dets that forward() left out, after the reverse passes of the chunk.
  void add_integrated_log_dets(Index first, std::span<double> log_prob, std::span<Status> status,
                               FlowWorkspace<T>& workspace) const;
  /// Sums up what the last pass of a chunk, which begins with sample `first` of its batch, says.
  void write_report(const IntegrationReport& report, Index first, Index count, const FlowWorkspace<T>& workspace) const;
  void require_batch(const char* name, const Batch<T>& batch, std::size_t log_prob, std::size_t status) const;

  Architecture architecture_;
  nn::ParameterLayout layout_;
  std::vector<std::unique_ptr<Transform<T>>> transforms_;
  std::vector<Roles> roles_;  // of each transform
  std::unique_ptr<BaseDensity<T>> base_;
  Matrix<T> parameters_;
};

/// The memory of a flow's passes, planned once. Larger batches are worked in chunks of capacity() samples.
template <class T>
class FlowWorkspace {
 public:
  /// Room for n ≥ 1 samples at a time. A workspace of Pass::map_only is for Flow::map() and Flow::excluded() alone; it
  /// has no memory for log-dets. Throws OptionError if there is not enough memory.
  FlowWorkspace(const Flow<T>& flow, Index n, Pass pass);
  /// Chooses the number of samples at a time: at most `most` samples, at most `bytes` bytes, and at least one sample.
  /// If the memory of each transform for some hundred samples fits into a core's cache, no more samples are taken at a
  /// time than fit. `most` samples then make chunks of sizes as even as possible.
  static FlowWorkspace within(const Flow<T>& flow, Index bytes, Index most, Pass pass);
  /// Returns the bytes that a workspace for n samples takes.
  static Index bytes_for(const Flow<T>& flow, Index n, Pass pass);
  /// Says, for messages, what one sample takes and which transform takes most of it: "a sample takes 1.29 GB, most of
  /// it transform 1 (residual) with log-dets of 784 values by exact".
  static std::string demand(const Flow<T>& flow, Pass pass);

  /// Where the last log_prob or add_gradient first went wrong.
  const std::optional<Failure>& failure() const { return failure_; }

  Index capacity() const { return capacity_; }
  Index bytes() const { return kept_.peak() + scratch_.peak(); }
  Pass pass() const { return pass_; }

 private:
  friend class Flow<T>;

  // The output of a transform, (rows × n). If it factors values out, those that go on are moved to memory of their own.
  struct Level {
    MatrixView<T> all;
    MatrixView<T> kept;  // empty if all values go on
  };

  struct Parts {
    std::vector<std::unique_ptr<TransformState<T>>> states;
    std::vector<Level> levels;    // in evaluation, they share two matrices in turn
    MatrixView<T> latent;         // (d × n): z of flows that factor out
    MatrixView<T> joined;         // (d × n): input of the inverse of a factor-out
    MatrixView<T> latent_bar;     // (d × n): z̄ of flows that factor out, of a gradient
    MatrixView<T> bar, next_bar;  // (d × n); of a gradient only
    Index largest = 0;            // bytes of the transform that takes most
  };

  static Parts plan(const Flow<T>& flow, Index n, Pass pass, linalg::Workspace& kept, linalg::Workspace& scratch);

  Index capacity_;
  Pass pass_;
  linalg::Workspace kept_, scratch_;
  Parts parts_;
  std::optional<Failure> failure_;
  Matrix<T> third_bar_;  // (d × n) after the first add_inverse_gradient()
};

extern template class Flow<float>;
extern template class Flow<double>;
extern template class FlowWorkspace<float>;
extern template class FlowWorkspace<double>;

}  // namespace pushforward::flow
