// Models as a whole: whatever is changed in one, it must be refused.

#include "target.hpp"

#include <pushforward/model/model.hpp>

namespace pushforward::fuzz {
const Target target{.floor = 4U << 20U};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const auto path = fuzz::file_of(data, size);
  if (fuzz::accepts([&] { flow::load_model<double>(path); })) fuzz::require_undamaged(data, size);
  return 0;
}
