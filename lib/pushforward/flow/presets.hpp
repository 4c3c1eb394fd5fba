#pragma once

// The families of flows by name, each a chain of transforms (architecture.hpp) built from a few numbers.

#include <pushforward/flow/architecture.hpp>

namespace pushforward::flow {

/// What a family's flow is built from.
struct FlowOptions {
  std::string kind = "residual";        ///< one of flow_kinds()
  Index blocks = 20;                    ///< ≥ 1; of images, at each scale
  std::vector<Index> hidden{48, 48};    ///< widths of a network's hidden layers; of convolutions, channels
  std::vector<Index> kernels{};         ///< of images: odd, one more than hidden layers; empty: 3, 1, …, 1, 3
  std::string activation = "lipswish";  ///< of the hidden layers
  double lipschitz = 0.99;              ///< residual: bound on each block's Lipschitz constant, in (0, 1)
  bool actnorm = true;                  ///< an ActNorm before each block and at the end; not on angles
  ScalarMapOptions map{.bound = 5};     ///< maf and iaf; of the others, everything but its kind
  Index scales = 1;                     ///< of images: how often they are squeezed, and one
  Index levels = 0;                     ///< of integer data 0 … levels − 1, which is dequantized; 0: is not
  double logit = 0;                     ///< margin α of a logit of data on [0, 1]; 0: none
  BaseOptions base{};                   ///< of latents that are no angles
  std::vector<LayerOptions> chain{};    ///< of kind `chain`
};

/// residual, nice, realnvp, glow, spline, maf, iaf, planar, radial, chain.
const std::vector<std::string>& flow_kinds();

/// Blocks and hidden layers that a family has by default, on vectors or images.
FlowOptions default_options(std::string_view kind, bool image);

/// A family's flow on data of this domain. Of images, `nice`, `maf`, `iaf`, `planar` and `radial` make vectors. Throws
/// OptionError.
Architecture architecture_of(const FlowOptions& options, const Domain& data);

}  // namespace pushforward::flow
