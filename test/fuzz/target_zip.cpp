// NPZ and other zip archives.

#include "target.hpp"

#include <pushforward/import/read_table.hpp>

namespace pushforward::fuzz {
// libzip takes a table of as many entries as the archive states in 16 bits, of 32 bytes each.
const Target target{.floor = 4U << 20U};
}  // namespace pushforward::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const std::string bytes(fuzz::text_of(data, size));
  for (const auto* name : {"", "x"}) {
    fuzz::accepts([&] { data::parse_table(bytes, {"arrays.npz", name}); });
  }
  return 0;
}
