// IDX, the format of MNIST.

#include "target.hpp"

#include <pushforward/import/import_idx.hpp>

namespace pushforward::fuzz {
const Target target{};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  fuzz::accepts([&] { data::parse_idx(std::as_bytes(std::span(data, size)), "images.idx"); });
  return 0;
}
