#include <pushforward/import/zip_archive.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>

#include <zip.h>

#include <algorithm>

namespace pushforward::data {

namespace {

// Deflate's best ratio: 258 bytes for 2 bits.
constexpr std::uint64_t best_ratio = 1032;

struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

// A code of libzip with its text.
struct ZipError {
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  ZipError(const ZipError&) = delete;
  ZipError& operator=(const ZipError&) = delete;

  zip_error_t error{};
};

}  // namespace

void ZipArchive::Close::operator()(zip* archive) const {
  zip_discard(archive);
}

ZipArchive::ZipArchive(std::span<const std::byte> bytes, std::string source) : source_(std::move(source)) {
  ZipError failure;
  zip_source_t* const buffer = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &failure.error);
  require<IoError>(buffer != nullptr, "{}: cannot be read as a zip archive: {}", source_,
                   zip_error_strerror(&failure.error));
  archive_.reset(zip_open_from_source(buffer, ZIP_RDONLY, &failure.error));
  if (archive_ == nullptr) {
    zip_source_free(buffer);
    throw IoError(fmt::format("{}: is not a zip archive, or a truncated or damaged one: {}", source_,
                              zip_error_strerror(&failure.error)));
  }
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* const name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    require<IoError>(name != nullptr, "{}: is a damaged zip archive: {}", source_, zip_strerror(archive_.get()));
    names_.emplace_back(name);
  }
}

std::vector<std::byte> ZipArchive::extract(std::size_t index) const {
  const auto& name = names_.at(index);
  zip_stat_t stat{};
  require<IoError>(zip_stat_index(archive_.get(), index, 0, &stat) == 0, "{}: member '{}' is damaged: {}", source_,
                   name, zip_strerror(archive_.get()));
  require<IoError>(stat.encryption_method == ZIP_EM_NONE, "{}: member '{}' is encrypted; unpack the archive first",
                   source_, name);
  require<IoError>(stat.comp_method != ZIP_CM_STORE || stat.size == stat.comp_size,
                   "{}: member '{}' is damaged: it states {} bytes and has {}", source_, name, stat.size,
                   stat.comp_size);
  require<IoError>(stat.comp_method != ZIP_CM_DEFLATE || stat.size / best_ratio <= stat.comp_size,
                   "{}: member '{}' is damaged: it states {} bytes, which cannot be packed into {}", source_, name,
                   stat.size, stat.comp_size);

  const std::unique_ptr<zip_file_t, CloseMember> member(zip_fopen_index(archive_.get(), index, 0));
  require<IoError>(member != nullptr, "{}: member '{}' cannot be unpacked: {}", source_, name,
                   zip_strerror(archive_.get()));
  if (!fits_in_memory(static_cast<double>(stat.size))) {
    throw DataError(fmt::format("{}: member '{}' unpacks to {}, and {} of memory are available", source_, name,
                                human_bytes(static_cast<double>(stat.size)), human_bytes(available_memory())));
  }
  // The memory grows with what is there, not with what is stated.
  constexpr std::uint64_t slice = 1 << 16;
  std::vector<std::byte> content;
  const auto read = [&](std::byte* to, std::uint64_t size) {
    const zip_int64_t count = zip_fread(member.get(), to, size);
    if (count >= 0) return static_cast<std::uint64_t>(count);
    zip_error_t* const error = zip_file_get_error(member.get());
    throw IoError(
        fmt::format("{}: member '{}' is damaged: {}", source_, name,
                    zip_error_code_zip(error) == ZIP_ER_CRC ? "its checksum is wrong" : zip_error_strerror(error)));
  };
  std::uint64_t done = 0;
  while (done < stat.size) {
    content.resize(std::min(stat.size, std::max(slice, 2 * done)));
    const auto count = read(content.data() + done, content.size() - done);
    require<IoError>(count > 0, "{}: member '{}' is damaged: it has {} of the {} bytes that it states", source_, name,
                     done, stat.size);
    done += count;
  }
  std::byte more{};  // libzip compares checksums at the end
  require<IoError>(read(&more, 1) == 0, "{}: member '{}' is damaged: it has more than the {} bytes that it states",
                   source_, name, content.size());
  return content;
}

}  // namespace pushforward::data
