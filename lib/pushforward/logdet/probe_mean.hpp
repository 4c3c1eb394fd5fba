#pragma once

// The mean over the probes of a sample, and the variance of this mean, for all estimators with probes.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

/// Computes value, variance and sign of each sample. values: (n·m) of the probes, the m of a sample adjacent.
/// variance: that of the mean, s²/m, or NaN for a single probe. sign: 1, or 0 if a value is not finite.
void average_probes(std::span<const double> values, Index m, const Estimate& result);

}  // namespace pushforward::logdet
