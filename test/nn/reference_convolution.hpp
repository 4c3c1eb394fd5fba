#pragma once

// A convolution as its formula, for tests.

#include <pushforward/nn/conv.hpp>

#include "../linalg/fixtures.hpp"

namespace pushforward::test {

/// Calls f(output, input, column of W) for all values of one image that belong together: y(output) sums W(o, column) ·
/// x(input) over the channels o of the output pixel.
template <class F>
void for_each_term(const nn::ConvSize& size, F&& f) {
  const Shape in = size.image, out = size.output();
  for (Index p = 0; p < out.height; ++p) {
    for (Index q = 0; q < out.width; ++q) {
      for (Index r = 0; r < size.kernel_height; ++r) {
        for (Index s = 0; s < size.kernel_width; ++s) {
          const Index y = p + r - size.pad_height, x = q + s - size.pad_width;
          if (y < 0 || y >= in.height || x < 0 || x >= in.width) continue;
          for (Index c = 0; c < in.channels; ++c) {
            f((p * out.width + q) * out.channels, (y * in.width + x) * in.channels + c,
              (r * size.kernel_width + s) * in.channels + c);
          }
        }
      }
    }
  }
}

/// The convolution as a matrix, (outputs × inputs), of a weight (C_out × k_h k_w C_in).
template <class T>
Matrix<T> reference_matrix(const nn::ConvSize& size, ConstMatrixView<T> weight) {
  Matrix<T> map(size.output().size(), size.image.size());
  for_each_term(size, [&](Index output, Index input, Index column) {
    for (Index o = 0; o < size.channels; ++o) map(output + o, input) += weight(o, column);
  });
  return map;
}

/// The gradient of Σ bar ∘ map with respect to the weight.
template <class T>
Matrix<T> reference_weight_gradient(const nn::ConvSize& size, ConstMatrixView<T> bar) {
  Matrix<T> gradient(size.channels, size.patch());
  for_each_term(size, [&](Index output, Index input, Index column) {
    for (Index o = 0; o < size.channels; ++o) gradient(o, column) += bar(output + o, input);
  });
  return gradient;
}

}  // namespace pushforward::test
