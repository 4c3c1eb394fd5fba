#pragma once

// Replaces a file as a whole. The new content goes to a temporary name in the same folder, and takes the final name
// only when it is complete and on disk. Until then the old file is untouched, and there is no state in between.
// Plain POSIX, on this rank alone.

#include <pushforward/core/index.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace pushforward::h5 {

/// Throws IoError unless a file can be created or replaced under this name: its folder must exist and be writable,
/// and if there is a file already, it must be a regular file that may be written. If the name is a symbolic link, this
/// holds for the name that it leads to. Programs call this before they
/// compute.
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

  /// Flushes to disk.
  void flush();
  /// Flushes to disk and takes the final name.
  void commit();
  /// As commit(), but keeps the file that has the final name under another name in the same folder, in the place of
  /// what is there. At any time one of the two names leads to a complete file.
  void commit_keeping(const std::string& previous);

 private:
  [[noreturn]] void fail(const char* operation, int error) const;

  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace pushforward::h5
