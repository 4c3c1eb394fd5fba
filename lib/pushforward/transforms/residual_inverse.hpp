#pragma once

// Solves x + g(x) = z for a batch, Lip(g) ≤ L < 1.
//
// The map r(x) = x + g(x) − z is strongly monotone: ‖x − x*‖ ≤ ‖r(x)‖/(1 − L). This bound is the stopping rule. A
// Banach step x ← x − r(x) shrinks ‖r‖ to at most L‖r‖. A step of Anderson's (anderson.hpp), for the price of one g, or
// of Newton's, x ← x − (I + J)⁻¹r, usually shrinks it much more, but far from the solution nothing guarantees that. A
// step that does not reach L‖r‖ is undone and replaced by the Banach step.

#include <pushforward/logdet/exact.hpp>
#include <pushforward/transforms/anderson.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

template <class T>
class ResidualInverse {
 public:
  /// Memory for up to n samples of width d with contexts of c values, needed during solve() only.
  ResidualInverse(linalg::Workspace& scratch, Index d, Index c, Index n);

  /// z: (d × n) in. context: (c × n) in. x: (d × n) out. status: (n), set to not_converged or not_finite if a
  /// sample fails. Samples that are done leave the batch. lipschitz: L < 1.
  void solve(const nn::Network<T>& network, nn::NetworkState<T>& passes, logdet::ExactLogDet<T>& exact,
             double lipschitz, ConstMatrixView<T> z, ConstMatrixView<T> context, MatrixView<T> x,
             std::span<Status> status, const InverseOptions& options);

 private:
  enum class Verdict : std::int8_t { go_on, undo, done };

  /// residual_ ← x + g(x) − z and its norms, for the first `active` samples.
  void evaluate(const nn::Network<T>& network, nn::NetworkState<T>& passes, ConstMatrixView<T> z, Index active);
  /// Writes Newton's steps of these samples to step_.
  void linearise(const nn::Network<T>& network, nn::NetworkState<T>& passes, logdet::ExactLogDet<T>& exact,
                 Index active);
  /// Writes Anderson's steps of the samples that go on to step_. first: whether these are the first steps of all
  /// samples.
  void accelerate(Index active, bool first);
  /// Takes the step of sample `from`, or undoes its last one, and moves the sample to the place `to` ≤ from.
  void advance(Index from, Index to);

  Index d_;
  // The samples that are still iterated, packed to the front: (d × n) each, the context (c × n).
  MatrixView<T> x_, residual_, step_, context_;
  std::span<double> norm_, unused_log_det_;
  std::span<linalg::Sign> sign_;  // of det(I + J)
  std::span<Verdict> verdict_;
  std::span<bool> bold_;     // whether step_ is no Banach step, so that it may be refused
  std::span<Index> column_;  // where in the batch a packed sample belongs
  // By place in the batch: where the last step began, and whether it may be refused.
  MatrixView<T> previous_x_, previous_residual_;
  std::span<double> previous_norm_;
  std::span<bool> refusable_;
  Anderson<T> anderson_;
};

extern template class ResidualInverse<float>;
extern template class ResidualInverse<double>;

}  // namespace pushforward::flow
