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
  std::string type;  // "<f8"
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
  require<DataError>(type.starts_with('\''), "{}: holds records of several fields, not numbers", source);
  header.type = type.substr(1, std::min(type.find('\'', 1), type.size()) - 1);
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

}  // namespace

Table parse_npy(Bytes bytes, const std::string& source) {
  const auto header = parse_header(bytes, source);
  const std::string_view code = std::string_view(header.type).substr(std::min<std::size_t>(header.type.size(), 1));
  const auto type = std::ranges::find(types, code, &Type::code);
  require<DataError>(type != types.end(), "{}: elements of type '{}' are not real numbers", source, header.type);
  require<DataError>(!header.shape.empty(), "{}: is a single number, not an array", source);
  const Index size = std::accumulate(header.shape.begin(), header.shape.end(), Index{1}, std::multiplies<>());
  require<DataError>(size > 0, "{}: has shape ({}): no rows, or rows of no numbers", source,
                     fmt::join(header.shape, ", "));
  const auto wanted = static_cast<std::size_t>(size) * type->size;
  require<IoError>(header.data.size() >= wanted, "{}: is truncated: {} bytes of data, where shape ({}) of '{}' has {}",
                   source, header.data.size(), fmt::join(header.shape, ", "), header.type, wanted);

  constexpr bool little = std::endian::native == std::endian::little;
  const bool swap = header.type[0] == (little ? '>' : '<');
  Table table;
  table.source = source;
  table.values = type->decode(header.data.first(wanted), swap);
  if (header.fortran_order && header.shape.size() > 1) table.values = to_c_order(table.values, header.shape);
  table.names = default_names(size / header.shape[0]);
  table.text.resize(table.names.size());
  table.remark = fmt::format("array ({}) of {}{}", fmt::join(header.shape, ", "), header.type,
                             header.fortran_order ? " in Fortran order" : "");
  return table;
}

}  // namespace pushforward::data
