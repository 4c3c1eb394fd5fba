// Configurations of flow_train in TOML.

#include "target.hpp"

#include <cli/config_file.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::fuzz {
const Target target{.is_text = true};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  fuzz::accepts([&] {
    train::Options options;
    auto set = options.declare();
    apps::read_config(set, fuzz::text_of(data, size), "run.toml");
    options.require_consistent();
    options.architecture({.shape = Shape::vector(3)});
  });
  return 0;
}
