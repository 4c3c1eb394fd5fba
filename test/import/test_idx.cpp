// IDX files and CIFAR batches, written byte by byte; gzip by zlib.

#include <pushforward/core/error.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/import/import.hpp>
#include <pushforward/import/read_table.hpp>

#include <zlib.h>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <bit>
#include <fstream>
#include <limits>

namespace pushforward::test {

namespace {

using data::read_table;

std::string save(const std::string& name, const std::string& bytes) {
  std::string path = scratch_directory() / name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string save_packed(const std::string& name, const std::string& bytes) {
  std::string path = scratch_directory() / name;
  gzFile stream = gzopen(path.c_str(), "wb");
  BOOST_REQUIRE(gzwrite(stream, bytes.data(), static_cast<unsigned>(bytes.size())) == static_cast<int>(bytes.size()));
  BOOST_REQUIRE(gzclose(stream) == Z_OK);
  return path;
}

// The bytes of a value, most significant first.
template <class V>
std::string big_endian(V value) {
  std::string bytes(sizeof(V), '\0');
  const auto raw = std::bit_cast<std::array<char, sizeof(V)>>(value);
  std::ranges::copy(raw, bytes.begin());
  if (std::endian::native == std::endian::little) std::ranges::reverse(bytes);
  return bytes;
}

std::string idx_header(int type, const std::vector<std::uint32_t>& shape) {
  std::string bytes{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
  for (const auto extent : shape) bytes += big_endian(extent);
  return bytes;
}

template <class V>
std::string idx(int type, const std::vector<std::uint32_t>& shape, const std::vector<V>& values) {
  std::string bytes = idx_header(type, shape);
  for (const V value : values) bytes += big_endian(value);
  return bytes;
}

// Two images of 2 × 3 pixels.
std::string images() {
  return idx<std::uint8_t>(8, {2, 2, 3}, {0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255});
}

// Records of CIFAR whose value at plane c, pixel p is (c + 3 p + first byte) mod 256.
std::string cifar(const std::vector<std::string>& labels) {
  std::string bytes;
  for (const auto& label : labels) {
    bytes += label;
    for (int c = 0; c < 3; ++c) {
      for (int p = 0; p < 1024; ++p) bytes += static_cast<char>((c + 3 * p + label[0]) % 256);
    }
  }
  return bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(image_files)

BOOST_AUTO_TEST_CASE(idx_images_have_a_shape) {
  const auto table = read_table(save("t10k-images-idx3-ubyte", images()));
  BOOST_TEST(table.rows() == 2);
  BOOST_TEST(table.dimension() == 6);
  BOOST_TEST(close_absolute(table.values, std::vector<double>{0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255}, 0));
  BOOST_TEST_REQUIRE(table.pixels.has_value());
  BOOST_TEST((table.pixels->shape == Shape{2, 3, 1}));
  BOOST_TEST(table.pixels->first == 0);
  BOOST_TEST(table.remark == "IDX array (2, 2, 3) of unsigned bytes");
  BOOST_TEST(!table.named);
}

BOOST_AUTO_TEST_CASE(every_idx_type_is_read) {
  const auto check = [](const std::string& bytes, const std::vector<double>& values) {
    const auto table = read_table(save("x.idx", bytes));
    BOOST_TEST(table.dimension() == 1);
    BOOST_TEST(!table.pixels.has_value());
    BOOST_TEST(close_absolute(table.values, values, 0));
  };
  check(idx<std::uint8_t>(0x08, {2}, {1, 200}), {1, 200});
  check(idx<std::int8_t>(0x09, {2}, {1, -56}), {1, -56});
  check(idx<std::int16_t>(0x0b, {2}, {1, -3000}), {1, -3000});
  check(idx<std::int32_t>(0x0c, {3}, {1, -300'000, 70'000}), {1, -300'000, 70'000});
  check(idx<float>(0x0d, {2}, {1.5F, -2e10F}), {1.5, -20'000'000'000});
  check(idx<double>(0x0e, {2, 1}, {1.5, -2e300}), {1.5, -2e300});
  BOOST_TEST(read_table(save("x", idx<std::int16_t>(0x0b, {1, 2, 2, 3}, std::vector<std::int16_t>(12)))).dimension() ==
             12);  // told by its content alone
}

BOOST_AUTO_TEST_CASE(damaged_idx_files_are_refused) {
  const auto whole = images();
  const auto refused = [](const std::string& bytes, std::vector<std::string> parts) {
    const auto path = save("x-idx3-ubyte", bytes);
    parts.push_back(path);
    BOOST_CHECK_EXCEPTION(read_table(path), IoError, says(std::move(parts)));
  };
  refused(whole.substr(0, whole.size() - 1), {"11 bytes of data, where shape (2, 2, 3) of unsigned bytes has 12"});
  refused(whole + "x", {"13 bytes of data", "has 12"});
  refused(whole.substr(0, 9), {"truncated in its header: 9 bytes of 16"});
  refused(whole.substr(0, 3), {"is not an IDX file", "(00 00 08)"});
  refused("", {"is not an IDX file"});
  refused(std::string("\0\0\x0a\3", 4) + whole.substr(4), {"is not an IDX file", "(00 00 0a 03)", "0d or 0e"});
  refused("a,b\n1,2\n", {"is not an IDX file", "(61 2c 62 0a)"});
  const auto huge = std::vector<std::uint32_t>(8, std::numeric_limits<std::uint32_t>::max());
  refused(idx_header(8, huge), {"0 bytes of data"});  // no overflow
  BOOST_CHECK_EXCEPTION(read_table(save("x.idx", idx_header(8, {0, 2, 3}))), DataError, says({"(0, 2, 3)", "no rows"}));
  BOOST_TEST(read_table(save("idx3.csv", "1,2\n")).dimension() == 2);  // no name of an IDX file
}

BOOST_AUTO_TEST_CASE(cifar_batches_have_labels_and_channels_last) {
  const auto ten = read_table(save("data_batch_1.bin", cifar({{'\x03'}, {'\x09'}})));
  BOOST_TEST(ten.rows() == 2);
  BOOST_TEST_REQUIRE(ten.dimension() == 3073);
  BOOST_TEST(ten.names[0] == "label");
  BOOST_TEST(ten.names[1] == "x1");
  BOOST_TEST((ten.pixels->shape == Shape{32, 32, 3}));
  BOOST_TEST(ten.pixels->first == 1);
  BOOST_TEST(ten.values[3073] == 9);
  for (const std::size_t k : {0, 1, 2, 3, 500, 3071}) {  // c + 3 p is the place in the row
    BOOST_TEST(ten.values[1 + k] == static_cast<double>((k + 3) % 256));
  }
  const auto hundred = read_table(save_packed("train.bin.gz", cifar({{'\x13', '\x63'}})));
  BOOST_TEST(hundred.names[0] == "coarse_label");
  BOOST_TEST(hundred.names[1] == "label");
  BOOST_TEST(hundred.values[1] == 99);
  BOOST_TEST(hundred.pixels->first == 2);
  BOOST_TEST(hundred.remark == "CIFAR-100, images of 32×32×3");
}

BOOST_AUTO_TEST_CASE(damaged_cifar_batches_are_refused) {
  const auto whole = cifar({{'\x03'}, {'\x09'}});
  BOOST_CHECK_EXCEPTION(read_table(save("a.bin", whole.substr(1))), IoError,
                        says({"a.bin: 6145 bytes", "3073 bytes (CIFAR-10)", "3074 (CIFAR-100)"}));
  BOOST_CHECK_EXCEPTION(read_table(save("a.bin", "")), IoError, says({"0 bytes"}));
  BOOST_CHECK_EXCEPTION(read_table(save("a.bin", cifar({{'\x03'}, {'\x0a'}}))), DataError,
                        says({"record 2", "label 10", "CIFAR-10 has 10"}));
  BOOST_CHECK_EXCEPTION(read_table(save("a.bin", cifar({{'\x14', '\x00'}}))), DataError,
                        says({"record 1", "coarse_label 20", "CIFAR-100 has 20"}));
}

BOOST_AUTO_TEST_CASE(compressed_files_are_unpacked) {
  const auto path = save_packed("images-idx3-ubyte.gz", images());
  BOOST_TEST(read_table(path).rows() == 2);
  BOOST_TEST(read_table(save_packed("a.csv.gz", "a,b\n1,2\n")).names[1] == "b");
  std::ifstream stream(path, std::ios::binary);
  const std::string packed{std::istreambuf_iterator<char>(stream), {}};
  for (const std::size_t kept : {packed.size() - 1, packed.size() / 2, std::size_t{12}}) {
    BOOST_CHECK_EXCEPTION(read_table(save("short-idx3-ubyte.gz", packed.substr(0, kept))), IoError,
                          says({"short-idx3-ubyte.gz: cannot be unpacked", "truncated or damaged"}));
  }
  auto damaged = packed;
  damaged[packed.size() - 6] = static_cast<char>(damaged[packed.size() - 6] + 1);  // in the checksum
  BOOST_CHECK_EXCEPTION(read_table(save("bad.gz", damaged)), IoError, says({"bad.gz: cannot be unpacked"}));
  BOOST_CHECK_EXCEPTION(read_table(save_packed("a.h5.gz", "\x89HDF\r\n\x1a\n")), IoError,
                        says({"a.h5.gz: cannot be opened"}));
}

BOOST_AUTO_TEST_CASE(labels_are_joined) {
  const auto rows = save("images-idx3-ubyte", images());
  const auto labels = save("labels-idx1-ubyte", idx<std::uint8_t>(8, {2}, {7, 4}));
  const auto table = read_table(rows + "+" + labels);
  BOOST_TEST(table.named);
  BOOST_TEST(table.dimension() == 7);
  BOOST_TEST(table.names[0] == "label");
  BOOST_TEST(table.names[1] == "x1");
  BOOST_TEST(table.pixels->first == 1);
  BOOST_TEST(
      close_absolute(table.values, std::vector<double>{7, 0, 1, 2, 3, 4, 5, 4, 250, 251, 252, 253, 254, 255}, 0));
  BOOST_TEST(read_table(rows + "+" + save("l.csv", "digit\n7\n4\n")).names[0] == "digit");
  BOOST_CHECK_EXCEPTION(read_table(rows + "+" + save("l.csv", "7\n4\n5\n")), DataError,
                        says({"l.csv: 3 labels for the 2 rows of", "images-idx3-ubyte"}));
  BOOST_CHECK_EXCEPTION(read_table(rows + "+" + save("l.csv", "7,4\n5,6\n")), DataError,
                        says({"l.csv: 2 columns; labels are one column"}));
  BOOST_CHECK_EXCEPTION(read_table(save("m.csv", "label,b\n1,2\n3,4\n") + "+" + labels), DataError,
                        says({"has a column label already"}));
  BOOST_CHECK_EXCEPTION(read_table(rows + "+absent.idx"), IoError, says({"images-idx3-ubyte+absent.idx: cannot be"}));
  BOOST_TEST(read_table(save("a+b.csv", "1,2\n")).dimension() == 2);
  BOOST_TEST(data::parse_labelled(rows + ":x+" + labels).rows == rows + ":x");
}

BOOST_AUTO_TEST_CASE(images_and_labels_become_data_and_context) {
  data::ImportOptions options;
  options.inputs = {save("i.idx", images()) + "+" + save("l.idx", idx<std::uint8_t>(8, {2}, {2, 0}))};
  options.fractions = {1, 0, 0};
  options.context = {"label"};
  options.one_hot = {"label"};
  const auto import = import_tables(options);
  BOOST_TEST((import.layout.image_shape == Shape{2, 3, 1}));
  BOOST_TEST(import.layout.feature_names.front() == "x1");
  BOOST_TEST(import.layout.context_names == (std::vector<std::string>{"label=0", "label=1", "label=2"}),
             boost::test_tools::per_element());
  options.one_hot.clear();
  options.columns = {"2-7"};
  BOOST_TEST(import_tables(options).layout.image_shape.has_value());
  for (const char* columns : {"3-7", "4"}) {
    options.columns = {columns};
    BOOST_TEST(!import_tables(options).layout.image_shape.has_value());
  }
  options.columns = {"5-7", "2-4"};  // all of them, in another order
  BOOST_TEST(!import_tables(options).layout.image_shape.has_value());
  options.inputs.push_back(save("j.idx", idx<std::uint8_t>(8, {1, 3, 2}, {1, 2, 3, 4, 5, 6})) + "+" +
                           save("m.idx", idx<std::uint8_t>(8, {1}, {1})));
  BOOST_CHECK_EXCEPTION(import_tables(options), DataError, says({"j.idx: images of 3×2×1", "i.idx has 2×3×1"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
