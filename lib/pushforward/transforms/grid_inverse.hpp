#pragma once

// Solves one step of a Runge–Kutta method, x + hΦ(x) = y, for x, for a batch, by Newton's method.
//
// It begins at the step back in time from y, which is off by the error of two steps. Newton's step is J⁻¹(x + hΦ(x) −
// y) with the LU that the discrete log-det needs anyway. A step that does not reduce the residual is halved. A sample
// is done when its own step is small enough, and then it no longer moves, so the other samples of a batch do not
// matter.

#include <pushforward/ode/runge_kutta.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

/// The report of GridInverse::solve() on n samples. Both spans: (n).
struct GridInverseReport {
  std::span<Status> status;      ///< set if a sample fails: not_finite, not_converged, or negative_determinant
  std::span<Index> evaluations;  ///< those of the field are added
};

template <class T>
class GridInverse {
 public:
  /// Memory for up to n samples of width d, needed during solve() only.
  GridInverse(linalg::Workspace& scratch, Index d, Index n);

  /// method: planned for discrete log-dets. start: time, length and context of the step; its x is not used. y: (d × n)
  /// in. x: (d × n) out, must not alias y. log_det: (n), log|det ∂x/∂y| is added, nats. Allocates nothing.
  void solve(ode::RungeKutta<T>& method, const ode::StepStart<T>& start, ConstMatrixView<T> y, MatrixView<T> x,
             std::span<double> log_det, const GridInverseReport& report, const InverseOptions& options);

 private:
  /// Judges the residual at x of sample j. Returns whether x is accepted; otherwise x goes half of its step back.
  bool accept(Index j, ConstMatrixView<T> y, MatrixView<T> x);

  MatrixView<T> image_;         // x + hΦ(x) (d × n)
  MatrixView<T> newton_;        // residuals, then Newton's steps (d × n)
  MatrixView<T> accepted_;      // the best x so far (d × n)
  MatrixView<T> step_;          // from accepted_ to x, with its sign changed (d × n)
  std::span<double> residual_;  // its norm at accepted_ (n)
  std::span<double> log_det_;
  std::span<linalg::Sign> sign_;
  std::span<bool> done_, is_accepted_;
};

extern template class GridInverse<float>;
extern template class GridInverse<double>;

}  // namespace pushforward::flow
