#pragma once

// Samples are the columns of a matrix, and each may have a weight. An empty list of weights means that all are 1.

#include <pushforward/linalg/matrix.hpp>

namespace pushforward {

/// Copies the columns of `from` into those of `to`. Both are (d × n).
template <class T>
void copy_samples(ConstMatrixView<T> from, MatrixView<T> to) {
  for (Index j = 0; j < from.cols(); ++j) std::copy_n(from.column(j), from.rows(), to.column(j));
}

/// sum ← sum + Σⱼ aⱼ over the columns of a (m × n), in their order. sum: (m).
template <class T>
void add_columns(ConstMatrixView<T> a, std::span<T> sum) {
  constexpr Index together = 4;  // so that sums stay in registers
  T* __restrict const to = sum.data();
  Index j = 0;
  for (; j + together <= a.cols(); j += together) {
    const T *const a0 = a.column(j), *const a1 = a.column(j + 1), *const a2 = a.column(j + 2),
                   *const a3 = a.column(j + 3);
    for (Index i = 0; i < a.rows(); ++i) to[i] = to[i] + a0[i] + a1[i] + a2[i] + a3[i];
  }
  for (; j < a.cols(); ++j) {
    const T* const column = a.column(j);
    for (Index i = 0; i < a.rows(); ++i) to[i] += column[i];
  }
}

/// Returns Σ wᵢ over n samples, which is n if `weight` is empty.
template <class T>
T total_weight(std::span<const T> weight, Index n) {
  if (weight.empty()) return static_cast<T>(n);
  T sum = 0;
  for (const T w : weight) sum += w;
  return sum;
}

/// Returns the weight of sample j, which is 1 if `weight` is empty.
template <class T>
T weight_of(std::span<const T> weight, Index j) {
  return weight.empty() ? T(1) : weight[j];
}

}  // namespace pushforward
