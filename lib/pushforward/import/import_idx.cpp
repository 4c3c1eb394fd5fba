#include <pushforward/core/error.hpp>
#include <pushforward/import/import_idx.hpp>
#include <pushforward/table/decode.hpp>

#include <cstdint>
#include <functional>
#include <iterator>
#include <numeric>
#include <string_view>

namespace pushforward::data {

namespace {

using Bytes = std::span<const std::byte>;

struct Type {
  unsigned code;
  std::size_t size;
  std::string_view name;
  Decoder decode;
};
constexpr std::array types{Type{0x08, 1, "unsigned bytes", decode<std::uint8_t>},
                           Type{0x09, 1, "signed bytes", decode<std::int8_t>},
                           Type{0x0b, 2, "2-byte integers", decode<std::int16_t>},
                           Type{0x0c, 4, "4-byte integers", decode<std::int32_t>},
                           Type{0x0d, 4, "floats", decode<float>},
                           Type{0x0e, 8, "doubles", decode<double>}};

constexpr std::size_t magic_size = 4, extent_size = 4;
constexpr bool swap_bytes = std::endian::native == std::endian::little;

unsigned byte(Bytes bytes, std::size_t at) {
  return std::to_integer<unsigned>(bytes[at]);
}

constexpr Shape cifar_shape{32, 32, 3};

struct CifarLabel {
  std::string_view name;
  unsigned classes;
};
constexpr std::array cifar10{CifarLabel{"label", 10}};
constexpr std::array cifar100{CifarLabel{"coarse_label", 20}, CifarLabel{"label", 100}};

}  // namespace

bool begins_as_idx(Bytes bytes) {
  return bytes.size() >= magic_size && byte(bytes, 0) == 0 && byte(bytes, 1) == 0 &&
         std::ranges::find(types, byte(bytes, 2), &Type::code) != types.end() && byte(bytes, 3) > 0;
}

Table parse_idx(Bytes bytes, const std::string& source) {
  std::vector<unsigned> begin;
  for (std::size_t i = 0; i < std::min(bytes.size(), magic_size); ++i) begin.push_back(byte(bytes, i));
  require<IoError>(
      begins_as_idx(bytes),
      "{}: is not an IDX file: its first bytes are ({:02x}); two zeros, a type of 08, 09, 0b, 0c, 0d or 0e "
      "and the number of dimensions are wanted",
      source, fmt::join(begin, " "));
  const std::size_t dimensions = byte(bytes, 3), header = magic_size + dimensions * extent_size;
  require<IoError>(bytes.size() >= header, "{}: is truncated in its header: {} bytes of {}", source, bytes.size(),
                   header);
  const auto shape = decode<std::uint32_t>(bytes.subspan(magic_size, dimensions * extent_size), swap_bytes);
  const auto& type = *std::ranges::find(types, byte(bytes, 2), &Type::code);
  const double size = std::accumulate(shape.begin(), shape.end(), 1.0, std::multiplies<>());
  require<DataError>(size > 0, "{}: has shape ({}): no rows, or rows of no numbers", source, fmt::join(shape, ", "));
  const auto content = bytes.subspan(header);
  const double wanted = size * static_cast<double>(type.size);
  require<IoError>(static_cast<double>(content.size()) == wanted,
                   "{}: {} bytes of data, where shape ({}) of {} has {}: the file is truncated or damaged", source,
                   content.size(), fmt::join(shape, ", "), type.name, wanted);

  Table table;
  table.source = source;
  table.values = type.decode(content, swap_bytes);
  table.names = default_names(static_cast<Index>(size / shape[0]));
  table.text.resize(table.names.size());
  table.remark = fmt::format("IDX array ({}) of {}", fmt::join(shape, ", "), type.name);
  if (shape.size() == 3) table.pixels = {0, {static_cast<Index>(shape[1]), static_cast<Index>(shape[2]), 1}};
  return table;
}

Table parse_cifar(Bytes bytes, const std::string& source) {
  constexpr auto pixels = static_cast<std::size_t>(cifar_shape.pixels());
  constexpr auto numbers = static_cast<std::size_t>(cifar_shape.size());
  const auto is_whole = [&](std::size_t labels) { return !bytes.empty() && bytes.size() % (numbers + labels) == 0; };
  require<IoError>(is_whole(cifar10.size()) || is_whole(cifar100.size()),
                   "{}: {} bytes are no whole number of CIFAR records, which have {} bytes (CIFAR-10) or {} "
                   "(CIFAR-100): the file is truncated or of another kind",
                   source, bytes.size(), numbers + cifar10.size(), numbers + cifar100.size());
  const bool coarse = !is_whole(cifar10.size());
  const std::span<const CifarLabel> labels = coarse ? std::span<const CifarLabel>(cifar100) : cifar10;
  const std::size_t record = numbers + labels.size(), rows = bytes.size() / record;

  Table table;
  table.source = source;
  table.named = true;
  for (const auto& label : labels) table.names.emplace_back(label.name);
  std::ranges::move(default_names(cifar_shape.size()), std::back_inserter(table.names));
  table.text.resize(table.names.size());
  table.values.reserve(bytes.size());
  for (std::size_t row = 0; row < rows; ++row) {
    const auto from = bytes.subspan(row * record, record);
    for (std::size_t k = 0; k < labels.size(); ++k) {
      const auto [name, classes] = labels[k];
      require<DataError>(byte(from, k) < classes, "{}: record {} (counted from 1) has {} {}; CIFAR-{} has {} of them",
                         source, row + 1, name, byte(from, k), coarse ? 100 : 10, classes);
      table.values.push_back(byte(from, k));
    }
    const auto planes = from.subspan(labels.size());
    for (std::size_t pixel = 0; pixel < pixels; ++pixel) {
      for (std::size_t channel = 0; channel < numbers / pixels; ++channel) {
        table.values.push_back(byte(planes, channel * pixels + pixel));
      }
    }
  }
  table.remark = fmt::format("CIFAR-{}, images of {}", coarse ? 100 : 10, to_string(cifar_shape));
  table.pixels = {static_cast<Index>(labels.size()), cifar_shape};
  return table;
}

}  // namespace pushforward::data
