#pragma once

#include <pushforward/core/index.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

/// A zip archive in memory, with its zip64 extension: members stored or deflated, as NumPy writes .npz files.
class ZipArchive {
 public:
  struct Member {
    std::string name;
    std::uint64_t offset = 0;  ///< of the local header
    std::uint64_t packed_size = 0;
    std::uint64_t size = 0;
    std::uint32_t checksum = 0;
    std::uint16_t method = 0;
  };

  /// `bytes` must outlive the archive. Throws IoError for what is no zip archive, or a truncated one.
  ZipArchive(std::span<const std::byte> bytes, std::string source);

  const std::vector<Member>& members() const { return members_; }

  /// A member's content, unpacked and held against its checksum. Throws IoError.
  std::vector<std::byte> extract(const Member& member) const;

 private:
  /// The little-endian integer of `size` bytes at `at`.
  std::uint64_t number(std::uint64_t at, std::size_t size) const;
  std::uint64_t find_directory_end() const;
  void read_directory(std::uint64_t at, std::uint64_t count);
  void read_zip64(Member& member, std::uint64_t at, std::uint64_t length) const;

  std::span<const std::byte> bytes_;
  std::string source_;
  std::vector<Member> members_;
};

}  // namespace pushforward::data
