#pragma once

// Sums of products in double, whatever the elements are.

#include <pushforward/linalg/matrix.hpp>

#include <cmath>

namespace pushforward::linalg {

/// Σ aᵢbᵢ of n elements, summed in double, in an order that is the same on every machine.
template <class T>
double dot_in_double(const T* a, const T* b, Index n) {
  constexpr Index lanes = 8;  // partial sums, so that the loop vectorizes
  double part[lanes] = {};
  Index i = 0;
  for (; i + lanes <= n; i += lanes) {
    for (Index l = 0; l < lanes; ++l) part[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  }
  for (Index l = 0; i + l < n; ++l) part[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  for (Index width = lanes / 2; width > 0; width /= 2) {
    for (Index l = 0; l < width; ++l) part[l] += part[l + width];
  }
  return part[0];
}

/// ‖a‖.
template <class T>
double norm_in_double(std::span<const T> a) {
  return std::sqrt(dot_in_double(a.data(), a.data(), std::ssize(a)));
}

/// ⟨a, b⟩ of one column each.
template <class T>
double column_dot(ConstMatrixView<T> a, ConstMatrixView<T> b, Index column) {
  return dot_in_double(a.column(column), b.column(column), a.rows());
}

}  // namespace pushforward::linalg
