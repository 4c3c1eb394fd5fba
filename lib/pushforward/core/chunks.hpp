#pragma once

#include <pushforward/core/index.hpp>

#include <algorithm>

namespace pushforward {

/// Calls f(first, count) for consecutive chunks that cover [0, n), each of at most `capacity` items; `capacity` ≥ 1.
template <class F>
void in_chunks(Index n, Index capacity, F&& f) {
  for (Index first = 0; first < n; first += capacity) f(first, std::min(capacity, n - first));
}

}  // namespace pushforward
