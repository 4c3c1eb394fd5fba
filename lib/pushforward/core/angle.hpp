#pragma once

#include <cmath>
#include <numbers>

namespace pushforward {

/// The representative of an angle in [−π, π), radians, π as T has it. What lies there already stays as it is, bit for
/// bit; NaN for what is not finite.
template <class T>
T wrap_angle(double x) {
  constexpr T pi = std::numbers::pi_v<T>;
  if (const T same = static_cast<T>(x); same >= -pi && same < pi) return same;
  const T angle = static_cast<T>(std::remainder(x, 2 * std::numbers::pi));
  return angle >= pi ? -pi : angle;
}

/// More than a turn, which has 2π in however few digits: what is larger is hardly meant in radians.
inline constexpr double more_than_a_turn = 6.3;

}  // namespace pushforward
