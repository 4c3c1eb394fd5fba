#pragma once

// An invertible map of a flow. forward() takes data to latents and inverse() takes latents to data; both give the
// log-det of what they do. reverse() is the gradient of forward(). solve_transposed() is what makes inverse()
// differentiable (inverse.hpp).
//
// Samples have a Shape. A transform may change it (a squeeze), and it may let some values of a sample go (a
// factor-out): the number of values, d, stays, but only the first output_shape().size() rows of z go on to the next
// transform. The other rows are latents already.
//
// A kind that can do more implements further interfaces, and a flow asks each transform once which of them it has:
//
//   Trained    trained.hpp     it has parameters
//   Estimated  estimated.hpp   an estimator makes its log-det, and one may choose which
//   Supported  supported.hpp   it does not admit every value
//   Integrated integrated.hpp  it integrates a differential equation, and a reverse pass finds its log-det
//   Described  described.hpp   a model file says more about it than its options and parameters

#include <pushforward/core/shape.hpp>
#include <pushforward/linalg/workspace.hpp>
#include <pushforward/nn/network.hpp>
#include <pushforward/transforms/batch.hpp>

#include <memory>
#include <string_view>

namespace pushforward::flow {

using nn::Normalization;
using nn::Pass;

/// The outcome of a pass for one sample. The numbers are those of `/status` in result files.
enum class Status : std::int8_t {
  ok = 0,
  not_finite = 1,            ///< the input, or something computed from it, is NaN or infinite
  not_converged = 2,         ///< an inverse, or the limit of a continuous flow, did not reach its tolerance
  negative_determinant = 3,  ///< a determinant is ≤ 0, though it should be positive: not invertible
  outside_support = 4,       ///< a value that the model excludes: p = 0, log p = −∞
};

/// The iteration that inverts a transform without a closed inverse. Either way, a step that does not contract is
/// replaced by x ← z − g(x), which does.
enum class InverseAlgorithm {
  anderson,  ///< x ← z − g(x), accelerated
  newton     ///< Newton's method with LU of I + J
};

struct InverseOptions {
  InverseAlgorithm algorithm = InverseAlgorithm::anderson;
  /// Bound on ‖x − x*‖ relative to 1 + ‖x‖, > 0. It is never asked to be below 64ε/(1 − L), which rounding allows.
  double tolerance = 1e-10;
  int max_iterations = 1000;  ///< ≥ 1
};

/// The memory of a transform's passes. Each kind has its own.
template <class T>
class TransformState {
 public:
  virtual ~TransformState() = default;
};

template <class T>
class Transform {
 public:
  virtual ~Transform() = default;

  /// Returns the name of the kind in model files: "actnorm", "residual".
  virtual std::string_view kind() const = 0;
  /// Returns the shape of x; d = input_shape().size().
  virtual Shape input_shape() const = 0;
  /// Returns the shape of the values that go on to the next transform. It is smaller than the input if latents are
  /// factored out.
  virtual Shape output_shape() const { return input_shape(); }

  /// Plans the memory of passes with up to n samples; `kept` lives from forward() to reverse(), `scratch` during one
  /// pass. Pass::map_only is for forward() alone. The values added to log_det are then unspecified, and a transform
  /// with an expensive log-det needs much less memory.
  virtual std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                  Pass pass) const = 0;

  /// z = f(x; u). batch: x (d × n), the context u and the draws, which all stay valid until reverse(); weights are not
  /// used. z: (d × n) out, must not alias x. log_det: (n), log|det ∂z/∂x| is added, nats. status: (n), set if something
  /// goes wrong.
  virtual void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                       std::span<Status> status) const = 0;

  /// x = f⁻¹(z; u). batch: as for forward(), with z (d × n) in the place of x. x: (d × n) out, must not alias z.
  /// log_det: (n), log|det ∂x/∂z| is added, nats. status: (n), set if something goes wrong. The state is planned for
  /// Pass::evaluate, with an exact log-det (OptionError).
  virtual void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                       std::span<Status> status, const InverseOptions& options) const = 0;

  /// The gradient of Σᵢ z̄ᵢ·zᵢ + Σᵢ wᵢ·log_detᵢ at the x of the last forward(), whose state is planned for
  /// Pass::gradient. May be called several times after one forward(). x: (d × n) in, as it was then. z_bar: (d × n) in.
  /// weight: (n) in, of any sign, or empty if all are 1. x_bar: (d × n) out, must not alias z_bar. gradient: the flow's
  /// flat buffer, added to, with respect to effective parameters; if it is empty, that part is left out.
  virtual void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                       std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const = 0;

  /// Solves Jᵀλ = b for each sample, J = ∂z/∂x at the x of the last forward(), whose state is planned for
  /// Pass::gradient. x: (d × n) in, as it was then. b: (d × n) in. lambda: (d × n) out, must not alias b. A sample
  /// whose J is singular gets values that are not finite. reverse() may be called before and afterwards.
  virtual void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                                MatrixView<T> lambda) const = 0;
};

}  // namespace pushforward::flow
