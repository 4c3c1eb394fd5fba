// Models behind the seal: the content is damaged, and the seal is made anew. Models of format 1 have no seal. Such
// files may be accepted.

#include "target.hpp"

#include <pushforward/h5/sealed.hpp>
#include <pushforward/model/model.hpp>

#include <vector>

namespace pushforward::fuzz {
const Target target{.floor = 4U << 20U};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  std::vector<std::uint8_t> bytes(data, data + size);
  if (size > h5::seal_bytes && !fuzz::text_of(data, size).starts_with(h5::signature)) {
    h5::seal(std::as_writable_bytes(std::span(bytes)));
  }
  const auto path = fuzz::file_of(bytes.data(), bytes.size());
  fuzz::accepts([&] { flow::load_model<double>(path); });
  return 0;
}
