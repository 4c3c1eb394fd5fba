#include <pushforward/nn/activation.hpp>
#include <pushforward/transforms/layer_options.hpp>

namespace pushforward::flow {

namespace {

void declare_network(OptionSet& set, std::vector<Index>& hidden, std::string& activation) {
  set.add("hidden", hidden, "widths of the network's hidden layers", between(1, 65'536))
      .add("activation", activation, "activation of the hidden layers", one_of(nn::ActivationKind::registry().names()));
}

void declare_kernels(OptionSet& set, std::vector<Index>& kernels) {
  set.add("kernels", kernels,
          "sizes of a convolutional network's kernels, odd, one more than hidden layers; empty: dense",
          between(1, 1023));
}

void declare_map(OptionSet& set, ScalarMapOptions& map) {
  set.add("map", map.kind, "map of single values", one_of({"additive", "affine", "spline"}))
      .add("scale_limit", map.scale_limit, "affine: bound on |log scale|", between(1e-3, 40))
      .add("bins", map.bins, "spline: bins", between(2, 64))
      .add("bound", map.bound, "spline: the identity outside ±bound", more_than(0))
      .add("min_width", map.min_width, "spline: least width of a bin, of the whole", between(1e-5, 0.5))
      .add("min_height", map.min_height, "spline: least height of a bin, of the whole", between(1e-5, 0.5))
      .add("min_derivative", map.min_derivative, "spline: least slope at a knot", strictly_between(0, 1));
}

}  // namespace

OptionSet ResidualOptions::declare() {
  OptionSet set;
  declare_network(set, hidden, activation);
  declare_kernels(set, kernels);
  set.add("lipschitz", lipschitz, "bound on the Lipschitz constant of the block", strictly_between(0, 1));
  return set;
}

OptionSet CouplingOptions::declare() {
  OptionSet set;
  set.add("mask", mask, "values that stay as they are",
          one_of({"first", "second", "even", "odd", "checkerboard", "checkerboard-odd"}));
  declare_map(set, map);
  declare_network(set, hidden, activation);
  declare_kernels(set, kernels);
  return set;
}

OptionSet AutoregressiveOptions::declare() {
  OptionSet set;
  declare_map(set, map);
  declare_network(set, hidden, activation);
  set.add("inverse", inverse, "the inverse flow (IAF): fast to sample from, slow to train");
  return set;
}

}  // namespace pushforward::flow
