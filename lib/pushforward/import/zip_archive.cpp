#include <pushforward/import/zip_archive.hpp>

#include <pushforward/core/error.hpp>

#include <zlib.h>

#include <algorithm>
#include <limits>

namespace pushforward::data {

namespace {

// Signatures and layouts of APPNOTE.TXT, 4.3.
constexpr std::uint64_t directory_end = 0x06054b50, directory_end64 = 0x06064b50, directory_end64_locator = 0x07064b50;
constexpr std::uint64_t directory_entry = 0x02014b50, local_header = 0x04034b50;
constexpr std::uint64_t directory_end_size = 22, locator_size = 20, entry_size = 46, local_header_size = 30;
constexpr std::uint64_t in_zip64 = 0xffffffff;
constexpr std::uint16_t stored = 0, deflated = 8;

// zlib counts in unsigned int.
constexpr std::uint64_t zlib_slice = std::uint64_t{1} << 30;

}  // namespace

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string source)
    : bytes_(bytes), source_(std::move(source)) {
  const auto end = find_directory_end();
  std::uint64_t count = number(end + 10, 2), at = number(end + 16, 4);
  if (end >= locator_size && number(end - locator_size, 4) == directory_end64_locator) {
    const auto end64 = number(end - locator_size + 8, 8);
    require<IoError>(number(end64, 4) == directory_end64, "{}: is a damaged zip archive", source_);
    count = number(end64 + 32, 8);
    at = number(end64 + 48, 8);
  }
  read_directory(at, count);
}

std::uint64_t ZipArchive::number(std::uint64_t at, std::size_t size) const {
  require<IoError>(at <= bytes_.size() && size <= bytes_.size() - at, "{}: is a damaged or truncated zip archive",
                   source_);
  std::uint64_t value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes_[at + i]);
  return value;
}

std::uint64_t ZipArchive::find_directory_end() const {
  constexpr std::uint64_t longest_comment = std::numeric_limits<std::uint16_t>::max();
  require<IoError>(bytes_.size() >= directory_end_size, "{}: is not a zip archive", source_);
  std::uint64_t at = bytes_.size() - directory_end_size;
  for (std::uint64_t tried = 0; tried <= longest_comment; ++tried, --at) {
    if (number(at, 4) == directory_end) return at;
    if (at == 0) break;
  }
  throw IoError(fmt::format("{}: is not a zip archive, or a truncated one", source_));
}

void ZipArchive::read_directory(std::uint64_t at, std::uint64_t count) {
  for (std::uint64_t i = 0; i < count; ++i) {
    require<IoError>(number(at, 4) == directory_entry, "{}: is a damaged zip archive", source_);
    Member member;
    member.method = static_cast<std::uint16_t>(number(at + 10, 2));
    member.checksum = static_cast<std::uint32_t>(number(at + 16, 4));
    member.packed_size = number(at + 20, 4);
    member.size = number(at + 24, 4);
    member.offset = number(at + 42, 4);
    const auto name_length = number(at + 28, 2), extra_length = number(at + 30, 2), comment_length = number(at + 32, 2);
    for (std::uint64_t k = 0; k < name_length; ++k) member.name += static_cast<char>(number(at + entry_size + k, 1));
    read_zip64(member, at + entry_size + name_length, extra_length);
    members_.push_back(std::move(member));
    at += entry_size + name_length + extra_length + comment_length;
  }
}

void ZipArchive::read_zip64(Member& member, std::uint64_t at, std::uint64_t length) const {
  constexpr std::uint64_t zip64_tag = 1;
  for (const auto end = at + length; at + 4 <= end; at += 4 + number(at + 2, 2)) {
    if (number(at, 2) != zip64_tag) continue;
    auto field = at + 4;  // only what did not fit its 32 bits is here, in this order
    for (std::uint64_t* value : {&member.size, &member.packed_size, &member.offset}) {
      if (*value != in_zip64) continue;
      *value = number(field, 8);
      field += 8;
    }
  }
}

std::vector<std::byte> ZipArchive::extract(const Member& member) const {
  require<IoError>(number(member.offset, 4) == local_header, "{}: is a damaged zip archive", source_);
  const auto begin = member.offset + local_header_size + number(member.offset + 26, 2) + number(member.offset + 28, 2);
  require<IoError>(begin <= bytes_.size() && member.packed_size <= bytes_.size() - begin,
                   "{}: is truncated in member '{}'", source_, member.name);
  const auto packed = bytes_.subspan(begin, member.packed_size);
  std::vector<std::byte> content(member.size);

  if (member.method == stored) {
    require<IoError>(packed.size() == content.size(), "{}: member '{}' is damaged", source_, member.name);
    std::ranges::copy(packed, content.begin());
  } else {
    require<IoError>(member.method == deflated, "{}: member '{}' is packed by method {}; stored and deflated are known",
                     source_, member.name, member.method);
    z_stream stream{};
    require<IoError>(inflateInit2(&stream, -MAX_WBITS) == Z_OK, "{}: zlib cannot start", source_);
    std::uint64_t taken = 0, given = 0;
    int status = Z_OK;
    while (status == Z_OK) {
      const auto in = std::min(zlib_slice, packed.size() - taken), out = std::min(zlib_slice, content.size() - given);
      stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data() + taken));
      stream.avail_in = static_cast<uInt>(in);
      stream.next_out = reinterpret_cast<Bytef*>(content.data() + given);
      stream.avail_out = static_cast<uInt>(out);
      status = inflate(&stream, Z_NO_FLUSH);
      taken += in - stream.avail_in;
      given += out - stream.avail_out;
    }
    inflateEnd(&stream);
    require<IoError>(status == Z_STREAM_END && given == content.size(),
                     "{}: member '{}' cannot be unpacked: it is damaged", source_, member.name);
  }

  uLong checksum = crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size());
  require<IoError>(checksum == member.checksum, "{}: member '{}' is damaged: its checksum is wrong", source_,
                   member.name);
  return content;
}

}  // namespace pushforward::data
