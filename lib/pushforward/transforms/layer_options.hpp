#pragma once

// The options of each kind of transform and of the base density: what a user may write for it, what a model file stores
// as attributes. declare() gives their keys, with help and rules; the set refers to the object.

#include <pushforward/core/option_set.hpp>
#include <pushforward/maps/scalar_map.hpp>

namespace pushforward::flow {

/// z = x + g(x) (residual.hpp). On images with kernels, g is convolutional and `hidden` are channels; without, it is
/// dense over all values.
struct ResidualOptions {
  std::vector<Index> hidden{48, 48};  ///< widths of the hidden layers
  std::vector<Index> kernels{};       ///< odd sizes of the kernels, one more than hidden layers; empty: dense
  std::string activation = "lipswish";
  double lipschitz = 0.99;  ///< bound on the block's Lipschitz constant, in (0, 1)

  OptionSet declare();
};

/// Coupling (coupling.hpp): the values that `mask` names stay as they are, the others are mapped with parameters that a
/// network makes of them.
struct CouplingOptions {
  std::string mask = "even";  ///< first, second, even, odd: of vectors and channels; checkerboard, checkerboard-odd
  ScalarMapOptions map{};     ///< angles take the circular spline for `spline`, and no `affine`
  std::vector<Index> hidden{128, 128};
  std::vector<Index> kernels{};  ///< as in ResidualOptions
  std::string activation = "lipswish";

  OptionSet declare();
};

/// Masked autoregressive flow, or its inverse (autoregressive.hpp).
struct AutoregressiveOptions {
  ScalarMapOptions map{};  ///< angles take the circular spline for `spline`, and no `affine`
  std::vector<Index> hidden{128, 128};
  std::string activation = "lipswish";
  bool inverse = false;  ///< IAF: fast to sample from, slow to train

  OptionSet declare();
};

}  // namespace pushforward::flow
