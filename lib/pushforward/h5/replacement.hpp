#pragma once

// Replacing a file as a whole: the new content goes to a temporary name in the same folder and takes the final name
// only when it is complete and on disk. Until then whatever has the final name is untouched; afterwards it is the new
// file; there is nothing in between. Plain POSIX, of this rank alone.

#include <pushforward/core/index.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace pushforward::h5 {

/// Throws IoError unless a file can be made, or replaced, under this name: its folder exists and is writable, and what
/// has the name, if anything, is a regular file that may be written. For programs to call before they compute.
void require_writable(const std::string& path);

class Replacement {
 public:
  /// Creates the temporary file, empty. Throws like require_writable.
  explicit Replacement(const std::string& path);
  Replacement(Replacement&& other) noexcept;
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;
  /// Removes the temporary file unless it was committed.
  ~Replacement();

  /// The temporary name.
  const std::string& temporary() const { return temporary_; }

  /// Appends bytes. Throws IoError with the system's reason, as for a full disk.
  void write(std::span<const std::byte> bytes);

  /// Makes the file `bytes` long, with space on disk for all of it. Throws IoError where there is not enough.
  void reserve(Index bytes);

  /// Flushes to disk and takes the final name.
  void commit();

 private:
  [[noreturn]] void fail(const char* operation, int error) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace pushforward::h5
