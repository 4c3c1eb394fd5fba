#pragma once

// What a program prints: results on standard output, messages on standard error, from rank 0 only.

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace pushforward::apps {

/// The standard streams of this process. On every rank but the first all functions do nothing. Not collective.
/// `replaces_lines`: whether status() may be used, as owns_terminal() tells.
class Console {
 public:
  Console(bool is_root, bool replaces_lines) : is_root_(is_root), replaces_lines_(is_root && replaces_lines) {}

  /// A line of results on standard output.
  template <class... Args>
  void result(fmt::format_string<Args...> format, Args&&... args) {
    if (is_root_) write_out(fmt::format(format, std::forward<Args>(args)...) + '\n');
  }
  /// A line for the user on standard error.
  template <class... Args>
  void message(fmt::format_string<Args...> format, Args&&... args) {
    if (is_root_) write_error(fmt::format(format, std::forward<Args>(args)...) + '\n');
  }
  /// Text as it is on standard output.
  void print(std::string_view text) {
    if (is_root_) write_out(text);
  }
  /// A line on standard error that the next one replaces. Call it only where replaces_lines().
  void status(std::string_view line);

  bool is_root() const { return is_root_; }
  bool replaces_lines() const { return replaces_lines_; }

  /// Writes out what is buffered. Throws IoError when anything printed on standard output so far was lost (full disk,
  /// closed pipe): printing itself never throws, so that a long run is not ended by its output.
  void finish();

 private:
  void write_out(std::string_view text);
  void write_error(std::string_view text);
  void clear_status();

  bool is_root_;
  bool replaces_lines_;
  bool status_shown_ = false;
  int write_error_ = 0;  // errno of the first write to standard output that failed
};

/// True when standard error is a terminal that this process has to itself: not under mpirun, which hands each process
/// something that looks like one. To be called before MPI is initialized, which leaves traces as of mpirun.
bool owns_terminal();

}  // namespace pushforward::apps
