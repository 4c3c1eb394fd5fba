#include <pushforward/logdet/probe_mean.hpp>

#include <cmath>
#include <limits>

namespace pushforward::logdet {

void average_probes(std::span<const double> values, Index m, const Estimate& result) {
  for (std::size_t i = 0; i < result.value.size(); ++i) {
    const auto mine = values.subspan(i * m, m);
    double mean = 0, square = 0;
    for (const double value : mine) mean += value / static_cast<double>(m);
    for (const double value : mine) square += (value - mean) * (value - mean);
    result.value[i] = mean;
    result.variance[i] = m > 1 ? square / static_cast<double>(m * (m - 1)) : std::numeric_limits<double>::quiet_NaN();
    result.sign[i] = std::isfinite(mean) ? linalg::Sign(1) : linalg::Sign(0);
  }
}

}  // namespace pushforward::logdet
