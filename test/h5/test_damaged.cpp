// Damaged files, on which HDF5 1.10 crashes, runs forever or asks for all memory. Each is the smallest that test/fuzz
// has led to.

#include <pushforward/core/error.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/h5/writer.hpp>

#include <predicates.hpp>
#include <ranks.hpp>
#include <says.hpp>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include <sys/wait.h>

namespace pushforward::test {

namespace {

std::string path_of(const std::string& bytes) {
  std::string path = scratch_directory() / "damaged.h5";
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// The bytes of the file that h5py makes: f is the open file.
std::string h5py(const std::string& script) {
  const auto folder = scratch_directory();
  std::ofstream(folder / "script.py") << "import h5py, numpy as np\nwith h5py.File('whole.h5', 'w') as f:\n    "
                                      << script << "\n";
  const auto command = fmt::format("cd {} && /usr/bin/python3 script.py", folder.string());
  BOOST_REQUIRE_EQUAL(std::system(command.c_str()), 0);
  std::ifstream stream(folder / "whole.h5", std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string little_endian(std::uint64_t value) {
  std::string bytes;
  for (unsigned i = 0; i < sizeof(value); ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

// The bytes with `to` in the place of every `from`, which must occur.
std::string with(std::string bytes, std::uint64_t from, std::uint64_t to) {
  const auto old = little_endian(from), now = little_endian(to);
  auto at = bytes.find(old);
  BOOST_REQUIRE(at != std::string::npos);
  for (; at != std::string::npos; at = bytes.find(old, at + old.size())) bytes.replace(at, old.size(), now);
  return bytes;
}

std::vector<double> read(const std::string& bytes) {
  return h5::open_file(path_of(bytes)).dataset("x").read<double>();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(damaged)

// A text of variable length has its size in a heap, and HDF5 copies as many bytes without asking whether they are
// there. If an object of the heap has no bytes, HDF5 looks for the next one forever.
BOOST_AUTO_TEST_CASE(texts_with_a_damaged_size_do_not_end_the_program) {
  const auto whole = h5py("f['names'] = ['left', 'a long name of a column']");
  const auto names = [](const std::string& bytes) {
    return h5::open_file(path_of(bytes)).dataset("names").read_strings();
  };
  BOOST_TEST(names(whole).size() == 2U);
  constexpr std::size_t header = 16, size_in_object = 8;
  const auto heap = whole.find("GCOL");
  BOOST_REQUIRE(heap != std::string::npos);
  std::size_t refused = 0;
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
    auto bytes = whole;
    bytes.replace(heap + header + size_in_object, sizeof(size), little_endian(size));
    try {
      names(bytes);
    } catch (const IoError& error) {
      BOOST_TEST(says({"damaged.h5"})(error));
      ++refused;
    }
  }
  BOOST_TEST(refused > 0U);
}

BOOST_AUTO_TEST_CASE(a_shape_that_the_file_cannot_hold_is_refused_before_memory_is_taken) {
  constexpr std::uint64_t rows = 7777, many = 1 << 30;
  for (const char* const options : {"", ", chunks=(100, 3)", ", chunks=(100, 3), compression='gzip'"}) {
    BOOST_TEST_CONTEXT(options) {
      const auto whole = h5py(fmt::format("f.create_dataset('x', data=np.zeros(({}, 3)){})", rows, options));
      BOOST_TEST(read(whole).size() == 3 * rows);
      BOOST_CHECK_THROW(read(with(whole, rows, many)), IoError);
    }
  }
  const auto sparse = h5py("f.create_dataset('x', shape=(1000000000, 3), chunks=(100, 3), dtype='f8')[:100] = 1");
  BOOST_CHECK_EXCEPTION(read(sparse), IoError,
                        says({"damaged.h5:/x", "its shape has 24 GB of elements, and the file holds at most 2.4 kB"}));
  // A small array that is written in part is one with fill values.
  BOOST_TEST(read(h5py("f.create_dataset('x', shape=(50, 3), chunks=(10, 3), dtype='f8')[:10] = 1")).size() == 150U);
}

BOOST_AUTO_TEST_CASE(a_product_of_extents_that_is_no_number_is_refused) {
  const auto whole = h5py("f['x'] = np.zeros((7777, 7778), 'i1')");
  const auto bytes = with(with(whole, 7777, std::uint64_t{1} << 40), 7778, std::uint64_t{1} << 40);
  BOOST_CHECK_THROW(read(bytes), IoError);
}

BOOST_AUTO_TEST_CASE(the_child_leaves_no_trace) {
  const auto whole = h5py("f['x'] = np.arange(12.).reshape(4, 3)");
  const auto old = std::signal(SIGCHLD, SIG_IGN);  // the system then takes the status of children away
  BOOST_TEST(read(whole).size() == 12U);
  std::signal(SIGCHLD, old);
  BOOST_TEST(read(whole).size() == 12U);
  BOOST_TEST(waitpid(-1, nullptr, WNOHANG) <= 0);
}

BOOST_AUTO_TEST_CASE(a_seal_is_compared_without_opening_the_file) {
  const std::string path = scratch_directory() / "sealed.h5";
  h5::FileImage image("test", 1, h5::Seal::yes);
  image.root().write("x", std::vector{1.0});
  image.save(path);
  BOOST_TEST(h5::checked_digest(path) == h5::open_sealed(path).digest);
  const auto plain = path_of(h5py("f['x'] = [1.0]"));
  BOOST_CHECK_EXCEPTION(h5::checked_digest(plain), IoError, says({"damaged.h5: has no seal"}));
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  BOOST_CHECK_EXCEPTION(h5::checked_digest(path), IoError, says({"sealed.h5: is truncated"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
