#include <pushforward/nn/activation.hpp>
#include <pushforward/transforms/network_keys.hpp>

namespace pushforward::flow {

void declare_network(OptionSet& set, std::vector<Index>& hidden, std::string& activation) {
  set.add("hidden", hidden, "widths of the network's hidden layers", between(1, 65'536))
      .add("activation", activation, "activation of the hidden layers", one_of(nn::ActivationKind::registry().names()));
}

void declare_time(OptionSet& set, std::string& time) {
  set.add(
      "time", time,
      "where the time enters the vector field; first: its first layer; gates: all hidden layers, which it scales and "
      "shifts, too",
      one_of({"first", "gates"}));
}

void declare_kernels(OptionSet& set, std::vector<Index>& kernels) {
  set.add("kernels", kernels,
          "odd sizes of a convolutional network's kernels, one more than hidden layers; empty: dense",
          between(1, 1023));
}

}  // namespace pushforward::flow
