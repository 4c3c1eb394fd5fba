#pragma once

// Mean and variance of repeated estimates, and how they are held against what is expected.

#include <cmath>
#include <span>

namespace pushforward::test {

/// The mean and variance of values, and the standard error of the mean.
struct Moments {
  double mean = 0, variance = 0, error = 0;
};

inline Moments moments(std::span<const double> values) {
  const auto n = static_cast<double>(values.size());
  Moments m;
  for (const double v : values) m.mean += v / n;
  for (const double v : values) m.variance += (v - m.mean) * (v - m.mean) / (n - 1);
  m.error = std::sqrt(m.variance / n);
  return m;
}

/// |mean − expected| within 4 standard errors and a bound on the bias; rounding beside.
inline bool agrees(const Moments& m, double expected, double bias) {
  return std::abs(m.mean - expected) <= 4 * m.error + bias + 1e-8 * (1 + std::abs(expected));
}

}  // namespace pushforward::test
