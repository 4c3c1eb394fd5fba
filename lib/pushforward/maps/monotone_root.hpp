#pragma once

// The root of an increasing function of one variable, to rounding. A step of Newton's method that would leave the
// bracket is replaced with a bisection.

#include <cmath>
#include <limits>

namespace pushforward::flow {

struct ValueAndSlope {
  double value;
  double slope;
};

/// Returns the root in [low, high] of an increasing f with f(low) ≤ 0 ≤ f(high). f(u) returns a ValueAndSlope. If f
/// returns NaN, so does this function.
template <class F>
double monotone_root(F&& f, double low, double high) {
  // Bisection alone needs about 64 steps. Newton's method needs far fewer where it converges.
  constexpr int most = 200;
  double u = low + (high - low) / 2;
  for (int i = 0; i < most; ++i) {
    const auto [value, slope] = f(u);
    if (!(value < 0 || value > 0)) return value == 0 ? u : value;
    (value < 0 ? low : high) = u;
    double next = u - value / slope;
    if (!(next > low && next < high)) next = low + (high - low) / 2;
    const bool converged = std::abs(next - u) <= std::numeric_limits<double>::epsilon() * std::abs(next);
    u = next;
    if (converged) break;
  }
  return u;
}

}  // namespace pushforward::flow
