#pragma once

// A flow: a chain of transforms and a base density.
//
//     log p(x) = log p₀(z) + Σ log|det ∂f_k|,   z = f_K ∘ … ∘ f_1 (x),   p₀ = N(0, I)
//
// All parameters in one flat buffer. Samples are columns; log-densities in nats, in double. Nothing here communicates.

#include <pushforward/flow/transform.hpp>

namespace pushforward::flow {

/// What a flow is built from.
struct FlowOptions {
  std::string kind = "residual";                         ///< the family; "residual" is the only one so far
  Index blocks = 20;                                     ///< residual blocks, ≥ 1
  std::vector<Index> hidden{48, 48};                     ///< widths of a block's hidden layers
  nn::Activation activation = nn::Activation::lipswish;  ///< of the hidden layers
  double lipschitz = 0.99;                               ///< bound on each block's Lipschitz constant, in (0, 1)
  bool actnorm = true;                                   ///< an ActNorm before each block and one at the end
};

template <class T>
class FlowWorkspace;

template <class T>
class Flow {
 public:
  /// A flow on ℝᵈ with parameters as initialise() leaves them, prepared. seed: of the initial weights.
  Flow(Index dimension, const FlowOptions& options, std::uint64_t seed);

  Index dimension() const { return dimension_; }
  const FlowOptions& options() const { return options_; }
  const nn::ParameterLayout& layout() const { return layout_; }
  const std::vector<std::unique_ptr<Transform<T>>>& transforms() const { return transforms_; }

  /// The flat buffer. After writing to it, prepare().
  std::span<T> parameters() { return parameters_.span(); }
  std::span<const T> parameters() const { return parameters_.span(); }
  void prepare(Normalization normalization);

  /// Chooses the estimator of log-dets for add_gradient() (Purpose::gradient) or for log_prob() (Purpose::evaluate),
  /// exact until then; for workspaces that are planned from now on. inverse() wants an exact one. Throws OptionError.
  void set_log_det(Purpose purpose, const logdet::Method& method);

  /// Initial parameters that depend on the data: x (d × n) is one batch, the same on all ranks; each transform sees it
  /// as the ones before leave it. Leaves the flow prepared.
  void initialise_from_data(ConstMatrixView<T> x);
  /// Prepares by SVD and makes effective weights the parameters: what a model file holds.
  void fold();

  /// x: (d × n) in. log_prob: (n) out. z: (d × n) out, or empty. status: (n) out. Where a status is not ok, log_prob is
  /// NaN.
  void log_prob(ConstMatrixView<T> x, std::span<double> log_prob, MatrixView<T> z, std::span<Status> status,
                FlowWorkspace<T>& workspace) const;

  /// x = f⁻¹(z). z: (d × n) in. x: (d × n) out, must not alias z. log_prob: (n) out, of x. status: (n) out.
  void inverse(ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_prob, std::span<Status> status,
               const InverseOptions& options, FlowWorkspace<T>& workspace) const;

  /// Σᵢ wᵢ log p(xᵢ) and its gradient. x: (d × n) in. weight: (n) ≥ 0 in, or empty when all are 1. gradient: the flat
  /// buffer, added to, with respect to effective parameters: finish_gradient() once all is added. log_prob, status: (n)
  /// out. Where a status is not ok, the gradient is not finite or means nothing. The workspace is planned for
  /// Purpose::gradient.
  double add_gradient(ConstMatrixView<T> x, std::span<const T> weight, std::span<T> gradient,
                      std::span<double> log_prob, std::span<Status> status, FlowWorkspace<T>& workspace) const;
  /// Gradient with respect to effective parameters → with respect to parameters(), in place.
  void finish_gradient(std::span<T> gradient) const;

 private:
  /// log_prob of one chunk, which begins with sample `first`; returns where z is.
  ConstMatrixView<T> forward(ConstMatrixView<T> x, Index first, std::span<double> log_prob, std::span<Status> status,
                             FlowWorkspace<T>& workspace) const;

  Index dimension_;
  FlowOptions options_;
  nn::ParameterLayout layout_;
  std::vector<std::unique_ptr<Transform<T>>> transforms_;
  Matrix<T> parameters_;
};

/// The memory of a flow's passes, planned once. Larger batches are worked in chunks of capacity() samples.
template <class T>
class FlowWorkspace {
 public:
  /// Room for n ≥ 1 samples at a time.
  FlowWorkspace(const Flow<T>& flow, Index n, Purpose purpose);
  /// Room for at most `most` samples at a time, fewer where they would need more than `bytes`; at least one.
  static FlowWorkspace within(const Flow<T>& flow, Index bytes, Index most, Purpose purpose);
  /// What room for n samples takes.
  static Index bytes_for(const Flow<T>& flow, Index n, Purpose purpose);

  /// Where the last log_prob or add_gradient first went wrong.
  struct Failure {
    Index transform;
    Index sample;
    Status status;
  };
  const std::optional<Failure>& failure() const { return failure_; }

  /// What the stochastic log-dets of the next pass draw from: seed, step and the number of each sample (spans (n), to
  /// stay valid).
  void set_draws(const logdet::Draws& draws) { draws_ = draws; }
  const logdet::Draws& draws() const { return draws_; }

  Index capacity() const { return capacity_; }
  Index bytes() const { return kept_.peak() + scratch_.peak(); }
  Purpose purpose() const { return purpose_; }

 private:
  friend class Flow<T>;

  struct Parts {
    std::vector<std::unique_ptr<TransformState<T>>> states;
    std::vector<MatrixView<T>> levels;  // (d × n): what each transform gives; in evaluation two of them, in turn
    MatrixView<T> bar, next_bar;        // (d × n); of a gradient only
  };
  static Parts plan(const Flow<T>& flow, Index n, Purpose purpose, linalg::Workspace& kept, linalg::Workspace& scratch);

  Index capacity_;
  Purpose purpose_;
  linalg::Workspace kept_, scratch_;
  Parts parts_;
  std::optional<Failure> failure_;
  logdet::Draws draws_;
};

extern template class Flow<float>;
extern template class Flow<double>;
extern template class FlowWorkspace<float>;
extern template class FlowWorkspace<double>;

}  // namespace pushforward::flow
