#include <pushforward/import/import_npy.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/table/decode.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <string_view>

namespace pushforward::data {

namespace {

using Bytes = std::span<const std::byte>;

struct Header {
  std::string type;  // "<f8", or the list of the members of records: "[('x', '<f8'), …]"
  bool fortran_order = false;
  std::vector<Index> shape;
  Bytes data;
};

// Returns the text that follows 'key': in the header's Python dictionary.
std::string_view value_of(std::string_view dictionary, std::string_view key, const std::string& source) {
  const auto at = dictionary.find(fmt::format("'{}':", key));
  require<IoError>(at != std::string_view::npos, "{}: the header has no '{}'", source, key);
  auto value = dictionary.substr(at + key.size() + 3);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

std::vector<Index> parse_shape(std::string_view text, const std::string& source) {
  std::vector<Index> shape;
  text.remove_prefix(std::min(text.find('(') + 1, text.size()));  // npos + 1 is 0
  for (auto part : parts_of(text.substr(0, text.find(')')), ',')) {
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part = part.substr(0, part.find_last_not_of(" L") + 1);  // Python 2 wrote 3L
    if (part.empty()) continue;                              // "(3,)" has one extent, "()" none
    const auto extent = parse_number<Index>(part);
    require<IoError>(extent && *extent >= 0, "{}: the header's shape has an extent '{}'", source, part);
    shape.push_back(*extent);
  }
  return shape;
}

Header parse_header(Bytes bytes, const std::string& source) {
  constexpr std::string_view magic = "\x93NUMPY";
  constexpr std::size_t short_prefix = 10, long_prefix = 12;  // magic, version, length in 2 or 4 bytes
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  require<IoError>(text.starts_with(magic) && text.size() >= long_prefix, "{}: is not a NumPy .npy file", source);
  const auto byte = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(text[i])); };
  const bool is_short = byte(magic.size()) == 1;
  const std::size_t prefix = is_short ? short_prefix : long_prefix;
  const std::size_t length = byte(8) | byte(9) << 8 | (is_short ? 0 : byte(10) << 16 | byte(11) << 24);
  require<IoError>(text.size() >= prefix + length, "{}: is truncated in its header", source);
  const auto dictionary = text.substr(prefix, length);

  Header header;
  const auto type = value_of(dictionary, "descr", source);
  require<IoError>(!type.empty(), "{}: the header's 'descr' is empty", source);
  header.type = type.starts_with('[') ? type : type.substr(1, std::min(type.find('\'', 1), type.size()) - 1);
  header.fortran_order = value_of(dictionary, "fortran_order", source).starts_with("True");
  header.shape = parse_shape(value_of(dictionary, "shape", source), source);
  header.data = bytes.subspan(prefix + length);
  return header;
}

double half_to_double(std::uint16_t bits) {
  const int exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
  const double magnitude = exponent == 0    ? std::ldexp(fraction, -24)
                           : exponent != 31 ? std::ldexp(1024 + fraction, exponent - 25)
                           : fraction == 0  ? std::numeric_limits<double>::infinity()
                                            : std::numeric_limits<double>::quiet_NaN();
  return bits >> 15 != 0 ? -magnitude : magnitude;
}

std::vector<double> decode_half(Bytes bytes, bool swap) {
  auto values = decode<std::uint16_t>(bytes, swap);
  std::ranges::transform(values, values.begin(),
                         [](double v) { return half_to_double(static_cast<std::uint16_t>(v)); });
  return values;
}

struct Type {
  std::string_view code;
  std::size_t size;
  Decoder decode;
};
constexpr std::array types{
    Type{"f2", 2, decode_half},           Type{"f4", 4, decode<float>},         Type{"f8", 8, decode<double>},
    Type{"i1", 1, decode<std::int8_t>},   Type{"i2", 2, decode<std::int16_t>},  Type{"i4", 4, decode<std::int32_t>},
    Type{"i8", 8, decode<std::int64_t>},  Type{"u1", 1, decode<std::uint8_t>},  Type{"u2", 2, decode<std::uint16_t>},
    Type{"u4", 4, decode<std::uint32_t>}, Type{"u8", 8, decode<std::uint64_t>}, Type{"b1", 1, decode<std::uint8_t>}};

// From Fortran order, in which the first index runs fastest, to C order.
std::vector<double> to_c_order(const std::vector<double>& values, const std::vector<Index>& shape) {
  std::vector<Index> offsets{0};  // of the elements of one row
  Index stride = shape[0];
  for (std::size_t axis = 1; axis < shape.size(); ++axis) {
    std::vector<Index> wider;
    for (const Index offset : offsets) {
      for (Index i = 0; i < shape[axis]; ++i) wider.push_back(offset + i * stride);
    }
    offsets = std::move(wider);
    stride *= shape[axis];
  }
  std::vector<double> ordered;
  ordered.reserve(values.size());
  for (Index row = 0; row < shape[0]; ++row) {
    for (const Index offset : offsets) ordered.push_back(values[row + offset]);
  }
  return ordered;
}

// The elements of one member of a record, or of a list in it.
struct Column {
  std::string name;
  std::string type;
  std::size_t offset = 0;
};

// Reads the description of records, which is a list in Python: [('x', '<f8'), ('k', '<i4', (2,)), ('r', [('y',
// '<f4')])].
class RecordReader {
 public:
  // most: the bytes that there are for all records.
  RecordReader(std::string_view text, std::string source, std::size_t most)
      : text_(text), source_(std::move(source)), most_(most) {}

