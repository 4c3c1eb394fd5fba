#pragma once

#include <algorithm>
#include <cmath>

namespace pushforward {

/// log(1 + eᵃ), which neither overflows for large a nor loses its digits for small a.
template <class T>
T softplus(T a) {
  return std::max(a, T(0)) + std::log1p(std::exp(-std::abs(a)));
}

}  // namespace pushforward
