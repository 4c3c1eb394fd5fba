// NumPy's .npy.

#include "target.hpp"

#include <pushforward/import/import_npy.hpp>

namespace pushforward::fuzz {
const Target target{};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  fuzz::accepts([&] { data::parse_npy(std::as_bytes(std::span(data, size)), "array.npy"); });
  return 0;
}
