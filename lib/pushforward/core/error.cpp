#include <pushforward/core/error.hpp>

namespace pushforward {

ExitCode exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::option: return ExitCode::usage;
    case ErrorKind::data:
    case ErrorKind::shape: return ExitCode::data;
    case ErrorKind::numerical: return ExitCode::numerical;
    case ErrorKind::io: return ExitCode::io;
    case ErrorKind::mpi:
    case ErrorKind::bug: break;
  }
  return ExitCode::internal;
}

namespace {

template <class E>
[[noreturn]] void throw_as(const std::string& message, bool agreed) {
  E error(message);
  if (agreed) error.set_agreed();
  throw error;
}

}  // namespace

void throw_error(ErrorKind kind, const std::string& message, bool agreed) {
  switch (kind) {
    case ErrorKind::shape: throw_as<ShapeError>(message, agreed);
    case ErrorKind::option: throw_as<OptionError>(message, agreed);
    case ErrorKind::data: throw_as<DataError>(message, agreed);
    case ErrorKind::numerical: throw_as<NumericalError>(message, agreed);
    case ErrorKind::io: throw_as<IoError>(message, agreed);
    case ErrorKind::mpi: throw_as<MpiError>(message, agreed);
    case ErrorKind::bug: break;
  }
  throw_as<BugError>(message, agreed);
}

}  // namespace pushforward
