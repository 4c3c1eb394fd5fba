#include <pushforward/core/digest.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/h5/sealed.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pushforward::h5 {

namespace {

constexpr std::string_view mark = "pushforward seal";

std::string text_of_seal(std::span<const std::byte> content, const std::string& digest) {
  std::string text = fmt::format("{} 1\nbytes {}\nsha256 {}\n", mark, content.size(), digest);
  text.resize(seal_bytes, '\0');
  return text;
}

bool begins_with(std::span<const std::byte> bytes, std::string_view text) {
  return bytes.size() >= text.size() && std::memcmp(bytes.data(), text.data(), text.size()) == 0;
}

// The number of bytes that a seal states, or nothing if it is damaged there.
std::optional<Index> bytes_in(std::span<const std::byte> seal) {
  const std::string_view text(reinterpret_cast<const char*>(seal.data()), seal.size());
  const auto lines = parts_of(text, '\n');
  constexpr std::string_view name = "bytes ";
  return lines.size() > 1 && lines[1].starts_with(name) ? parse_number<Index>(lines[1].substr(name.size()))
                                                        : std::nullopt;
}

std::vector<std::byte> first_bytes(const std::string& path, std::size_t count) {
  std::ifstream stream(path, std::ios::binary);
  std::vector<std::byte> bytes(count);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count));
  bytes.resize(static_cast<std::size_t>(stream.gcount()));
  return bytes;
}

bool has_seal(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  const auto front = first_bytes(path, seal_bytes);
  return begins_with(front, mark) || (is_hdf5_file(path) && !begins_with(front, signature));
}

struct Content {
  std::vector<std::byte> bytes;  // of the whole file
  std::string digest;
};

// The bytes of a file that agree with their seal.
Content read_sealed(const std::string& path) {
  const auto front = first_bytes(path, seal_bytes);
  require<IoError>(begins_with(front, mark),
                   "{}: is damaged, or a file of another program: the bytes in front are not a seal", path);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  require<IoError>(!error, "{}: cannot be read: {}", path, error.message());
  if (!fits_in_memory(2 * static_cast<double>(size))) {
    throw IoError(fmt::format("{}: has {}, which are read as a whole, and {} of memory are available", path,
                              human_bytes(static_cast<double>(size)), human_bytes(available_memory())));
  }
  auto bytes = first_bytes(path, size);
  require<IoError>(bytes.size() == size, "{}: cannot be read beyond byte {}", path, bytes.size());
  require<IoError>(size > seal_bytes, "{}: is truncated: there are {} bytes", path, size);
  const auto content = std::span(bytes).subspan(seal_bytes);
  const auto wanted = bytes_in(front);
  require<IoError>(!wanted || *wanted <= std::ssize(content), "{}: is truncated: {} of its {} bytes are there", path,
                   content.size(), wanted.value_or(0));
  std::string found = digest(content);
  require<IoError>(begins_with(bytes, text_of_seal(content, found)),
                   "{}: is damaged: its {} bytes do not agree with the seal in front of them; copy it again, or take "
                   "an earlier file",
                   path, size);
  return {std::move(bytes), std::move(found)};
}

}  // namespace

void seal(std::span<std::byte> file) {
  const auto content = file.subspan(seal_bytes);
  const std::string text = text_of_seal(content, digest(content));
  std::memcpy(file.data(), text.data(), text.size());
}

std::string digest_of(std::span<const std::byte> sealed_file) {
  return digest(sealed_file.subspan(seal_bytes));
}

Sealed open_sealed(const std::string& path) {
  if (!has_seal(path)) return {open_file(path), ""};  // or it says what the file is instead
  const auto [bytes, found] = read_sealed(path);
  return {open_image(bytes, path), found};
}

std::string checked_digest(const std::string& path) {
  require<IoError>(has_seal(path), "{}: has no seal", path);
  return read_sealed(path).digest;
}

}  // namespace pushforward::h5
