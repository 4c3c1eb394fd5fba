#pragma once

// Images as matrices with one column per pixel.

#include <pushforward/core/shape.hpp>
#include <pushforward/linalg/matrix.hpp>

namespace pushforward::flow {

/// Samples (d × n) of a shape as (channels × pixels·n), one column per pixel, in the same memory. Images must be
/// contiguous (BugError); vectors may have any leading dimension. T may be const.
template <class T>
MatrixView<T> pixels_of(const Shape& shape, MatrixView<T> samples) {
  if (!shape.is_image()) return samples;
  require<BugError>(samples.contiguous(), "images ({} × {}) with leading dimension {}: must be contiguous",
                    samples.rows(), samples.cols(), samples.ld());
  return {samples.data(), shape.channels, shape.pixels() * samples.cols()};
}

}  // namespace pushforward::flow
