#pragma once

// What estimators with probes share: the mean over a sample's probes, and what it says of the variance.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

/// value, variance and sign from the values of each probe. values: (n·m), the m of a sample adjacent. variance: that of
/// the mean, s²/m; NaN for a single probe. sign: 1, or 0 where a value is not finite.
void average_probes(std::span<const double> values, Index m, const Estimate& result);

}  // namespace pushforward::logdet
