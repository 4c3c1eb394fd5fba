// Checkpoints behind the seal: the content is damaged, and the seal is made anew. Then all values are read that the
// undamaged files have.

#include "target.hpp"

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/state_set.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/train/checkpoint.hpp>

#include <cstdlib>
#include <deque>
#include <vector>

namespace pushforward::fuzz {

const Target target{.floor = 4U << 20U};

namespace {

// Places for the values of a checkpoint.
struct Places {
  StateSet state;
  std::deque<Index> integers;
  std::deque<std::vector<double>> doubles;
  std::deque<std::vector<float>> floats;
};

void add_places(Places& places, const std::string& path) {
  constexpr std::string_view folder = "state/";
  const auto root = h5::open_sealed(path).root;
  for (const auto& found : root.search()) {
    if (!found.path.starts_with(folder)) continue;
    const auto name = found.path.substr(folder.size());
    const auto dataset = root.dataset(found.path);
    const auto size = static_cast<std::size_t>(dataset.size());
    if (dataset.is_integer()) {
      places.state.add(name, places.integers.emplace_back());
    } else if (dataset.element_bytes() == sizeof(float)) {
      places.state.add(name, places.floats.emplace_back(size));
    } else {
      places.state.add(name, places.doubles.emplace_back(size));
    }
  }
}

std::deque<Places>& all_places() {
  static std::deque<Places> all;
  return all;
}

}  // namespace

}  // namespace pushforward::fuzz

int LLVMFuzzerInitialize(int* argc, char*** argv) {
  using namespace pushforward;
  static const comm::Environment environment(*argc, *argv);
  for (const auto& entry : std::filesystem::directory_iterator(std::getenv("PUSHFORWARD_FUZZ_SEEDS"))) {
    fuzz::add_places(fuzz::all_places().emplace_back(), entry.path());
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pushforward;
  std::vector<std::uint8_t> bytes(data, data + size);
  if (size > h5::seal_bytes) h5::seal(std::as_writable_bytes(std::span(bytes)));
  const auto path = fuzz::file_of(bytes.data(), bytes.size());
  const auto comm = comm::Communicator::self();
  fuzz::accepts([&] {
    const auto run = train::StoredRun::find(comm, path, {});
    for (const auto& places : fuzz::all_places()) {
      fuzz::accepts([&] { run->restore(comm, places.state, {}); });
    }
  });
  return 0;
}
