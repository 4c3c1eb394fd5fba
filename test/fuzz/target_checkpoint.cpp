// Checkpoints as a whole: whatever is changed in one, it must be refused.

#include "target.hpp"

#include <pushforward/comm/communicator.hpp>
#include <pushforward/train/checkpoint.hpp>

namespace pushforward::fuzz {
const Target target{.floor = 4U << 20U};
}

int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static const pushforward::comm::Environment environment(*argc, *argv);
  return 0;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  const auto path = fuzz::file_of(data, size);
  const auto comm = comm::Communicator::self();
  if (fuzz::accepts([&] { train::StoredRun::find(comm, path, {}); })) fuzz::require_undamaged(data, size);
  return 0;
}
