#pragma once

// Gradients checked by Taylor's theorem: along a line, |f(h) − f(0)| falls with h, |f(h) − f(0) − h·slope| with h². A
// wrong slope shows as a second remainder that falls with h as well. The values of f come from double even where the
// gradient was computed in float, so that rounding does not hide the ratios.

#include "../linalg/fixtures.hpp"

#include <algorithm>
#include <functional>

namespace pushforward::test {

/// Step and what counts as zero in a remainder: `accuracy` · |slope| · h, the claimed accuracy of the gradient, and
/// `rounding` of the values of f, absolute.
struct TaylorScale {
  double h;
  double accuracy;
  double rounding;
};
template <class T>
TaylorScale taylor_scale(double rounding = 1e-11);
template <>
inline TaylorScale taylor_scale<double>(double rounding) {
  return {1e-3, 1e-6, rounding};
}
template <>
inline TaylorScale taylor_scale<float>(double rounding) {
  return {2e-3, 1e-3, rounding};
}

/// True when the ratios of the remainders under two halvings of h are 2 and 4. f(h): the value at h along the line.
inline Verdict taylor_ratios_hold(const std::function<double(double)>& f, double slope, const TaylorScale& scale) {
  const double f0 = f(0);
  double first[3], second[3];
  bool tiny_first = true, tiny_second = true;
  for (int i = 0; i < 3; ++i) {
    const double h = scale.h / (1 << i), change = f(h) - f0;
    first[i] = std::abs(change);
    second[i] = std::abs(change - h * slope);
    tiny_first = tiny_first && first[i] <= scale.rounding;
    tiny_second = tiny_second && second[i] <= scale.rounding + scale.accuracy * std::abs(slope) * h;
  }
  // Where the slope vanishes against the curvature, the first remainder falls with h² itself.
  const bool flat = std::abs(slope) * scale.h <= 10 * second[0];
  bool holds = true;
  for (int i = 0; i < 2; ++i) {
    const double one = first[i] / first[i + 1], two = second[i] / second[i + 1];
    holds = holds && (tiny_first || flat || (one > 1.85 && one < 2.15));
    holds = holds && (tiny_second || (two > 3.7 && two < 4.3));
  }
  Verdict verdict(holds);
  if (!holds) {
    verdict.message() << fmt::format(
        "remainders {:.6g} {:.6g} {:.6g} should halve, {:.6g} {:.6g} {:.6g} quarter; slope {:.9g}, f(0) = {:.9g}",
        first[0], first[1], first[2], second[0], second[1], second[2], slope, f0);
  }
  return verdict;
}

/// A direction for the line: of length about 1, half along the claimed gradient, half random and not against it.
template <class T>
std::vector<double> taylor_direction(std::span<const T> gradient, std::uint64_t seed) {
  const auto at = [&](std::size_t i) { return static_cast<double>(gradient[i]); };
  const double size = frobenius<T>({gradient.data(), std::ssize(gradient), 1});
  auto direction = random_vector<double>(std::ssize(gradient), seed);
  const double random_size = frobenius<double>({direction.data(), std::ssize(direction), 1});
  double along = 0;
  for (std::size_t i = 0; i < direction.size(); ++i) along += direction[i] * at(i);
  const double factor = (along < 0 ? -0.5 : 0.5) / random_size;
  for (std::size_t i = 0; i < direction.size(); ++i) {
    direction[i] = factor * direction[i] + (size > 0 ? 0.5 * at(i) / size : 0);
  }
  return direction;
}

/// Taylor's test of a claimed gradient at `at`, along one line: f of the changed point.
template <class T>
Verdict is_gradient(const std::function<double(std::span<const double>)>& f, std::span<const double> at,
                    std::span<const T> gradient, const TaylorScale& scale, std::uint64_t seed = 1) {
  const auto direction = taylor_direction(gradient, seed);
  double slope = 0;
  for (std::size_t i = 0; i < direction.size(); ++i) slope += direction[i] * static_cast<double>(gradient[i]);
  std::vector<double> moved(at.begin(), at.end());
  return taylor_ratios_hold(
      [&](double h) {
        for (std::size_t i = 0; i < moved.size(); ++i) moved[i] = at[i] + h * direction[i];
        return f(moved);
      },
      slope, scale);
}

/// gradient · 1.01: what is_gradient must refuse.
template <class T>
std::vector<T> one_percent_off(std::span<const T> gradient) {
  std::vector<T> wrong(gradient.begin(), gradient.end());
  for (T& value : wrong) value *= T(1.01);
  return wrong;
}

}  // namespace pushforward::test
