#include <pushforward/core/error.hpp>
#include <pushforward/h5/replacement.hpp>

#include <ranks.hpp>
#include <says.hpp>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace pushforward::test {

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path& path) {
  std::ifstream stream(path);
  return {std::istreambuf_iterator<char>(stream), {}};
}

void write(const fs::path& path, std::string_view text) {
  std::ofstream(path) << text;
}

std::span<const std::byte> bytes(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Index files_in(const fs::path& folder) {
  return std::distance(fs::directory_iterator(folder), {});
}

// Files of this process can't grow beyond `bytes`, as on a full disk.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

}  // namespace

BOOST_AUTO_TEST_SUITE(replacement)

BOOST_AUTO_TEST_CASE(the_name_changes_hands_on_commit) {
  const auto folder = scratch_directory();
  const auto path = folder / "result";
  write(path, "old");
  h5::Replacement file(path);
  file.write(bytes("new "));
  file.write(bytes("content"));
  BOOST_TEST(content(path) == "old");
  file.commit();
  BOOST_TEST(content(path) == "new content");
  BOOST_TEST(files_in(folder) == 1);
}

BOOST_AUTO_TEST_CASE(without_commit_nothing_happens) {
  const auto folder = scratch_directory();
  const auto path = folder / "result";
  {
    h5::Replacement file(path);
    file.write(bytes("new"));
  }
  BOOST_TEST(files_in(folder) == 0);
}

BOOST_AUTO_TEST_CASE(a_link_keeps_pointing) {
  const auto folder = scratch_directory();
  write(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  h5::Replacement file(folder / "link");
  file.write(bytes("new"));
  file.commit();
  BOOST_TEST(fs::is_symlink(folder / "link"));
  BOOST_TEST(content(folder / "target") == "new");
}

BOOST_AUTO_TEST_CASE(a_full_disk_is_an_error_that_loses_nothing) {
  const auto folder = scratch_directory();
  const auto path = folder / "result";
  write(path, "old");
  const FullDisk disk(1000);
  const std::string large(2000, 'x');
  const auto full = says({path, "File too large", "nothing was changed"});
  BOOST_CHECK_EXCEPTION(h5::Replacement(path).write(bytes(large)), IoError, full);
  BOOST_CHECK_EXCEPTION(h5::Replacement(path).reserve(2000), IoError, full);
  BOOST_TEST(content(path) == "old");
  BOOST_TEST(files_in(folder) == 1);
}

BOOST_AUTO_TEST_CASE(reserved_space_is_there) {
  const auto path = scratch_directory() / "result";
  h5::Replacement file(path);
  file.reserve(5000);
  file.commit();
  BOOST_TEST(fs::file_size(path) == 5000U);
}

BOOST_AUTO_TEST_CASE(names_that_cannot_be_written_are_refused_early) {
  const auto folder = scratch_directory();
  BOOST_CHECK_NO_THROW(h5::require_writable(folder / "new.h5"));
  BOOST_CHECK_EXCEPTION(h5::require_writable(folder / "none/new.h5"), IoError, says({"there is no folder", "none"}));
  BOOST_CHECK_EXCEPTION(h5::require_writable(folder), IoError, says({"not a file"}));
  BOOST_CHECK_EXCEPTION(h5::require_writable("/dev/null"), IoError, says({"/dev/null", "not a file"}));
  BOOST_CHECK_EXCEPTION(h5::require_writable(folder.string() + "/"), IoError, says({"it names no file"}));
  BOOST_CHECK_EXCEPTION(h5::require_writable(""), IoError, says({"it names no file"}));
  BOOST_CHECK_EXCEPTION(h5::Replacement(folder / "none/new.h5"), IoError, says({"there is no folder"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
