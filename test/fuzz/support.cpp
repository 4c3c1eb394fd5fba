#include "target.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace pushforward::fuzz {

namespace {

std::set<std::string> seeds() {
  std::set<std::string> all;
  const char* const folder = std::getenv("PUSHFORWARD_FUZZ_SEEDS");
  if (folder == nullptr) {
    std::fputs("PUSHFORWARD_FUZZ_SEEDS must be the folder of the undamaged files\n", stderr);
    std::abort();
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(entry.path(), std::ios::binary);
    all.emplace(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return all;
}

// Removes the file at the end of the process.
struct TemporaryFile {
  std::string path = "/dev/shm/pushforward-fuzz-" + std::to_string(getpid());

  TemporaryFile() = default;
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { unlink(path.c_str()); }
};

}  // namespace

std::string file_of(const std::uint8_t* data, std::size_t size) {
  static const TemporaryFile file;
  const int descriptor = open(file.path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written = descriptor >= 0 && write(descriptor, data, size) == static_cast<ssize_t>(size);
  close(descriptor);
  if (!is_written) {
    std::perror(file.path.c_str());
    std::abort();
  }
  return file.path;
}

void require_undamaged(const std::uint8_t* data, std::size_t size) {
  static const auto known = seeds();
  if (known.contains(std::string(text_of(data, size)))) return;
  std::fputs("a damaged file was accepted\n", stderr);
  std::abort();
}

}  // namespace pushforward::fuzz
