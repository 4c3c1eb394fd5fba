#pragma once

// What estimators with probes share: the mean over a sample's probes, and what it says of the variance.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

/// value, variance and sign from the values of each probe. values: (n·m), the m of a sample adjacent. variance: that of
/// the mean, s²/m; NaN for a single probe. sign: 1, or 0 where a value is not finite.
void average_probes(std::span<const double> values, Index m, const Estimate& result);

/// ⟨a, b⟩ of one column each, summed in double.
template <class T>
double column_dot(ConstMatrixView<T> a, ConstMatrixView<T> b, Index column) {
  double sum = 0;
  for (Index r = 0; r < a.rows(); ++r) sum += static_cast<double>(a(r, column)) * static_cast<double>(b(r, column));
  return sum;
}

}  // namespace pushforward::logdet
