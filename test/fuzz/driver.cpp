// Runs a fuzz target on damaged files, without libFuzzer, so that any compiler will do:
//
//     fuzz_npy [--count N] [--seed N] [--first N] [--keep FOLDER] SEEDS     damages the files of a folder N times
//     fuzz_npy --file FILE …                                                reads files as they are
//
// A crash, an exception that is not ours, a report of a sanitizer, a request for too much memory at once, or a file
// that takes more than 30 s of the processor ends the process. Before, the damaged file is written to FOLDER under a
// name that has its number.

#include "mutate.hpp"
#include "target.hpp"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <new>
#include <string>
#include <vector>

extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int*, char***) {
  return 0;
}

namespace {

using pushforward::fuzz::target;

constexpr int seconds_each = 30;

// The file that is being read.
std::string current;
std::array<char, 4096> name_of_current{};
thread_local std::size_t largest_allowed = 0;  // 0: no limit

void say(const char* text) {
  static_cast<void>(!write(STDERR_FILENO, text, std::strlen(text)));
}

void keep_current() {
  if (name_of_current[0] == '\0') return;
  const int file = open(name_of_current.data(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  static_cast<void>(!write(file, current.data(), current.size()));
  close(file);
  say("FAILED: ");
  say(name_of_current.data());
  say("\n");
  name_of_current[0] = '\0';
}

void on_signal(int number) {
  if (number == SIGPROF) say("it takes too long\n");
  keep_current();
  signal(number, SIG_DFL);
  raise(number == SIGPROF ? SIGABRT : number);
}

// Called for every request of memory.
void note(std::size_t bytes) {
  if (largest_allowed == 0 || bytes <= largest_allowed) return;
  const std::size_t allowed = std::exchange(largest_allowed, 0);
  std::array<char, 128> text{};
  std::snprintf(text.data(), text.size(), "%zu bytes are asked for at once; allowed are %zu\n", bytes, allowed);
  say(text.data());
  std::array<void*, 40> frames{};
  backtrace_symbols_fd(frames.data(), backtrace(frames.data(), static_cast<int>(frames.size())), STDERR_FILENO);
  std::abort();
}

}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1  // as gcc has it
#endif
#endif

#if defined(__SANITIZE_ADDRESS__)

extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
namespace {
void install_hooks() {
  __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t bytes) { note(bytes); },
                                            [](const volatile void*) {});
}
}  // namespace

#elif defined(__GLIBC__)

// Every library of the process takes its memory here. What is taken is given back to the C library, whose own it is.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t bytes) {
  note(bytes);
  return __libc_malloc(bytes);
}
void* calloc(std::size_t count, std::size_t bytes) {
  note(count * bytes);
  return __libc_calloc(count, bytes);
}
void* realloc(void* old, std::size_t bytes) {
  note(bytes);
  return __libc_realloc(old, bytes);
}
void* aligned_alloc(std::size_t alignment, std::size_t bytes) {
  note(bytes);
  return __libc_memalign(alignment, bytes);
}
void* memalign(std::size_t alignment, std::size_t bytes) {
  note(bytes);
  return __libc_memalign(alignment, bytes);
}
}
namespace {
void install_hooks() {}
}  // namespace

#else
namespace {
void install_hooks() {}
}  // namespace
#endif

namespace {

std::string bytes_of(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

void set_timer(int seconds) {
  const itimerval timer{{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &timer, nullptr);
}

void read_current() {
  set_timer(seconds_each);
  // A copy in memory of its own size, so that a sanitizer sees what is read beyond its end.
  const std::vector<std::uint8_t> bytes(current.begin(), current.end());
  largest_allowed = std::max(target.floor, target.per_byte * bytes.size());
  try {
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  } catch (const std::exception& error) {
    largest_allowed = 0;
    say(error.what());
    say("\n");
    std::abort();
  }
  largest_allowed = 0;
  set_timer(0);
}

std::uint64_t number_of(const char* text) {
  std::uint64_t value = 0;
  const auto end = text + std::strlen(text);
  if (std::from_chars(text, end, value).ptr != end) {
    std::fprintf(stderr, "'%s' is not a number\n", text);
    std::exit(2);
  }
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t count = 2000, seed = 0, first = 0;
  std::filesystem::path keep = ".", folder;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--count" && has_value) {
      count = number_of(argv[++i]);
    } else if (word == "--seed" && has_value) {
      seed = number_of(argv[++i]);
    } else if (word == "--first" && has_value) {
      first = number_of(argv[++i]);
    } else if (word == "--keep" && has_value) {
      keep = argv[++i];
    } else if (word == "--file" && has_value) {
      files.emplace_back(argv[++i]);
    } else {
      folder = word;
    }
  }
  LLVMFuzzerInitialize(&argc, &argv);
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGPROF}) signal(number, on_signal);
  install_hooks();
  for (const auto& file : files) {
    current = bytes_of(file);
    read_current();
    std::printf("%s is read or refused\n", file.c_str());
  }
  if (!files.empty()) return 0;

  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::ranges::sort(paths);
  std::vector<std::string> seeds;
  for (const auto& path : paths) seeds.push_back(bytes_of(path));
  if (seeds.empty()) {
    std::fputs("there are no files to damage\n", stderr);
    return 2;
  }
  const auto keep_name = [&](const std::string& what) {
    const auto name = (keep / (std::filesystem::path(argv[0]).filename().string() + "-" + what)).string();
    std::snprintf(name_of_current.data(), name_of_current.size(), "%s", name.c_str());
  };
  for (std::size_t i = 0; i < seeds.size(); ++i) {
    current = seeds[i];
    keep_name("seed-" + paths[i].filename().string());
    read_current();
  }
  for (std::uint64_t number = first; number < first + count; ++number) {
    current = pushforward::fuzz::damaged(seeds, target.is_text, seed, number);
    keep_name(std::to_string(seed) + "-" + std::to_string(number));
    read_current();
  }
  name_of_current[0] = '\0';
  std::printf("%llu damaged files were read or refused\n", static_cast<unsigned long long>(count));
  return 0;
}
