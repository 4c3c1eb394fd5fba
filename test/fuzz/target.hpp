#pragma once

// A fuzz target: one reader, which gets the bytes of a file that may be damaged. A reader has two right answers: it
// reads the file, or it throws an exception derived from pushforward::Error. Everything else is a failure.

#include <pushforward/core/error.hpp>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

extern "C" {
/// The entry that libFuzzer and the driver (driver.cpp) call with the bytes of each file.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
/// Called once before the first file.
int LLVMFuzzerInitialize(int* argc, char*** argv);
}

namespace pushforward::fuzz {

/// What the driver has to know about a target. Every target defines `target`.
struct Target {
  bool is_text = false;           ///< true if the mutations are to include those of text
  std::size_t floor = 1U << 20U;  ///< bytes that may be asked for at once, however small the file is
  std::size_t per_byte = 10;      ///< bytes that may be asked for at once, for each byte of the file
};
extern const Target target;

/// Calls f. Returns true if it returns, false if it throws an exception of ours. Others go through.
template <class F>
bool accepts(F&& f) {
  try {
    f();
    return true;
  } catch (const BugError&) {
    throw;  // a mistake of our own is a failure
  } catch (const Error&) {
    return false;
  }
}

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

/// Writes the bytes to a file in memory, which is always the same one, and returns its path.
std::string file_of(const std::uint8_t* data, std::size_t size);

/// Ends the process, with a message, if these bytes are not one of the files in the folder PUSHFORWARD_FUZZ_SEEDS.
void require_undamaged(const std::uint8_t* data, std::size_t size);

}  // namespace pushforward::fuzz
