#pragma once

#include <cmath>
#include <numbers>

namespace pushforward::flow {

/// The representative of an angle on [−π, π), radians. What lies there already stays as it is, bit for bit; NaN for
/// what is not finite.
template <class T>
T wrap_angle(T x) {
  constexpr T pi = std::numbers::pi_v<T>;
  if (x >= -pi && x < pi) return x;
  const T y = std::remainder(x, 2 * pi);
  return y < pi ? y : y - 2 * pi;
}

}  // namespace pushforward::flow
