#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

struct zip;  // of libzip

namespace pushforward::data {

/// A zip archive in memory, read by libzip: with zip64 extensions, and members that are packed by any method that
/// libzip was built with.
class ZipArchive {
 public:
  /// `bytes` must outlive the archive. `source` names it in messages. Throws IoError if the bytes are no zip archive,
  /// or a truncated or damaged one.
  ZipArchive(std::span<const std::byte> bytes, std::string source);

  /// The names of the members, in the archive's order.
  const std::vector<std::string>& names() const { return names_; }

  /// Unpacks member number `index` (< names().size()). Throws IoError if the member is damaged, encrypted, or packed by
  /// an unknown method, and if its content does not have the checksum and the size that the archive states. A size that
  /// no packed data of that length can have is refused before any memory is taken.
  std::vector<std::byte> extract(std::size_t index) const;

 private:
  struct Close {
    void operator()(zip* archive) const;
  };

  std::string source_;
  std::unique_ptr<zip, Close> archive_;
  std::vector<std::string> names_;
};

}  // namespace pushforward::data
