#pragma once

#include <pushforward/core/index.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace pushforward::data {

/// Returns the largest weight of the rows [first, last), 0 without rows. read(first row, weights) gives the weights of
/// consecutive rows. If all weights are divided by the largest, a common factor of them changes no result, and sums of
/// their squares neither overflow nor vanish.
template <class Read>
double largest_weight(Index first, Index last, Read&& read) {
  constexpr Index most = 1 << 16;
  std::vector<double> weights(static_cast<std::size_t>(std::min(most, std::max<Index>(0, last - first))));
  double largest = 0;
  for (; first < last; first += most) {
    const auto part = std::span(weights).first(static_cast<std::size_t>(std::min(most, last - first)));
    read(first, part);
    largest = std::max(largest, *std::ranges::max_element(part));
  }
  return largest;
}

}  // namespace pushforward::data
