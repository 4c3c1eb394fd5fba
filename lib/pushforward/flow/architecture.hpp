#pragma once

// The description of a flow: the samples that it takes, its chain of transforms and its base density. A model file
// stores it, TOML writes it as [[model.chain]], and the families of families.hpp make it.

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/transforms/transform_kind.hpp>

namespace pushforward::flow {

struct Architecture {
  Domain data;
  std::vector<TransformOptions> chain;
  BaseOptions base{};
};

/// A summary for people: "20 residual, 21 actnorm, base standard_normal". Kinds are in the order of their first
/// transforms.
std::string summary(const Architecture& architecture);

/// The domain before each transform and, last, after the chain. Throws OptionError or ShapeError, with the place in the
/// chain, if samples do not fit a transform. Throws OptionError if a transform takes integers and a trained one comes
/// before it.
std::vector<Domain> domains_of(const Architecture& architecture);

/// The domain after transform k of a chain, with `at` before it. Throws OptionError or ShapeError, with the place in
/// the chain, if samples do not fit.
Domain domain_after(std::size_t k, const TransformOptions& transform, const Domain& at);

/// A transform whose values are bounded although the base density is not, if no later transform removes the bounds.
/// Part of the base's mass has no preimage then, and the flow's density does not integrate to 1.
std::optional<std::size_t> bounded_image(const Architecture& architecture);

/// "transform 3 (coupling) on samples of 8×8×1 values", as messages begin.
std::string place_in_chain(std::size_t k, const TransformOptions& transform, const Domain& at);

/// The keys of the transforms' initial weights: their places in the chain. In chains of ActNorms and residual blocks
/// alone, they are the numbers of the blocks, so that these have the weights they have always had.
std::vector<std::uint64_t> weight_keys(const std::vector<TransformOptions>& chain);

/// The rows of z that are angles.
std::vector<Index> periodic_latents(const std::vector<Domain>& domains);

/// The networks whose Lipschitz constants make transforms invertible, in order. Residual blocks have such networks.
std::vector<nn::NetworkOptions> lipschitz_networks(const Architecture& architecture);

}  // namespace pushforward::flow
