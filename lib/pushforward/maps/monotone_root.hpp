#pragma once

// The root of an increasing function of one variable, to rounding: Newton's method, replaced by bisection where it
// would leave the bracket.

#include <cmath>
#include <limits>

namespace pushforward::flow {

struct ValueAndSlope {
  double value;
  double slope;
};

/// The root in [low, high] of an increasing f with f(low) ≤ 0 ≤ f(high). f(u): a ValueAndSlope. NaN where f gives NaN.
template <class F>
double monotone_root(F&& f, double low, double high) {
  // Bisection alone needs 64 steps or so for neighboring numbers; Newton's steps, where they converge, far fewer.
  constexpr int most = 200;
  double u = low + (high - low) / 2;
  for (int i = 0; i < most; ++i) {
    const auto [value, slope] = f(u);
    if (!(value < 0 || value > 0)) return value == 0 ? u : value;
    (value < 0 ? low : high) = u;
    double next = u - value / slope;
    if (!(next > low && next < high)) next = low + (high - low) / 2;
    const bool settled = std::abs(next - u) <= std::numeric_limits<double>::epsilon() * std::abs(next);
    u = next;
    if (settled) break;
  }
  return u;
}

}  // namespace pushforward::flow
