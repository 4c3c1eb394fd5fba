#pragma once

// What estimators with probes share: the mean over a sample's probes, and what it says of the variance.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

/// value, variance and sign from the values of each probe. values: (n·m), the m of a sample adjacent. variance: that of
/// the mean, s²/m; NaN for a single probe. sign: 1, or 0 where a value is not finite.
void average_probes(std::span<const double> values, Index m, const Estimate& result);

/// Σ aᵢbᵢ of n elements, summed in double, in an order that is the same on every machine.
template <class T>
double dot_in_double(const T* a, const T* b, Index n) {
  constexpr Index lanes = 8;  // partial sums, so that the loop vectorises
  double part[lanes] = {};
  Index i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (Index l = 0; l < lanes; ++l) part[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  }
  for (; i < n; ++i) part[0] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (Index width = lanes / 2; width > 0; width /= 2) {
    for (Index l = 0; l < width; ++l) part[l] += part[l + width];
  }
  return part[0];
}

/// ⟨a, b⟩ of one column each, summed in double.
template <class T>
double column_dot(ConstMatrixView<T> a, ConstMatrixView<T> b, Index column) {
  return dot_in_double(a.column(column), b.column(column), a.rows());
}

}  // namespace pushforward::logdet
