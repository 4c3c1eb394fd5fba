#pragma once

#include <cmath>
#include <numbers>

namespace pushforward {

/// Returns the angle in [−π, π) that is equal to x modulo 2π. Radians; π is rounded to T. If x lies in the interval
/// already, it is returned bit for bit. If x is not finite, the result is NaN.
template <class T>
T wrap_angle(double x) {
  constexpr T pi = std::numbers::pi_v<T>;
  if (const T same = static_cast<T>(x); same >= -pi && same < pi) return same;
  const T angle = static_cast<T>(std::remainder(x, 2 * std::numbers::pi));
  return angle >= pi ? -pi : angle;
}

/// An angle above this value is probably in degrees. A file may round 2π up, to 6.3 at most.
inline constexpr double more_than_a_turn = 6.3;

}  // namespace pushforward
