#include "ranks.hpp"

#include "session.hpp"

namespace pushforward::test {

Verdict on_all_ranks(const comm::Communicator& comm, Verdict verdict) {
  const bool failed = !static_cast<bool>(verdict);
  const auto lowest = static_cast<int>(comm.min(Index{failed ? comm.rank() : comm.size()}));
  if (lowest == comm.size()) return Verdict(true);
  std::string message;
  if (comm.rank() == lowest) message = verdict.message().str();
  comm.broadcast(message, lowest);
  Verdict all(false);
  all.message() << fmt::format("rank {} of {}: {}", lowest, comm.size(), message);
  return all;
}

std::filesystem::path scratch_directory() {
  auto directory = session_directory() / boost::unit_test::framework::current_test_case().full_name();
  std::filesystem::create_directories(directory);
  return directory;
}

}  // namespace pushforward::test
