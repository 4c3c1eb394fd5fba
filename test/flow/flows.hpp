#pragma once

// Whole flows for tests: every family of families.hpp on vectors, with contexts and angles, on images of several
// scales, chains with splits one after the other, and every base density.

#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/base_density/base_mixture.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/maps/spline.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/residual.hpp>

#include <ostream>

namespace pushforward::test {

/// A chain of these, in their order.
template <class... Options>
std::vector<flow::TransformOptions> chain_of(Options... options) {
  return {flow::TransformOptions(std::move(options))...};
}

/// A flow under test.
struct FlowCase {
  std::string name;
  flow::Architecture architecture;
};
inline std::ostream& operator<<(std::ostream& out, const FlowCase& c) {
  return out << c.name;
}

/// A family's flow of small networks.
inline FlowCase family(const std::string& kind, const flow::Domain& data,
                       flow::FlowOptions options = flow::FlowOptions()) {
  options.kind = kind;
  options.blocks = 2;
  options.hidden = {7, 6};
  options.lipschitz = 0.9;
  if (options.scales == 0) options.scales = 1;
  options.map.as<flow::AffineMapOptions>().scale_limit = 0.7;
  options.map.as<flow::SplineOptions>() = {
      .bins = 4, .bound = 5, .min_width = 0.05, .min_height = 0.05, .min_derivative = 0.1};
  return {fmt::format("{} on {}, {} angles, context of {}, scales {}, base {}", kind, to_string(data.shape),
                      data.periodic.size(), data.context, options.scales, options.base.kind),
          architecture_of(options, data)};
}

/// On vectors, with a context where the family can have one.
inline std::vector<FlowCase> flows_of_vectors(Index dimension) {
  std::vector<FlowCase> flows;
  for (const auto& kind : flow::Family::registry().names()) {
    if (kind == "chain") continue;
    flows.push_back(family(kind, {.shape = Shape::vector(dimension)}));
    if (kind != "planar" && kind != "radial")
      flows.push_back(family(kind, {.shape = Shape::vector(dimension), .context = 3}));
  }
  return flows;
}

inline std::vector<FlowCase> flows_of_angles() {
  std::vector<FlowCase> flows;
  flow::FlowOptions splines;
  splines.map.kind = "spline";
  for (const auto& kind : {"residual", "spline", "maf", "iaf"}) {
    flows.push_back(family(kind, {.shape = Shape::vector(2), .periodic = {1}}, splines));
    flows.push_back(family(kind, {.shape = Shape::vector(5), .periodic = {0, 3}, .context = 2}, splines));
  }
  flow::Architecture a;
  a.data = {.shape = Shape::vector(5), .periodic = {1, 3, 4}};
  a.chain =
      chain_of(flow::ResidualOptions{.hidden = {6}, .lipschitz = 0.8}, flow::FactorOutOptions{.keep = 3},
               flow::PermutationOptions{.order = "reverse"}, flow::ResidualOptions{.hidden = {5}, .lipschitz = 0.8});
  a.base.kind = "normal";
  flows.push_back({"angles among what splits let go", a});
  return flows;
}

/// Flows of one, two and three scales. Those of `glow` and `realnvp` let values go.
inline std::vector<FlowCase> flows_of_images() {
  std::vector<FlowCase> flows;
  flow::FlowOptions one, two, three;
  one.logit = 0.05;
  two.scales = 2;
  three.scales = 3;
  for (const Shape shape : {Shape{4, 4, 2}, Shape{8, 8, 1}}) {
    for (const auto& kind : {"residual", "realnvp", "glow", "spline"}) {
      flows.push_back(family(kind, {.shape = shape, .periodic = {}, .context = flows.size() % 2 == 0 ? 0 : 2}, two));
    }
  }
  flows.push_back(family("glow", {.shape = {8, 8, 1}}, three));
  flows.push_back(family("glow", {.shape = {4, 4, 1}}, one));
  return flows;
}

/// Splits behind splits, and one at the end.
inline FlowCase nested_splits(Index dimension, Index context = 0) {
  flow::CouplingOptions coupling;
  coupling.hidden = {6};
  coupling.map = flow::AffineMapOptions{.scale_limit = 0.7};
  flow::Architecture a;
  a.data = {.shape = Shape::vector(dimension), .periodic = {}, .context = context};
  a.chain = chain_of(flow::ActNormOptions(), coupling, flow::FactorOutOptions{.keep = dimension - 2}, coupling,
                     flow::FactorOutOptions{.keep = dimension - 3}, flow::FactorOutOptions{.keep = dimension - 4},
                     flow::LinearOptions(), flow::FactorOutOptions{.keep = 1});
  a.base.kind = "normal";
  return {fmt::format("nested splits of {}", dimension), a};
}

/// Every base density, behind transforms that go on with it, split it and have angles.
inline std::vector<FlowCase> flows_of_all_bases() {
  std::vector<FlowCase> flows;
  for (const auto& kind : flow::BaseKind::registry().names()) {
    flow::FlowOptions options, scales;
    options.base.kind = kind;
    options.base.as<flow::MixtureOptions>().components = 3;
    options.base.as<flow::UniformOptions>() = {.low = -200, .high = 200};
    scales.base = options.base;
    scales.scales = 2;
    flows.push_back(family("realnvp", {.shape = Shape::vector(3)}, options));
    flows.push_back(family("spline", {.shape = Shape::vector(3), .periodic = {1}}, options));
    flows.push_back(family("glow", {.shape = {4, 4, 1}}, scales));
  }
  return flows;
}

inline std::vector<FlowCase> all_flows() {
  std::vector<FlowCase> flows;
  for (const auto& some : {flows_of_vectors(2), flows_of_vectors(5), flows_of_angles(), flows_of_images(),
                           flows_of_all_bases(), std::vector<FlowCase>{nested_splits(7), nested_splits(6, 2)}}) {
    flows.insert(flows.end(), some.begin(), some.end());
  }
  return flows;
}

}  // namespace pushforward::test
