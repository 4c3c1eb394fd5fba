#include <cli/console.hpp>

#include <pushforward/core/error.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace pushforward::apps {

void Console::status(std::string_view line) {
  if (!is_root_) return;
  fmt::print(stderr, "\r{}\x1b[K", line);
  status_shown_ = true;
}

void Console::finish() {
  write_out("");
  if (write_error_ == EPIPE) return;
  require<IoError>(write_error_ == 0, "cannot write to standard output: {}", std::strerror(write_error_));
}

void Console::write_out(std::string_view text) {
  clear_status();
  const bool written = std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!written && write_error_ == 0) write_error_ = errno;
}

void Console::write_error(std::string_view text) {
  clear_status();
  std::fwrite(text.data(), 1, text.size(), stderr);
}

void Console::clear_status() {
  if (!status_shown_) return;
  std::fputs("\r\x1b[K", stderr);
  status_shown_ = false;
}

bool owns_terminal() {
  for (const char* variable : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"}) {
    if (std::getenv(variable) != nullptr) return false;
  }
  return isatty(STDERR_FILENO) == 1;
}

}  // namespace pushforward::apps
