#include <pushforward/import/read_table.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/import/import_idx.hpp>
#include <pushforward/import/import_npy.hpp>
#include <pushforward/import/zip_archive.hpp>

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

namespace pushforward::data {

namespace {

constexpr std::string_view hdf5_magic = "\x89HDF\r\n\x1a\n", zip_magic = "PK\x03\x04", npy_magic = "\x93NUMPY",
                           gzip_magic = "\x1f\x8b";

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

std::string unpack_gzip(const std::string& file) {
  constexpr unsigned slice = 1 << 20;
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> stream(gzopen(file.c_str(), "rb"), gzclose_r);
  require<IoError>(stream != nullptr, "{}: cannot be opened: {}", file, std::strerror(errno));
  std::string bytes;
  int count = 0;
  do {
    const std::size_t before = bytes.size();
    bytes.resize(before + slice);
    count = gzread(stream.get(), bytes.data() + before, slice);
    bytes.resize(before + std::max(count, 0));
  } while (count > 0);
  int error = Z_OK;
  const char* const reason = gzerror(stream.get(), &error);
  require<IoError>(error == Z_OK, "{}: cannot be unpacked: it is truncated or damaged ({})", file, reason);
  return bytes;
}

// The file's own name in lower case, without .gz.
std::string plain_name(const std::string& file) {
  std::string name = std::filesystem::path(file).filename();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (name.ends_with(".gz")) name.resize(name.size() - 3);
  return name;
}

// As MNIST's train-images-idx3-ubyte, or images.idx.
bool is_named_as_idx(const std::string& name) {
  const auto at = std::max(name.rfind("-idx") + 1, name.rfind(".idx") + 1);  // npos + 1 is 0
  return at > 0 && (at + 3 == name.size() || std::isdigit(static_cast<unsigned char>(name[at + 3])) != 0);
}

[[noreturn]] void refuse_choice(const std::string& file, const std::vector<std::string>& names) {
  require<DataError>(!names.empty(), "{}: holds no array of numbers", file);
  throw DataError(
      fmt::format("{}: holds several arrays; choose one as {}:NAME; there is {}", file, file, join_some(names)));
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
  for (const auto& name : archive.names()) {
    names.push_back(name.ends_with(suffix) ? name.substr(0, name.size() - suffix.size()) : name);
  }
  if (location.path.empty() && names.size() != 1) refuse_choice(location.file, names);
  const auto found = location.path.empty() ? names.begin() : std::ranges::find(names, location.path);
  require<DataError>(found != names.end(), "{}: no array '{}' in it{}; there is {}", location.file, location.path,
                     suggestion(location.path, names), join_some(names));
  const auto content = archive.extract(static_cast<std::size_t>(found - names.begin()));
  return parse_npy(content, location.file + ":" + *found);
}

Table read_location(const std::string& text, const CsvFormat& format) {
  const auto location = parse_location(text);
  const auto magic = first_bytes(location.file);
  if (magic == hdf5_magic) return read_hdf5(location);
  const auto content = magic.starts_with(gzip_magic) ? unpack_gzip(location.file) : read_file(location.file);
  require<DataError>(!content.starts_with(hdf5_magic), "{}: is compressed HDF5; unpack it with gunzip", location.file);
  if (content.starts_with(zip_magic)) return read_npz(location, content);
  require<DataError>(location.path.empty(), "{}: holds one table, so there is no '{}' to choose", location.file,
                     location.path);
  const auto bytes = std::as_bytes(std::span(content));
  const auto name = plain_name(location.file);
  if (content.starts_with(npy_magic)) return parse_npy(bytes, location.file);
  if (name.ends_with(".bin")) return parse_cifar(bytes, location.file);
  if (begins_as_idx(bytes) || is_named_as_idx(name)) return parse_idx(bytes, location.file);
  return parse_csv(content, location.file, format);
}

// Puts the one column of `labels` before those of the table.
void join_labels(Table& table, const Table& labels) {
  require<DataError>(labels.dimension() == 1, "{}: {} columns; labels are one column", labels.source,
                     labels.dimension());
  require<DataError>(labels.rows() == table.rows(), "{}: {} labels for the {} rows of {}", labels.source, labels.rows(),
                     table.rows(), table.source);
  const std::string name = labels.named ? labels.names.front() : "label";
  require<DataError>(std::ranges::find(table.names, name) == table.names.end(),
                     "{}: has a column {} already, beside that of {}", table.source, name, labels.source);
  std::vector<double> values;
  values.reserve(table.values.size() + labels.values.size());
  const auto d = static_cast<std::ptrdiff_t>(table.names.size());
  auto row = table.values.begin();
  for (const double label : labels.values) {
    values.push_back(label);
    values.insert(values.end(), row, row + d);
    row += d;
  }
  table.values = std::move(values);
  table.names.insert(table.names.begin(), name);
  table.text.insert(table.text.begin(), labels.text.front());
  if (!table.labels.empty() || !labels.labels.empty()) {
    table.labels.resize(static_cast<std::size_t>(d));
    table.labels.insert(table.labels.begin(), labels.labels.empty() ? Labels() : labels.labels.front());
  }
  table.named = true;
  if (table.pixels) ++table.pixels->first;
  table.remark += fmt::format("; {} from {}: {}", name, labels.source, labels.remark);
}

}  // namespace

Table read_table(const std::string& text, const CsvFormat& format) {
  const auto [rows, labels] = parse_labelled(text);
  Table table = read_location(rows, format);
  if (!labels.empty()) join_labels(table, read_location(labels, format));
  return table;
}

}  // namespace pushforward::data
