#pragma once

// A flow: a chain of transforms and a base density.
//
//     log p(x | u) = log p₀(z) + Σ log|det ∂f_k|,   z = f_K ∘ … ∘ f_1 (x; u)
//
// All parameters in one flat buffer. Samples are columns; log-densities in nats, in double. Nothing here communicates.
// u, the context, is data: (c × n), one column per sample, for flows that have one, else empty.
//
// If a transform factors values out, they keep their rows in z: the first rows go on to the next transform.

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/flow/architecture.hpp>
#include <pushforward/flow/families.hpp>
#include <pushforward/transforms/estimated.hpp>
#include <pushforward/transforms/supported.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

/// Where a pass first went wrong: the transform, or their number for the base density, and the sample.
struct Failure {
  Index transform;
  Index sample;
  Status status;
};

/// A sample that a flow does not admit.
struct Exclusion {
  Index transform;  ///< or their number for the base density
  Index sample;
  Status status;
  std::string reason;  ///< "value 3 is 9, and only integers from 0 to 3 are admitted"; "" where nothing more is known
};
/// How much of a flow is asked: the transforms that come before any parameter, or all of them and the base density.
enum class Reach { fixed, whole };

/// Memory of a rank for passes, bytes, where nothing else is said.
inline constexpr Index default_workspace_bytes = 256'000'000;

template <class T>
class FlowWorkspace;

template <class T>
class Flow {
 public:
  /// A flow with parameters as initialize() leaves them, prepared. seed: of the initial weights. Throws OptionError and
  /// ShapeError, naming transform and sizes, for a chain whose pieces do not fit.
  Flow(Architecture architecture, std::uint64_t seed);
  /// A flow of a family on vectors of this dimension.
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

  /// Chooses the estimator of log-dets for add_gradient() (Pass::gradient) or for log_prob() (Pass::evaluate),
  /// exact until then; for workspaces that are planned from now on. inverse() wants an exact one. Throws OptionError.
  void set_log_det(Pass pass, const logdet::Method& method);

  /// Initial parameters that depend on the data: x (d × n) is one batch, the same on all ranks; each transform sees it
  /// as the ones before leave it. Leaves the flow prepared. No log-dets are computed. Beside a copy of x, `bytes` of
  /// memory are used, and larger batches worked in chunks, with the same result up to rounding.
  void initialize_from_data(ConstMatrixView<T> x, ConstMatrixView<T> context = {},
                            Index bytes = default_workspace_bytes);
  /// Prepares by SVD and makes effective weights the parameters: what a model file holds.
  void bake_normalization();

  /// x: (d × n) in. log_prob: (n) out. z: (d × n) out, or empty. status: (n) out. Where a status is not ok, log_prob is
  /// NaN; outside the support, −∞.
  void log_prob(ConstMatrixView<T> x, std::span<double> log_prob, MatrixView<T> z, std::span<Status> status,
                FlowWorkspace<T>& workspace, ConstMatrixView<T> context = {}) const;

  /// x = f⁻¹(z). z: (d × n) in. x: (d × n) out, must not alias z. log_prob: (n) out, of x. status: (n) out. The
  /// workspace is planned for Pass::evaluate.
  void inverse(ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_prob, std::span<Status> status,
               const InverseOptions& options, FlowWorkspace<T>& workspace, ConstMatrixView<T> context = {}) const;

  /// Σᵢ wᵢ log p(xᵢ) and its gradient. x: (d × n) in. weight: (n) ≥ 0 in, or empty when all are 1. gradient: the flat
  /// buffer, added to, with respect to effective parameters: gradient_of_raw_parameters() once all is added. log_prob,
  /// status: (n) out. Where a status is not ok, the gradient is not finite or means nothing. The workspace is planned
  /// for Pass::gradient.
  double add_gradient(ConstMatrixView<T> x, std::span<const T> weight, std::span<T> gradient,
                      std::span<double> log_prob, std::span<Status> status, FlowWorkspace<T>& workspace,
                      ConstMatrixView<T> context = {}) const;
  /// The gradient through the inverse x = f⁻¹(z), with z held fixed. Adds the gradient of Σᵢ x̄ᵢ·xᵢ + Σᵢ wᵢ log p(xᵢ)
  /// with respect to effective parameters to `gradient`, the flat buffer, and writes the gradient with respect to z to
  /// z_bar. So the reverse KL divergence E[log p(x) − log π(x)] over latents z has x̄ = −∇log π(x) and w = 1. batch: x
  /// (d × n), which inverse() has found, with weights of any sign. x_bar: (d × n) in. z_bar: (d × n) out, must not
  /// alias x_bar. log_prob, status: (n) out, as in log_prob(). If a status is not ok, the gradient is not finite or
  /// means nothing. The workspace is planned for Pass::gradient; the first call on it allocates memory.
  void add_inverse_gradient(const Batch<T>& batch, ConstMatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> z_bar,
                            std::span<double> log_prob, std::span<Status> status, FlowWorkspace<T>& workspace) const;
  /// Gradient with respect to effective parameters → with respect to parameters(), in place.
  void gradient_of_raw_parameters(std::span<T> gradient) const;

