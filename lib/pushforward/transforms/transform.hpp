#pragma once

// One invertible map of a flow: forward is data → latent, inverse latent → data; both give the log-det of what they do.
//
// A transform's parameters are a part of the flow's flat buffer; prepare() makes from them what the passes
// read. Memory for the passes is carved once into a TransformState, for up to n samples.
//
// Samples have a Shape. A transform may change it (a squeeze), and it may let a part of them go (a split): their number
// of values, d, stays, but only the first output_shape().size() rows of z go on to the next transform; the others are
// latents already.

#include <pushforward/core/shape.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/logdet/estimator.hpp>
#include <pushforward/nn/network.hpp>

#include <limits>
#include <memory>
#include <optional>
#include <utility>

namespace pushforward::flow {

using nn::Normalization;
using nn::Pass;

/// What became of a sample. The numbers are those of `/status` in result files.
enum class Status : std::int8_t {
  ok = 0,
  not_finite = 1,            ///< the input, or something computed from it, is NaN or infinite
  not_converged = 2,         ///< an inverse did not reach its tolerance
  negative_determinant = 3,  ///< det(I + J) ≤ 0 where the map should be a contraction: not invertible
  outside_support = 4,       ///< a value that the model excludes: p = 0, log p = −∞
};

/// How a transform without a closed inverse is inverted. Either way a step that does not contract is replaced by x ← z
/// − g(x), which does.
enum class InverseAlgorithm {
  anderson,  ///< x ← z − g(x), accelerated
  newton     ///< Newton's method with LU of I + J
};

struct InverseOptions {
  InverseAlgorithm algorithm = InverseAlgorithm::anderson;
  /// Bound on ‖x − x*‖ relative to 1 + ‖x‖, > 0. What rounding allows, 64ε/(1 − L), is the least that is asked for.
  double tolerance = 1e-10;
  int max_iterations = 1000;  ///< ≥ 1
};

/// A transform's memory; each kind has its own.
template <class T>
class TransformState {
 public:
  virtual ~TransformState() = default;

  /// What a transform or log-det with chance in it draws from in the next forward(); without effect elsewhere.
  logdet::Draws draws;
  /// What the density of the next forward() or inverse() is conditioned on: (c × n), one column per sample, to stay
  /// valid until reverse(). Empty where transforms have no context.
  ConstMatrixView<T> context;
};

template <class T>
class Transform {
 public:
  virtual ~Transform() = default;

  /// The name of the kind in model files: "actnorm", "residual".
  virtual std::string_view kind() const = 0;

  /// d = input_shape().size().
  virtual Shape input_shape() const = 0;
  /// Of what goes on to the next transform; smaller than the input where latents are split off.
  virtual Shape output_shape() const { return input_shape(); }
  /// The open interval of values that forward() admits in row i; (−∞, ∞) for most.
  virtual std::pair<double, double> support(Index /*row*/) const {
    return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  }
  /// Whether forward() admits this value in row i, and for messages those that it does: "values in (0, 1)".
  virtual bool admits(Index row, double x) const {
    const auto [low, high] = support(row);
    return x > low && x < high;
  }
  virtual std::string admitted(Index row) const {
    const auto [low, high] = support(row);
    return fmt::format("values in ({:.6g}, {:.6g})", low, high);
  }

  /// Initial parameters that depend on no data.
  virtual void initialize(std::span<T> parameters) const = 0;
  /// Initial parameters that do, from x (d × n), the data as it arrives at this transform. Does nothing for most kinds.
  virtual void initialize_from_data(std::span<T> /*parameters*/, ConstMatrixView<T> /*x*/) const {}
  /// To be called whenever the parameters have changed.
  virtual void prepare(std::span<const T> parameters, Normalization normalization) = 0;
  /// Gradient with respect to effective parameters → with respect to parameters, in place.
  virtual void gradient_of_raw_parameters(std::span<T> /*gradient*/) const {}
  /// Overwrites parameters by effective ones: what a model file holds.
  virtual void bake_normalization(std::span<T> /*parameters*/) const {}

  /// Memory for passes with up to n samples; `kept` lives from forward to reverse, `scratch` during one pass.
  virtual std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                  Pass pass) const = 0;

  /// The same for passes of forward() in evaluation of which z and the status count, and what is added to log_det means
  /// nothing: less where a log-det takes memory.
  virtual std::unique_ptr<TransformState<T>> plan_map(linalg::Workspace& kept, linalg::Workspace& scratch,
                                                      Index n) const {
    return plan(kept, scratch, n, Pass::evaluate);
  }

  /// x: (d × n) in, to stay valid until reverse(). z: (d × n) out, must not alias x. log_det: (n), log|det ∂z/∂x| is
  /// added, nats. status: (n), set where something went wrong.
  virtual void forward(TransformState<T>& state, ConstMatrixView<T> x, MatrixView<T> z, std::span<double> log_det,
                       std::span<Status> status) const = 0;

  /// Gradient of Σᵢ z̄ᵢ·zᵢ + Σᵢ wᵢ·log_detᵢ at the last forward(), whose state was planned for a gradient.
  /// z_bar: (d × n) in. weight: (n) in, or empty when all are 1. x_bar: (d × n) out, must not alias z_bar.
  /// gradient: the flow's flat buffer, added to, with respect to effective parameters.
  virtual void reverse(TransformState<T>& state, ConstMatrixView<T> z_bar, std::span<const T> weight,
                       MatrixView<T> x_bar, std::span<T> gradient) const = 0;

  /// z: (d × n) in. x: (d × n) out, must not alias z. log_det: (n), log|det ∂x/∂z| is added, nats. status: (n), set
  /// where something went wrong. The state is planned for evaluation, with an exact log-det (OptionError).
  virtual void inverse(TransformState<T>& state, ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_det,
                       std::span<Status> status, const InverseOptions& options) const = 0;

  /// Whether it has no parameters, so that it does to data what it will always do.
  virtual bool is_fixed() const { return false; }

  /// Chooses the estimator of the log-det for passes of one pass, exact until then; for what is planned from now on.
  /// Does nothing where the log-det is analytic. Throws OptionError for a method that the network cannot have.
  virtual void set_log_det(Pass /*pass*/, const logdet::Method& /*method*/) {}
  /// That estimator's method; none where the log-det is analytic.
  virtual const logdet::Method* log_det(Pass /*pass*/) const { return nullptr; }

  /// The network inside, when there is one whose Lipschitz constant makes the transform invertible.
  virtual const nn::Network<T>* lipschitz_network() const { return nullptr; }

  /// Writes what there is to say of the transform beside its options and parameters, as attributes of its group in a
  /// model file.
  virtual void describe(const h5::GroupWriter& /*group*/) const {}
};

}  // namespace pushforward::flow
