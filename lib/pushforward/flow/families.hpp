#pragma once

// The families of flows by name. A family is data: the text of a chain of transforms, and a few default numbers. The
// text becomes a chain of transforms (architecture.hpp) when the data and the numbers are known. Its words are
//
//   KIND KEY=VALUE …    a transform with these options. KEY=A|B|… takes the values in turn, one a block. Options that
//                       the text leaves out take the value of the same key of FlowOptions, if there is one
//   norm                an `actnorm`, if FlowOptions::actnorm is true and no value is an angle
//   scales { … }        the part once for each scale of images; once for vectors
//   blocks { … }        the part once for each block
//   images { … }        the part if samples are images
//   grid { … }, flat { … }      the part if more than one pixel is left here, or only one
//   angles { … }, line { … }    the part if some values are angles, or none
//   later { … }, more { … }     the part in all scales but the first, or but the last
//   between { … }       the part in all blocks but the last

#include <pushforward/flow/architecture.hpp>
#include <pushforward/maps/scalar_map.hpp>
#include <pushforward/transforms/integrated.hpp>

namespace pushforward::flow {

/// A family of flows.
struct Family {
  static Registry<Family>& registry();

  std::string name;
  std::string help;
  std::string chain;                    ///< the text; empty: the chain is that of FlowOptions
  bool takes_images = false;            ///< false: makes vectors of images
  Index blocks = 8;                     ///< on vectors by default; on images 4
  std::vector<Index> hidden{128, 128};  ///< on vectors by default; on images 64, 64
  std::string activation = "lipswish";  ///< by default
};

/// The options from which a family makes a flow.
struct FlowOptions {
  /// Couplings of families are wider than those of a chain: splines are the identity outside ±5.
  static ScalarMapOptions default_map();

  std::string kind = "residual";  ///< a name of Family::registry()
  Index blocks = 0;               ///< of images, at each scale; 0: the family's default
  std::vector<Index> hidden{};  ///< widths of a network's hidden layers; of convolutions, channels; empty: the family's
  std::vector<Index> kernels{};           ///< of images: odd, one more than hidden layers; empty: 3, 1, …, 1, 3
  std::string activation = "auto";        ///< of the hidden layers; auto: the family's
  double lipschitz = 0.99;                ///< residual: bound on each block's Lipschitz constant, in (0, 1)
  std::string time = "first";             ///< continuous: where the time enters; see ContinuousOptions
  IntegrationOptions integration{};       ///< continuous: its grid and its density
  bool actnorm = true;                    ///< an ActNorm before each block and at the end; not on angles
  ScalarMapOptions map = default_map();   ///< its kind is for families whose text names none (maf and iaf)
  Index scales = 0;                       ///< of images: how often they are squeezed, and one; 0: 2
  Index levels = 0;                       ///< of integer data 0 … levels − 1, which is dequantized; 0: is not
  double logit = 0;                       ///< margin α of a logit of data on [0, 1]; 0: none
  BaseOptions base{};                     ///< of latents that are no angles
  std::vector<TransformOptions> chain{};  ///< of kind `chain`

  /// All keys but those of base and chain. The set refers to this object.
  OptionSet declare();
};

/// A family's flow on data of this domain. Families that do not take images make vectors of them. Throws OptionError,
/// and ShapeError for data that the transforms do not fit.
Architecture architecture_of(const FlowOptions& options, const Domain& data);

/// Throws OptionError for a key "model.…" that was set and has no effect on the flow for data of this domain. keys: a
/// set that has FlowOptions::declare() as the table "model".
void require_effect(const OptionSet& keys, const FlowOptions& options, const Domain& data);

}  // namespace pushforward::flow
