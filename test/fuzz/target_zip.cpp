// NPZ and other zip archives.

#include "target.hpp"

#include <pushforward/import/read_table.hpp>

namespace pushforward::fuzz {
const Target target{};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const std::string bytes(fuzz::text_of(data, size));
  for (const auto* name : {"", "x"}) {
    fuzz::accepts([&] { data::parse_table(bytes, {"arrays.npz", name}); });
  }
  return 0;
}
