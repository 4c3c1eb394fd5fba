#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <span>
#include <vector>

namespace pushforward::data {

/// Returns the numbers of type V that `bytes` holds one after the other. If `swap` is true, their byte order is not
/// this machine's.
template <class V>
std::vector<double> decode(std::span<const std::byte> bytes, bool swap) {
  std::vector<double> values(bytes.size() / sizeof(V));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::array<std::byte, sizeof(V)> element;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(i * sizeof(V)), sizeof(V), element.begin());
    if (swap) std::ranges::reverse(element);
    values[i] = static_cast<double>(std::bit_cast<V>(element));
  }
  return values;
}

using Decoder = std::vector<double> (*)(std::span<const std::byte> bytes, bool swap);

}  // namespace pushforward::data