  // Adds the columns of a list of members, whose first byte is `offset`; returns the offset behind the last one.
  std::size_t read(const std::string& prefix, std::size_t offset, std::vector<Column>& columns, int depth = 0) {
    constexpr int most_levels = 64;
    require<DataError>(depth < most_levels, "{}: holds records within records, more than {} levels of them", source_,
                       most_levels);
    expect('[');
    while (!takes(']')) {
      expect('(');
      const auto name = prefix + word();
      expect(',');
      const std::size_t type = skip_blanks();
      std::vector<Column> single;
      std::size_t size = 0;
      if (text_[type] == '[') {
        size = read(name + '.', 0, single, depth + 1);
      } else {
        const auto code = word();
        size = size_of(code);
        single.push_back({name, code, 0});
      }
      std::vector<std::string> indices{""};
      if (takes(',')) {
        const auto extents = shape();
        const double count = std::accumulate(extents.begin(), extents.end(), 1.0, std::multiplies<>());
        require_room(static_cast<double>(offset) + count * static_cast<double>(std::max<std::size_t>(size, 1)));
        indices = indices_of(extents);
      }
      require_room(static_cast<double>(offset) + static_cast<double>(size));
      expect(')');
      takes(',');
      for (const auto& index : indices) {
        for (const auto& column : single) {
          columns.push_back({name + index + column.name.substr(name.size()), column.type, offset + column.offset});
        }
        offset += size;
      }
    }
    return offset;
  }

