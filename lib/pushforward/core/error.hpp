#pragma once

// Exceptions by cause. Each message names the operation, the operands with their sizes or values, and the rule that was
// broken. If the user can do something about it, the message says what. A program that ends with an error returns the
// matching `ExitCode` to the shell.

#include <fmt/format.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace pushforward {

/// Exit codes of all programs, the same on all ranks.
enum class ExitCode : int {
  done = 0,
  usage = 2,
  data = 3,
  numerical = 4,
  io = 5,
  internal = 6,
  stopped = 7,  ///< by request and in order; the same command goes on
  hang = 8      ///< a rank has not moved for too long
};

/// The cause of an error. Each cause has one class below.
enum class ErrorKind : int { shape, option, data, numerical, io, mpi, bug };

/// Returns the exit code that belongs to a cause.
ExitCode exit_code(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}

  ErrorKind kind() const { return kind_; }

  /// True if all ranks of a communicator throw this same error together (comm::agree). Then each rank may end on its
  /// own, because no other rank waits for it.
  bool agreed() const { return agreed_; }
  void set_agreed() { agreed_ = true; }

 private:
  ErrorKind kind_;
  bool agreed_ = false;
};

/// Operands whose sizes do not fit each other.
struct ShapeError : Error {
  explicit ShapeError(const std::string& m) : Error(ErrorKind::shape, m) {}
};
/// A configuration value, flag or key that is unknown, out of range or in conflict with another one.
struct OptionError : Error {
  explicit OptionError(const std::string& m) : Error(ErrorKind::option, m) {}
};
/// Data that cannot be used: non-finite, of the wrong width or type, too few.
struct DataError : Error {
  explicit DataError(const std::string& m) : Error(ErrorKind::data, m) {}
};
/// A computation that failed on valid input: singular, diverged, not converged.
struct NumericalError : Error {
  explicit NumericalError(const std::string& m) : Error(ErrorKind::numerical, m) {}
};
/// A file that cannot be opened, read or written.
struct IoError : Error {
  explicit IoError(const std::string& m) : Error(ErrorKind::io, m) {}
};
/// A call of the message-passing library that failed.
struct MpiError : Error {
  explicit MpiError(const std::string& m) : Error(ErrorKind::mpi, m) {}
};
/// A broken invariant of ours: please report it.
struct BugError : Error {
  explicit BugError(const std::string& m) : Error(ErrorKind::bug, m) {}
};

/// Takes a warning, for people.
using Warn = std::function<void(const std::string&)>;

/// Throws the class that belongs to `kind`.
[[noreturn]] void throw_error(ErrorKind kind, const std::string& message, bool agreed = false);

/// Throws E with the formatted message if `condition` is false. A comparison with NaN is false, so write the condition
/// that must hold, never its opposite.
template <class E, class... Args>
void require(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace pushforward
