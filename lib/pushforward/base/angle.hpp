#pragma once

#include <cmath>
#include <numbers>

namespace pushforward {

/// The angle in [−π, π), radians, that differs from x by a multiple of 2π; −π for π itself. T: float or double, of
/// which π is the nearest.
template <class T>
T wrap_angle(double x) {
  const T angle = static_cast<T>(std::remainder(x, 2 * std::numbers::pi));
  return angle < std::numbers::pi_v<T> ? angle : -std::numbers::pi_v<T>;
}

}  // namespace pushforward
