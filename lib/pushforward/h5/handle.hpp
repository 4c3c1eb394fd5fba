#pragma once

// Ownership of HDF5 identifiers. hdf5.h itself stays inside this module's sources.

#include <cstdint>
#include <utility>

namespace pushforward::h5 {

/// HDF5's hid_t.
using Id = std::int64_t;

/// Owns one reference to an HDF5 identifier of any kind (file, group, dataset, type, space, property list, attribute);
/// releases it at the end of its life, silently. A file closes when the last handle into it goes.
class Handle {
 public:
  Handle() = default;
  explicit Handle(Id id) : id_(id) {}
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle();

  Id id() const { return id_; }

  /// Releases now. Throws IoError with HDF5's reason when that fails, as it does when a file cannot be flushed.
  void close();

 private:
  Id id_ = -1;
};

}  // namespace pushforward::h5
