#include <pushforward/core/error.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <fstream>
#include <iterator>

namespace pushforward::test {

namespace {

using h5::FileImage;

std::string read_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string written(const std::string& bytes) {
  std::string path = scratch_directory() / "copy.h5";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

std::string sealed_bytes() {
  const std::string path = scratch_directory() / "sealed.h5";
  FileImage image("test", 1, h5::Seal::yes);
  image.root().write("x", std::vector{1.0, 2.0, 3.0});
  image.root().attribute("long", std::string(100000, 'x'));  // more than attributes held before HDF5 1.8
  image.save(path);
  return read_bytes(path);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(sealed)

BOOST_AUTO_TEST_CASE(a_sealed_file_opens_with_and_without_its_seal) {
  const auto bytes = sealed_bytes();
  const auto path = written(bytes);
  const auto [root, digest] = h5::open_sealed(path);
  BOOST_TEST(root.dataset("x").read<double>() == (std::vector{1.0, 2.0, 3.0}), boost::test_tools::per_element());
  BOOST_TEST(root.attribute<std::string>("long").size() == 100000u);
  BOOST_TEST(bytes.starts_with(
      fmt::format("pushforward seal 1\nbytes {}\nsha256 {}\n", bytes.size() - h5::seal_bytes, digest)));
  // Every reader of HDF5 skips the seal.
  BOOST_TEST(h5::open_file(path).dataset("x").size() == 3);
}

BOOST_AUTO_TEST_CASE(files_without_a_seal_have_no_digest) {
  const std::string path = scratch_directory() / "plain.h5";
  FileImage image("test", 1);
  image.root().write("x", std::vector{1.0});
  image.save(path);
  const auto [root, digest] = h5::open_sealed(path);
  BOOST_TEST(digest == "");
  BOOST_TEST(root.dataset("x").size() == 1);
}

BOOST_AUTO_TEST_CASE(a_change_of_any_byte_is_noticed) {
  const auto bytes = sealed_bytes();
  h5::open_sealed(written(bytes));
  const std::size_t stride = 37;  // also hits the padding of the seal, which the digest does not cover
  std::size_t refused = 0, tried = 0;
  for (std::size_t at = 0; at < bytes.size(); at += at < h5::seal_bytes ? 1 : stride * 11, ++tried) {
    auto changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    try {
      h5::open_sealed(written(changed));
    } catch (const IoError&) {
      ++refused;
    }
  }
  BOOST_TEST(tried > 700u);
  BOOST_TEST(refused == tried);
}

BOOST_AUTO_TEST_CASE(files_of_another_length_are_refused) {
  const auto bytes = sealed_bytes();
  const auto refused = [](const std::string& changed, std::vector<std::string> words) {
    BOOST_CHECK_EXCEPTION(h5::open_sealed(written(changed)), IoError, says(std::move(words)));
  };
  refused(bytes.substr(0, bytes.size() - 1),
          {"copy.h5: is truncated",
           fmt::format("{} of its {} bytes", bytes.size() - h5::seal_bytes - 1, bytes.size() - h5::seal_bytes)});
  refused(bytes + "x", {"copy.h5: is damaged"});
  refused(bytes.substr(0, 300), {"copy.h5: is truncated"});
  refused(bytes.substr(0, h5::seal_bytes), {"copy.h5: is truncated"});
  refused("", {"copy.h5: is empty"});
  refused("x,y\n1,2\n", {"copy.h5: is not an HDF5 file"});
  refused(std::string(h5::seal_bytes, '\0') + bytes.substr(h5::seal_bytes), {"copy.h5", "are not a seal"});
  BOOST_CHECK_EXCEPTION(h5::open_sealed("absent.h5"), IoError, says({"absent.h5: no such file"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
