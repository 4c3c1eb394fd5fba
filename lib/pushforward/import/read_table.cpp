#include <pushforward/import/read_table.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/import/decompress.hpp>
#include <pushforward/import/file_kinds.hpp>
#include <pushforward/import/import_hdf5.hpp>
#include <pushforward/import/import_idx.hpp>
#include <pushforward/import/import_npy.hpp>
#include <pushforward/import/zip_archive.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pushforward::data {

namespace {

constexpr std::string_view zip_magic = "PK\x03\x04", npy_magic = "\x93NUMPY";

// All bytes of a file of known or unknown size, as a pipe has.
std::string read_file(const std::string& file) {
  constexpr std::size_t slice = 1 << 20;
  std::error_code error;
  require<IoError>(!std::filesystem::is_directory(file, error), "{}: is a folder, not a file", file);
  std::ifstream stream(file, std::ios::binary);
  require<IoError>(stream.is_open(), "{}: cannot be opened: {}", file, std::strerror(errno));
  std::string bytes;
  const bool is_regular = std::filesystem::is_regular_file(file, error);
  if (is_regular) bytes.reserve(std::filesystem::file_size(file, error) + 1);
  while (stream) {
    const std::size_t before = bytes.size();
    bytes.resize(before + std::max(slice, std::min(before, bytes.capacity() - before)));
    stream.read(bytes.data() + before, static_cast<std::streamsize>(bytes.size() - before));
    bytes.resize(before + static_cast<std::size_t>(stream.gcount()));
  }
  require<IoError>(!stream.bad(), "{}: cannot be read: {}", file, std::strerror(errno));
  return bytes;
}

// The file's own name in lower case, without the ending of a compression.
std::string plain_name(const std::string& file) {
  std::string name = std::filesystem::path(file).filename();
  std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const std::string_view ending : {".gz", ".xz", ".bz2", ".zst"}) {
    if (!name.ends_with(ending)) continue;
    name.resize(name.size() - ending.size());
    break;
  }
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

// Whether the name is that of a text with numbers.
bool is_named_as_text(const std::string& name) {
  const auto plain = plain_name(name);
  return std::ranges::any_of(std::array<std::string_view, 5>{".csv", ".tsv", ".txt", ".dat", ".data"},
                             [&](std::string_view ending) { return plain.ends_with(ending); });
}

void refuse_office(const std::vector<std::string>& names, const std::string& file) {
  const auto has = [&](std::string_view beginning) {
    return std::ranges::any_of(names, [&](const std::string& name) { return name.starts_with(beginning); });
  };
  require<DataError>(!has("xl/"), "{}: is an Excel workbook; save it as CSV", file);
  require<DataError>(!has("word/"), "{}: is a Word document, not a table of numbers", file);
  const bool is_open_document = has("mimetype") && has("content.xml");
  require<DataError>(!is_open_document, "{}: is a spreadsheet or document of LibreOffice; save it as CSV", file);
}

Table read_zip(const Location& location, std::string_view bytes, const CsvFormat& format, Transpose transpose) {
  constexpr std::string_view suffix = ".npy";
  const ZipArchive archive(std::as_bytes(std::span(bytes)), location.file);
  const auto& members = archive.names();
  refuse_office(members, location.file);
  const auto is_array = [&](const std::string& name) { return name.ends_with(suffix); };
  const bool holds_arrays = members.empty() || std::ranges::any_of(members, is_array);
  std::vector<std::string> names;
  std::vector<std::size_t> candidates;
  for (const auto& name : members) {
    if (holds_arrays || is_named_as_text(name)) candidates.push_back(names.size());
    names.push_back(is_array(name) ? name.substr(0, name.size() - suffix.size()) : name);
  }
  if (candidates.empty() && names.size() == 1) candidates.push_back(0);
  if (location.path.empty() && candidates.size() != 1) {
    require<DataError>(holds_arrays,
                       "{}: is a zip archive with {} members of text; choose one as {}:MEMBER; there is {}",
                       location.file, candidates.size(), location.file, join_some(names));
    refuse_choice(location.file, names);
  }
  auto at = location.path.empty() ? candidates.front() : names.size();
  if (!location.path.empty()) {
    at = static_cast<std::size_t>(std::ranges::find(names, location.path) - names.begin());
    if (at == names.size()) {
      at = static_cast<std::size_t>(std::ranges::find(members, location.path) - members.begin());
    }
  }
  require<DataError>(at < names.size(), "{}: no {} '{}' in it{}; there is {}", location.file,
                     holds_arrays ? "array" : "member", location.path, suggestion(location.path, names),
                     join_some(names));
  const auto content = archive.extract(at);
  const std::string source = location.file + ":" + names[at];
  if (is_array(members[at]) || holds_arrays) return parse_npy(content, source);
  const std::string text(reinterpret_cast<const char*>(content.data()), content.size());
  require<DataError>(!text.starts_with(zip_magic), "{}: is an archive in an archive; unpack it first", source);
  return parse_table(text, {source, ""}, format, transpose);
}

// Refuses what is no text, with its kind if that is known.
void require_text(std::string_view content, const std::string& file) {
  const auto foreign = describe_foreign(content);
  require<DataError>(foreign.empty(), "{}: {}", file, foreign);
  const bool is_utf16 = content.starts_with("\xff\xfe") || content.starts_with("\xfe\xff");
  const auto zero = content.find('\0');
  require<DataError>(is_utf16 || zero == std::string_view::npos,
                     "{}: is binary, not text (byte {} is 0). What can be read is {}", file, zero, readable_formats);
}

}  // namespace

Table parse_table(const std::string& packed, const Location& location, const CsvFormat& format, Transpose transpose) {
  const bool is_packed = !compression_of(packed).empty();
  const std::string unpacked = is_packed ? decompress(packed, location.file) : "";
  const std::string& content = is_packed ? unpacked : packed;
  const auto bytes = std::as_bytes(std::span(content));
  if (h5::is_hdf5_image(bytes)) {
    return read_hdf5(h5::open_image(bytes, location.file), location.file, location.path, transpose);
  }
  if (content.starts_with(zip_magic)) return read_zip(location, content, format, transpose);
  require<DataError>(location.path.empty(), "{}: holds one table, so there is no '{}' to choose", location.file,
                     location.path);
  const auto name = plain_name(location.file);
  if (content.starts_with(npy_magic)) return parse_npy(bytes, location.file);
  if (name.ends_with(".bin")) return parse_cifar(bytes, location.file);
  if (begins_as_idx(bytes) || is_named_as_idx(name)) return parse_idx(bytes, location.file);
  require_text(content, location.file);
  return parse_csv(content, location.file, format);
}

namespace {

Table read_location(const std::string& text, const CsvFormat& format, Transpose transpose) {
  const auto location = parse_location(text);
  if (h5::is_hdf5_file(location.file)) {
    return read_hdf5(h5::open_file(location.file), location.file, location.path, transpose);
  }
  return parse_table(read_file(location.file), location, format, transpose);
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

Table read_table(const std::string& text, const CsvFormat& format, Transpose transpose) {
  const auto [rows, labels] = parse_labelled(text);
  Table table = read_location(rows, format, transpose);
  if (!labels.empty()) join_labels(table, read_location(labels, format, transpose));
  return table;
}

}  // namespace pushforward::data
