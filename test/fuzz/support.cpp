#include "target.hpp"

#include <sys/mman.h>
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

}  // namespace

std::string file_of(const std::uint8_t* data, std::size_t size) {
  static const int descriptor = memfd_create("pushforward-fuzz", 0);
  const bool is_written = descriptor >= 0 && ftruncate(descriptor, 0) == 0 &&
                          pwrite(descriptor, data, size, 0) == static_cast<ssize_t>(size);
  if (!is_written) {
    std::perror("a file in memory");
    std::abort();
  }
  return "/proc/self/fd/" + std::to_string(descriptor);
}

void require_undamaged(const std::uint8_t* data, std::size_t size) {
  static const auto known = seeds();
  if (known.contains(std::string(text_of(data, size)))) return;
  std::fputs("a damaged file was accepted\n", stderr);
  std::abort();
}

}  // namespace pushforward::fuzz
