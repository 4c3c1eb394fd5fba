#pragma once

// Small things that transforms do with the batches they are given.

#include <pushforward/base/shape.hpp>
#include <pushforward/nn/parameters.hpp>

#include <string>

namespace pushforward::flow {

/// Samples (d × n) of a shape as (channels × pixels·n), one column per pixel: the same memory. Images must be
/// contiguous (BugError); vectors may have any leading dimension. T may be const.
template <class T>
MatrixView<T> pixels_of(const Shape& shape, MatrixView<T> samples) {
  if (!shape.is_image()) return samples;
  require<BugError>(samples.contiguous(), "images ({} × {}) with leading dimension {}: must be contiguous",
                    samples.rows(), samples.cols(), samples.ld());
  return {samples.data(), shape.channels, shape.pixels() * samples.cols()};
}

/// from, to: (d × n).
template <class T>
void copy_samples(ConstMatrixView<T> from, MatrixView<T> to) {
  for (Index j = 0; j < from.cols(); ++j) std::copy_n(from.column(j), from.rows(), to.column(j));
}

/// Σ wᵢ of n samples; n where there are no weights.
template <class T>
T total_weight(std::span<const T> weight, Index n) {
  if (weight.empty()) return static_cast<T>(n);
  T sum = 0;
  for (const T w : weight) sum += w;
  return sum;
}

/// The weight of sample j, 1 where there are no weights.
template <class T>
T weight_of(std::span<const T> weight, Index j) {
  return weight.empty() ? T(1) : weight[static_cast<std::size_t>(j)];
}

/// Adds a vector or a matrix to the layout; returns where in the flat buffer it begins.
inline Index add_vector(nn::ParameterLayout& layout, const std::string& name, Index size) {
  return layout.blocks()[static_cast<std::size_t>(layout.add(name, size))].offset;
}
inline Index add_matrix(nn::ParameterLayout& layout, const std::string& name, Index rows, Index cols) {
  return layout.blocks()[static_cast<std::size_t>(layout.add(name, rows, cols))].offset;
}

/// `size` elements of a flat buffer from `offset` on. T may be const.
template <class T>
std::span<T> part_of(std::span<T> buffer, Index offset, Index size) {
  return buffer.subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
}

/// The greatest number up to `most` that fits, as all smaller ones do; at least 1.
template <class F>
Index greatest(Index most, F&& fits) {
  Index known = 1, beyond = std::max<Index>(most, 1) + 1;
  while (beyond - known > 1) {
    const Index middle = known + (beyond - known) / 2;
    (fits(middle) ? known : beyond) = middle;
  }
  return known;
}

}  // namespace pushforward::flow
