#pragma once

// Values that change from step to step: their names, and the places where they are. An object that keeps state adds its
// values to a set. Whoever saves the state reads the places, and whoever restores it writes them, so both know the same
// values (train/checkpoint.hpp).

#include <pushforward/core/index.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace pushforward {

struct StateEntry {
  using Place = std::variant<bool*, Index*, double*, std::span<float>, std::span<double>>;

  std::string name;
  Place place;
};

class StateSet {
 public:
  /// Adds a bool, Index or double, or an array of float or double, which must outlive the set. Names may have slashes,
  /// as paths in a file do. No two values may have the same name.
  template <class V>
  void add(std::string name, V& value) {
    entries_.push_back({std::move(name), &value});
  }
  void add(std::string name, float& value) { entries_.push_back({std::move(name), std::span(&value, 1)}); }
  template <class T>
  void add(std::string name, std::vector<T>& values) {
    entries_.push_back({std::move(name), std::span(values)});
  }
  template <class T>
  void add(std::string name, std::span<T> values) {
    entries_.push_back({std::move(name), values});
  }

  const std::vector<StateEntry>& entries() const { return entries_; }

 private:
  std::vector<StateEntry> entries_;
};

/// The values of a set at one time, in memory.
class StateCopy {
 public:
  explicit StateCopy(const StateSet& state);
  /// Writes the values back to their places. `state` has the entries of the set that was copied.
  void restore(const StateSet& state) const;

 private:
  std::vector<std::byte> bytes_;
};

/// The bytes of a value, at its place.
std::span<std::byte> bytes_of(const StateEntry& entry);

/// A checksum of all values (64-bit FNV-1a over words). Equal states have equal checksums.
std::uint64_t checksum(const StateSet& state);

}  // namespace pushforward
