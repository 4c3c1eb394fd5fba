#pragma once

// The interface of transforms z = x + g(x) whose log-det, log|det(I + ∂g/∂x)|, is made by an estimator that one may
// choose. All other kinds have analytic log-dets.

#include <pushforward/logdet/estimator.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

template <class T>
class Estimated {
 public:
  virtual ~Estimated() = default;

  /// Chooses the estimator for states that are planned for this pass from now on; until then it is the exact one.
  /// Throws OptionError for a method that the network cannot have.
  virtual void set_log_det(Pass pass, const logdet::Method& method) = 0;
  /// Returns the method of that estimator.
  virtual const logdet::Method& log_det(Pass pass) const = 0;
  /// Returns g. The transform is invertible because the Lipschitz constant of g is below 1.
  virtual const nn::Network<T>& lipschitz_network() const = 0;
};

/// Returns the method that makes a transform's log-det in this pass, or null if the log-det is analytic.
template <class T>
const logdet::Method* log_det_method(const Transform<T>& transform, Pass pass) {
  const auto* const estimated = dynamic_cast<const Estimated<T>*>(&transform);
  return estimated == nullptr ? nullptr : &estimated->log_det(pass);
}

/// Returns the network inside a transform whose Lipschitz constant makes the transform invertible, or null if there is
/// none.
template <class T>
const nn::Network<T>* lipschitz_network(const Transform<T>& transform) {
  const auto* const estimated = dynamic_cast<const Estimated<T>*>(&transform);
  return estimated == nullptr ? nullptr : &estimated->lipschitz_network();
}

}  // namespace pushforward::flow
