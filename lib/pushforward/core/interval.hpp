#pragma once

#include <cmath>
#include <utility>

namespace pushforward {

/// Returns true if an interval (low, high) has a finite end.
inline bool is_bounded(const std::pair<double, double>& interval) {
  return std::isfinite(interval.first) || std::isfinite(interval.second);
}

}  // namespace pushforward
