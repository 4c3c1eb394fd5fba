#include <pushforward/core/error.hpp>
#include <pushforward/core/state_set.hpp>

#include <algorithm>
#include <cstring>

namespace pushforward {

std::span<std::byte> bytes_of(const StateEntry& entry) {
  return std::visit(
      [](const auto& place) {
        if constexpr (std::is_pointer_v<std::decay_t<decltype(place)>>) {
          return std::as_writable_bytes(std::span(place, 1));
        } else {
          return std::as_writable_bytes(place);
        }
      },
      entry.place);
}

StateCopy::StateCopy(const StateSet& state) {
  for (const auto& entry : state.entries()) {
    const auto bytes = bytes_of(entry);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
}

void StateCopy::restore(const StateSet& state) const {
  std::size_t at = 0;
  for (const auto& entry : state.entries()) {
    const auto bytes = bytes_of(entry);
    require<BugError>(at + bytes.size() <= bytes_.size(), "a state of {} bytes does not fit '{}'", bytes_.size(),
                      entry.name);
    std::memcpy(bytes.data(), bytes_.data() + at, bytes.size());
    at += bytes.size();
  }
}

std::uint64_t checksum(const StateSet& state) {
  constexpr std::uint64_t offset = 14695981039346656037u, prime = 1099511628211u;
  std::uint64_t sum = offset;
  for (const auto& entry : state.entries()) {
    const auto bytes = bytes_of(entry);
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof word, bytes.size() - at));
      sum = (sum ^ word) * prime;
    }
  }
  return sum;
}

}  // namespace pushforward
