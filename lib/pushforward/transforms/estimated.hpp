#pragma once

// The interface of transforms whose log-det is made by an estimator that one may choose: log|det(I + ∂g/∂x)| of
// z = x + g(x), or the integral of a divergence. All other kinds have analytic log-dets.

#include <pushforward/logdet/estimator.hpp>
#include <pushforward/logdet/hutchinson.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

template <class T>
class Estimated {
 public:
  virtual ~Estimated() = default;

  /// Whether this kind of estimator is for transforms of this kind.
  virtual bool takes(const logdet::Method& method) const = 0;
  /// Chooses the estimator for states that are planned for this pass from now on; until then it is the exact one.
  /// Throws OptionError for a method that the transform cannot have.
  virtual void set_log_det(Pass pass, const logdet::Method& method) = 0;
  /// Returns the method of that estimator.
  virtual const logdet::Method& log_det(Pass pass) const = 0;
  /// Returns g, if the transform is z = x + g(x) and invertible because the Lipschitz constant of g is below 1;
  /// otherwise null.
  virtual const nn::Network<T>* lipschitz_network() const { return nullptr; }
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
  return estimated == nullptr ? nullptr : estimated->lipschitz_network();
}

}  // namespace pushforward::flow
