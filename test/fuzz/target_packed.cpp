// Files that are packed with gzip, xz, bzip2 or zstd.

#include "target.hpp"

#include <pushforward/import/read_table.hpp>

namespace pushforward::fuzz {
// The packers take a dictionary of the size that the file states; decompress() says how much they may take.
const Target target{.floor = 160U << 20U};
}  // namespace pushforward::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const std::string bytes(fuzz::text_of(data, size));
  fuzz::accepts([&] { data::parse_table(bytes, {"table.csv.gz", ""}); });
  return 0;
}
