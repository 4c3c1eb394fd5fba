#pragma once

// The flow of a differential equation to a tolerance, on nested uniform grids: 1, 2, 4, … steps of the finest solver
// (tableau.hpp). Each sample leaves when its own difference between two grids is within the tolerance. So the grid of a
// sample depends on nothing but the sample. The reported error is that difference: an estimate of the coarser grid's
// error, and far above that of the finer grid, whose values are returned.
//
// The difference counts in nats what it may do to a log-density with a standard normal base:
//
//   error = |Δℓ| + max(1, ‖z‖) ‖Δz‖
//
// with ℓ the integral of the divergence and z the end of the path.

#include <pushforward/ode/runge_kutta.hpp>

namespace pushforward::ode {

/// The outcome for one sample.
enum class Convergence : std::int8_t {
  reached,     ///< the error is within the tolerance
  not_finite,  ///< a value or the divergence became NaN or infinite
  too_coarse   ///< the error was above the tolerance on the finest grid
};

struct LimitOptions {
  /// Nats, > 0. It is never asked to be below 256ε(1 + ‖z‖²), which rounding allows.
  double tolerance = 1e-6;
  Index max_steps = 256;  ///< of the finest grid, ≥ 2
};

/// The results for n samples. All spans: (n) out.
struct LimitReport {
  std::span<double> error;       ///< nats
  std::span<Index> evaluations;  ///< of the field and its divergence
  std::span<Convergence> outcome;
};

template <class T>
class Limit {
 public:
  /// Memory for up to n samples, needed during solve() only. The field must outlive the object.
  Limit(const VectorField<T>& field, linalg::Workspace& scratch, Index n);

  /// Follows dx/dt = v(x, t; u) from t = `from` to t = `to`. x: (d × n) in. u: (c × n) in. z: (d × n) out, must not
  /// alias x. log_det: (n), log|det ∂z/∂x| = ∫ div v dt is added, nats. A sample that does not converge gets the values
  /// of its finest grid.
  void solve(ConstMatrixView<T> x, ConstMatrixView<T> u, double from, double to, const LimitOptions& options,
             MatrixView<T> z, std::span<double> log_det, const LimitReport& report);

 private:
  // The end of a grid for all samples that are still active.
  struct End {
    MatrixView<T> z;            // (d × n)
    std::span<double> log_det;  // (n)
  };

  void integrate(Index active, double from, double to, Index steps, const End& end);

  Index d_, c_;
  RungeKutta<T> method_;
  // The samples that are active, packed to the front.
  MatrixView<T> x_, u_;      // (d × n), (c × n)
  std::span<Index> column_;  // where in the batch a packed sample belongs
  End coarse_, fine_;
  MatrixView<T> middle_;  // (d × n), in turn with the end
};

extern template class Limit<float>;
extern template class Limit<double>;

}  // namespace pushforward::ode
