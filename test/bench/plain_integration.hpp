#pragma once

// A continuous flow in plain loops, in double: its vector field, and the classical Runge–Kutta method with the
// Jacobian of all steps together.

#include "plain_network.hpp"

#include <pushforward/transforms/continuous.hpp>

namespace pushforward::bench {

/// v(x, t) of a continuous flow.
class PlainField {
 public:
  /// The field of transform t.
  template <class T>
  PlainField(const flow::Flow<T>& flow, std::size_t t, const flow::Continuous<T>& transform)
      : network_(flow, t, transform.field().network()) {}

  /// x: (d) in.
  Value operator()(std::span<const double> x, double t) const;

 private:
  PlainNetwork network_;
};

/// The map from x(1) to x(0).
class PlainIntegration {
 public:
  /// pass: a training step takes the grid of the options, which must be of rk4. An evaluation of a continuous density
  /// takes so many steps that their error is far below any tolerance.
  PlainIntegration(PlainField field, const flow::IntegrationOptions& options, nn::Pass pass);

  /// x: (d) in. Returns x(0) − x(1) and its Jacobian. With a continuous density, the log-det is the quadrature of the
  /// divergence.
  Value operator()(std::span<const double> x) const;

 private:
  PlainField field_;
  Index steps_;
  bool is_discrete_;
};

}  // namespace pushforward::bench
