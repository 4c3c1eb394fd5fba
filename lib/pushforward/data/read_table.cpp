#include <pushforward/data/read_table.hpp>

#include <pushforward/base/error.hpp>
#include <pushforward/base/text.hpp>
#include <pushforward/data/import_npy.hpp>
#include <pushforward/data/location.hpp>
#include <pushforward/data/zip_archive.hpp>
#include <pushforward/h5/reader.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pushforward::data {

namespace {

constexpr std::string_view hdf5_magic = "\x89HDF\r\n\x1a\n", zip_magic = "PK\x03\x04", npy_magic = "\x93NUMPY";

std::ifstream open_binary(const std::string& file) {
  std::error_code error;
  require<IoError>(!std::filesystem::is_directory(file, error), "{}: is a folder, not a file", file);
  std::ifstream stream(file, std::ios::binary);
  require<IoError>(stream.is_open(), "{}: cannot be opened: {}", file, std::strerror(errno));
  return stream;
}

std::string first_bytes(const std::string& file) {
  std::array<char, 8> bytes{};
  auto stream = open_binary(file);
  stream.read(bytes.data(), bytes.size());
  return {bytes.data(), static_cast<std::size_t>(stream.gcount())};
}

std::string read_file(const std::string& file) {
  auto stream = open_binary(file);
  std::string bytes(std::filesystem::file_size(file), '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  require<IoError>(stream.gcount() == static_cast<std::streamsize>(bytes.size()), "{}: cannot be read: {}", file,
                   std::strerror(errno));
  return bytes;
}

[[noreturn]] void refuse_choice(const std::string& file, const std::vector<std::string>& names) {
  require<DataError>(!names.empty(), "{}: holds no array of numbers", file);
  throw DataError(fmt::format("{}: holds several arrays; choose one as {}:NAME; there is {}", file, file, join(names)));
}

Table read_hdf5(const Location& location) {
  const auto root = h5::open_file(location.file);
  std::string path = location.path;
  if (path.empty()) {
    std::vector<std::string> names;
    for (const auto& name : root.names()) {
      if (root.has_dataset(name) && root.dataset(name).is_numeric() && !root.dataset(name).shape().empty()) {
        names.push_back(name);
      }
    }
    if (names.size() != 1) refuse_choice(location.file, names);
    path = names.front();
  }
  const auto dataset = root.dataset(path);
  const auto& shape = dataset.shape();
  require<DataError>(!shape.empty() && dataset.size() > 0, "{}: has shape ({}): no rows, or rows of no numbers",
                     dataset.where(), fmt::join(shape, ", "));
  Table table;
  table.source = dataset.where();
  table.values = dataset.read<double>();
  table.names = default_names(dataset.size() / shape[0]);
  if (root.has_dataset("feature_names")) {
    auto names = root.dataset("feature_names").read_strings();
    table.named = names.size() == table.names.size();
    if (table.named) table.names = std::move(names);
  }
  table.text.resize(table.names.size());
  table.remark = fmt::format("array ({})", fmt::join(shape, ", "));
  return table;
}

Table read_npz(const Location& location, std::string_view bytes) {
  constexpr std::string_view suffix = ".npy";
  const ZipArchive archive(std::as_bytes(std::span(bytes)), location.file);
  std::vector<std::string> names;
  for (const auto& member : archive.members()) {
    const auto& name = member.name;
    names.push_back(name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name);
  }
  if (location.path.empty() && names.size() != 1) refuse_choice(location.file, names);
  const auto found = location.path.empty() ? names.begin() : std::ranges::find(names, location.path);
  require<DataError>(found != names.end(), "{}: no array '{}' in it{}; there is {}", location.file, location.path,
                     suggestion(location.path, names), join(names));
  const auto content = archive.extract(archive.members()[static_cast<std::size_t>(found - names.begin())]);
  return parse_npy(content, location.file + ":" + *found);
}

}  // namespace

Table read_table(const std::string& text, const CsvFormat& format) {
  const auto location = parse_location(text);
  const auto magic = first_bytes(location.file);
  if (magic == hdf5_magic) return read_hdf5(location);
  const auto bytes = read_file(location.file);
  if (magic.starts_with(zip_magic)) return read_npz(location, bytes);
  require<DataError>(location.path.empty(), "{}: holds one table, so there is no '{}' to choose", location.file,
                     location.path);
  if (magic.starts_with(npy_magic)) return parse_npy(std::as_bytes(std::span(bytes)), location.file);
  return parse_csv(bytes, location.file, format);
}

}  // namespace pushforward::data
