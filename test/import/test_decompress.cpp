#include <pushforward/core/error.hpp>
#include <pushforward/import/decompress.hpp>
#include <pushforward/import/file_kinds.hpp>

#include <lzma.h>
#include <zstd.h>

#include <says.hpp>

#include <boost/test/unit_test.hpp>

#include <bzlib.h>

namespace pushforward::test {

namespace {

constexpr std::size_t room = 4096;

std::string xz(std::string text) {
  std::string packed(room, '\0');
  std::size_t size = 0;
  const auto code =
      lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, nullptr, reinterpret_cast<const std::uint8_t*>(text.data()),
                              text.size(), reinterpret_cast<std::uint8_t*>(packed.data()), &size, packed.size());
  BOOST_REQUIRE(code == LZMA_OK);
  return packed.substr(0, size);
}

std::string bzip2(std::string text) {
  std::string packed(room, '\0');
  auto size = static_cast<unsigned>(packed.size());
  BOOST_REQUIRE(BZ2_bzBuffToBuffCompress(packed.data(), &size, text.data(), static_cast<unsigned>(text.size()), 9, 0,
                                         0) == BZ_OK);
  return packed.substr(0, size);
}

std::string zstd(const std::string& text) {
  std::string packed(room, '\0');
  const auto size = ZSTD_compress(packed.data(), packed.size(), text.data(), text.size(), 3);
  BOOST_REQUIRE(ZSTD_isError(size) == 0);
  return packed.substr(0, size);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decompression)

BOOST_AUTO_TEST_CASE(every_prefix_is_truncated) {
  const std::string text = "a,b\n1,2\n3,4\n";
  for (const auto& packed : {xz(text), bzip2(text), zstd(text)}) {
    BOOST_TEST(data::decompress(packed, "f") == text);
    BOOST_TEST(data::decompress(packed + packed, "f") == text + text);
    for (std::size_t size = 10; size < packed.size(); ++size) {
      BOOST_CHECK_EXCEPTION(data::decompress(packed.substr(0, size), "f"), IoError,
                            says({"f: cannot be unpacked: it is truncated or damaged"}));
    }
  }
}

BOOST_AUTO_TEST_CASE(empty_and_long_contents) {
  const std::string content(5 << 20, 'x');
  for (const auto& text : {std::string(), content}) {
    BOOST_TEST((data::decompress(xz(text), "f") == text));
    BOOST_TEST((data::decompress(bzip2(text), "f") == text));
    BOOST_TEST((data::decompress(zstd(text), "f") == text));
  }
}

// The header states the size of the dictionary, as 2 · 2^(n/2 + 11) bytes for an even n.
BOOST_AUTO_TEST_CASE(a_dictionary_beyond_all_measure_is_refused) {
  auto packed = xz("1,2\n");
  constexpr std::size_t block = 12, unit = 4;
  const auto dictionary = packed.find("\x21\x01", block) + 2;  // behind the number of the filter, and its one byte
  const auto end = block + (static_cast<unsigned char>(packed[block]) + 1U) * unit - unit;
  packed[dictionary] = 38;  // 2 GB
  const auto checksum = lzma_crc32(reinterpret_cast<const std::uint8_t*>(packed.data()) + block, end - block, 0);
  for (unsigned i = 0; i < unit; ++i) packed[end + i] = static_cast<char>(checksum >> (8 * i));
  BOOST_CHECK_EXCEPTION(data::decompress(packed, "f"), DataError,
                        says({"f: needs 2.", "GB of memory to be unpacked, and at most 1"}));
}

BOOST_AUTO_TEST_CASE(texts_are_of_no_kind) {
  for (const std::string_view text : {"", "1,2\n", "BZh9,x\n1,2\n", "PAR1,y\n1,2\n", "GRIB\n1\n"}) {
    BOOST_TEST(data::compression_of(text) == "");
    BOOST_TEST(data::describe_foreign(text) == "");
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