  /// z = f(x), without log-dets. x: (d × n) in. z: (d × n) out. status: (n) out, ok, not_finite where x is not, or what
  /// a transform excludes; the base density is not asked, nor are determinants.
  /// The workspace may be planned for Pass::map_only.
  void map(ConstMatrixView<T> x, MatrixView<T> z, std::span<Status> status, FlowWorkspace<T>& workspace,
           ConstMatrixView<T> context = {}) const;

  /// How many transforms come before any parameter.
  Index fixed_transforms() const;
  /// Whether anything behind the first parameter, transform or base density, has a bounded support.
  bool is_bounded() const;
  /// The first sample of x (d × n) that the flow excludes, as it is now: of Reach::fixed one whose status is not ok
  /// there, whatever parameters may become; of Reach::whole one that is outside the support of a transform or of the
  /// base density. The workspace may be planned for Pass::map_only. Allocates.
  std::optional<Exclusion> excluded(ConstMatrixView<T> x, Reach reach, FlowWorkspace<T>& workspace,
                                    ConstMatrixView<T> context = {}) const;

 private:
  /// The further interfaces that a transform has; null if it does not have them.
  struct Roles {
    Trained<T>* trained;
    Estimated<T>* estimated;
    const Supported* supported;
  };

  /// A chunk, which begins with sample `first`, through transforms [0, last), `log_prob` and `status` having been
  /// begun; returns where z is. seen(k, x, z) is called behind each of them.
  template <class Seen>
  ConstMatrixView<T> pass(ConstMatrixView<T> x, Index first, Index last, std::span<double> log_prob,
                          std::span<Status> status, FlowWorkspace<T>& workspace, ConstMatrixView<T> context,
                          Seen&& seen) const;
  /// log_prob of one chunk, which begins with sample `first`; returns where z is.
  ConstMatrixView<T> forward(ConstMatrixView<T> x, Index first, std::span<double> log_prob, std::span<Status> status,
                             FlowWorkspace<T>& workspace, ConstMatrixView<T> context) const;
  void require_batch(const char* name, ConstMatrixView<T> x, std::size_t log_prob, std::size_t status,
                     ConstMatrixView<T> context) const;

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
  /// has no memory for log-dets. Throws NumericalError if there is not so much memory.
  FlowWorkspace(const Flow<T>& flow, Index n, Pass pass);
  /// Room for at most `most` samples at a time, fewer where they would need more than `bytes`; at least one. Where what
  /// a transform takes for some hundred samples fits into a core's cache, for no more than fit, in shares as even as
  /// can be.
  static FlowWorkspace within(const Flow<T>& flow, Index bytes, Index most, Pass pass);
  /// What room for n samples takes.
  static Index bytes_for(const Flow<T>& flow, Index n, Pass pass);
  /// For messages, what one sample takes and which transform takes most of it: "a sample takes 1.29 GB, most of it
  /// transform 1 (residual) with an exact log-det of 784 values".
  static std::string demand(const Flow<T>& flow, Pass pass);

  /// Where the last log_prob or add_gradient first went wrong.
  const std::optional<Failure>& failure() const { return failure_; }

  /// What transforms and log-dets with chance in them draw from in the next pass: seed, step and the number of each
  /// sample (spans (n), to stay valid).
  void set_draws(const logdet::Draws& draws) { draws_ = draws; }
  const logdet::Draws& draws() const { return draws_; }

  Index capacity() const { return capacity_; }
  Index bytes() const { return kept_.peak() + scratch_.peak(); }
  Pass pass() const { return pass_; }

 private:
  friend class Flow<T>;

  // The output of a transform, (rows × n). If it factors values out, the others are moved to memory of their own.
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
  logdet::Draws draws_;
  Matrix<T> third_bar_;  // (d × n) after the first add_inverse_gradient()
};

extern template class Flow<float>;
extern template class Flow<double>;
extern template class FlowWorkspace<float>;
extern template class FlowWorkspace<double>;

}  // namespace pushforward::flow
