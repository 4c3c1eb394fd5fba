#pragma once

// What a flow is made of, before there is one: the samples it takes, its chain of transforms, its base density. It is
// what a model file stores, what TOML writes out as [[model.chain]], and what the families of presets.hpp come to.

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/core/option_set.hpp>
#include <pushforward/nn/network.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/layer_options.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/squeeze.hpp>

#include <variant>

namespace pushforward::flow {

/// One transform of a chain: its kind and the options that the kind has.
class LayerOptions {
 public:
  using Variant = std::variant<ActNormOptions, ResidualOptions, CouplingOptions, AutoregressiveOptions,
                               ElementwiseOptions, DequantizeOptions, ScalingOptions, PermutationOptions, LinearOptions,
                               PlanarOptions, RadialOptions, SqueezeOptions, FactorOutOptions>;

  template <class Options>
  requires(!std::same_as<Options, LayerOptions>) LayerOptions(Options options) : options_(std::move(options)) {}
  /// With default options. Throws OptionError, with a suggestion, when there is no such kind.
  static LayerOptions of_kind(std::string_view kind);
  static const std::vector<std::string>& kinds();

  const std::string& kind() const { return kinds()[options_.index()]; }
  /// Whether the transform has no parameters (Trained).
  bool is_fixed() const;
  /// Whether it takes a context.
  bool takes_context() const;
  const Variant& options() const { return options_; }
  Variant& options() { return options_; }
  /// The keys of this kind. The set refers to this object.
  OptionSet declare();

 private:
  Variant options_;
};

struct Architecture {
  Domain data;
  std::vector<LayerOptions> chain;
  BaseOptions base{};
};

/// For people: "20 residual, 21 actnorm", kinds in the order of their first transforms; and the base density.
std::string summary(const Architecture& architecture);

/// The domain in front of each transform and, last, behind the chain: its length + 1. Throws OptionError or ShapeError
/// where a transform does not fit what the one before leaves, naming both, and for integers that are wanted behind
/// parameters.
std::vector<Domain> domains_of(const Architecture& architecture);

/// A transform whose values are bounded where the base density is not, with none behind it that takes the bounds away:
/// part of the base's mass has no preimage then, and the flow's density does not integrate to 1.
std::optional<std::size_t> bounded_image(const Architecture& architecture);

/// "transform 3 (coupling) on samples of 8×8×1 values", as messages begin.
std::string place_in_chain(std::size_t k, const LayerOptions& layer, const Domain& at);

/// The rows of z that are angles.
std::vector<Index> periodic_latents(const std::vector<Domain>& domains);

/// The network of a residual block.
nn::NetworkOptions residual_network(const ResidualOptions& options, const Domain& at);
/// Those of all residual blocks, in order.
std::vector<nn::NetworkOptions> residual_networks(const Architecture& architecture);

}  // namespace pushforward::flow
