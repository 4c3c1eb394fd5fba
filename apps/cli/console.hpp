#pragma once

// The output of a program: results on standard output, messages on standard error, from rank 0 only.

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

namespace pushforward::apps {

/// The standard streams of this process. On every rank but the first, all functions do nothing. Not collective.
/// `replaces_lines`: whether status() may be used, from owns_terminal().
class Console {
 public:
  Console(bool is_root, bool replaces_lines) : is_root_(is_root), replaces_lines_(is_root && replaces_lines) {}

  /// Prints a line of results on standard output.
  template <class... Args>
  void result(fmt::format_string<Args...> format, Args&&... args) {
    if (is_root_) write_out(fmt::format(format, std::forward<Args>(args)...) + '\n');
  }
  /// Prints a line for the user on standard error.
  template <class... Args>
  void message(fmt::format_string<Args...> format, Args&&... args) {
    if (is_root_) write_error(fmt::format(format, std::forward<Args>(args)...) + '\n');
  }
  /// Prints text on standard output without changes.
  void print(std::string_view text) {
    if (is_root_) write_out(text);
  }
  /// Prints a line on standard error that the next line replaces. Call it only if replaces_lines().
  void status(std::string_view line);

  bool is_root() const { return is_root_; }
  bool replaces_lines() const { return replaces_lines_; }

  /// Flushes standard output. Throws IoError if anything printed on it so far was lost, as by a full disk.
  /// A reader that has closed the pipe, such as `head`, has what it wanted, and that is no error.
  /// Printing itself never throws, so its output does not end a long run.
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

/// Returns true if standard error is a terminal that this process has to itself. Under mpirun it is false, although
/// mpirun gives each process something that looks like a terminal. Call it before MPI is initialized, because
/// initialization leaves the same traces as mpirun.
bool owns_terminal();

}  // namespace pushforward::apps