 private:
  // A record must fit into what there is, so the header cannot ask for more.
  void require_room(double bytes) const {
    require<IoError>(bytes <= static_cast<double>(most_),
                     "{}: is truncated or damaged: {} bytes of data, where a record has {:.0f}", source_, most_, bytes);
  }
  std::size_t skip_blanks() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    require<IoError>(at_ < text_.size(), "{}: the header's description of records ends early", source_);
    return at_;
  }
  bool takes(char c) {
    if (text_[skip_blanks()] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    require<IoError>(takes(c), "{}: the header's description of records has no '{}' at '{}'", source_, c,
                     text_.substr(at_, 20));
  }
  std::string word() {
    const char quote = text_[skip_blanks()];
    const auto end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : std::string_view::npos;
    require<DataError>(end != std::string_view::npos, "{}: holds records with members that have titles", source_);
    const auto content = text_.substr(at_ + 1, end - at_ - 1);
    require<DataError>(content.find('\\') == std::string_view::npos,
                       "{}: holds records with a member '{}', whose name has unusual characters", source_, content);
    at_ = end + 1;
    return std::string(content);
  }
  std::vector<Index> shape() {
    skip_blanks();
    const auto end = text_.find(')', at_);
    auto extents = parse_shape(text_.substr(at_, end - at_), source_);
    at_ = std::min(end, text_.size() - 1) + 1;
    return extents;
  }
  static std::vector<std::string> indices_of(const std::vector<Index>& shape) {
    std::vector<std::string> indices{""};
    for (const Index extent : shape) {
      std::vector<std::string> longer;
      for (const auto& index : indices) {
        for (Index i = 0; i < extent; ++i) longer.push_back(fmt::format("{}[{}]", index, i));
      }
      indices = std::move(longer);
    }
    return indices;
  }
  // The bytes of an element of any type: "<f8", "|S5", "<U4", "<M8[D]".
  std::size_t size_of(const std::string& type) const {
    constexpr std::size_t bytes_of_character = 4;
    const auto code = std::string_view(type).substr(std::min<std::size_t>(type.size(), 2));
    const auto size = parse_number<Index>(code.substr(0, code.find('[')));
    constexpr Index most_size = Index{1} << 40;
    require<DataError>(size && *size >= 0 && *size < most_size && type[1] != 'O',
                       "{}: holds records with members of type '{}'", source_, type);
    return static_cast<std::size_t>(*size) * (type[1] == 'U' ? bytes_of_character : 1);
  }

  std::string_view text_;
  std::string source_;
  std::size_t most_ = 0, at_ = 0;
};

constexpr bool is_swapped(std::string_view type) {
  return type.starts_with(std::endian::native == std::endian::little ? '>' : '<');
}

const Type* find_type(std::string_view type) {
  const auto found = std::ranges::find(types, type.substr(std::min<std::size_t>(type.size(), 1)), &Type::code);
  return found == types.end() ? nullptr : found;
}

Table parse_records(const Header& header, const std::string& source) {
  std::vector<Column> columns;
  const std::size_t bytes = RecordReader(header.type, source, header.data.size()).read("", 0, columns);
  std::vector<std::string> skipped;
  for (const auto& column : columns) {
    if (find_type(column.type) == nullptr) skipped.push_back(column.name);
  }
  std::erase_if(columns, [](const Column& column) { return find_type(column.type) == nullptr; });
  require<DataError>(!columns.empty(), "{}: holds records without numbers: {}", source, join_some(skipped));
  require<DataError>(header.shape.size() == 1 && header.shape[0] > 0,
                     "{}: holds records in shape ({}); a list of records is wanted", source,
                     fmt::join(header.shape, ", "));
  const auto rows = static_cast<std::size_t>(header.shape[0]);
  require<IoError>(header.data.size() / rows >= bytes, "{}: is truncated: {} bytes of data, where {} records have {}",
                   source, header.data.size(), rows, rows * bytes);
  Table table;
  table.source = source;
  table.named = true;
  table.values.resize(rows * columns.size());
  std::vector<std::byte> elements;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const auto& [name, code, offset] = columns[i];
    const Type* const type = find_type(code);
    elements.clear();
    for (std::size_t row = 0; row < rows; ++row) {
      const auto element = header.data.subspan(row * bytes + offset, type->size);
      elements.insert(elements.end(), element.begin(), element.end());
    }
    const auto values = type->decode(elements, is_swapped(code));
    for (std::size_t row = 0; row < rows; ++row) table.values[row * columns.size() + i] = values[row];
    table.names.push_back(name);
  }
  table.text.resize(table.names.size());
  table.remark = "records";
  if (!skipped.empty()) {
    table.remark += fmt::format(" without the members that hold no numbers: {}", join_some(skipped));
  }
  return table;
}

}  // namespace

Table parse_npy(Bytes bytes, const std::string& source) {
  const auto header = parse_header(bytes, source);
  if (header.type.starts_with('[')) return parse_records(header, source);
  const Type* const type = find_type(header.type);
  require<DataError>(type != nullptr, "{}: elements of type '{}' are not real numbers", source, header.type);
  require<DataError>(!header.shape.empty(), "{}: is a single number, not an array", source);
  const double extent = std::accumulate(header.shape.begin(), header.shape.end(), 1.0, std::multiplies<>());
  require<DataError>(extent > 0, "{}: has shape ({}): no rows, or rows of no numbers", source,
                     fmt::join(header.shape, ", "));
  const double stated = extent * static_cast<double>(type->size);
  require<IoError>(static_cast<double>(header.data.size()) >= stated,
                   "{}: is truncated: {} bytes of data, where shape ({}) of '{}' has {:.0f}", source,
                   header.data.size(), fmt::join(header.shape, ", "), header.type, stated);
  const auto size = static_cast<Index>(extent);
  const auto wanted = static_cast<std::size_t>(size) * type->size;

  Table table;
  table.source = source;
  table.values = type->decode(header.data.first(wanted), is_swapped(header.type));
  if (header.fortran_order && header.shape.size() > 1) table.values = to_c_order(table.values, header.shape);
  table.names = default_names(size / header.shape[0]);
  table.text.resize(table.names.size());
  table.remark = fmt::format("array ({}) of {}{}", fmt::join(header.shape, ", "), header.type,
                             header.fortran_order ? " in Fortran order" : "");
  return table;
}

}  // namespace pushforward::data
