#pragma once

// What people and batch systems want of a program while it runs: by signals, by a file, by a limit of time.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/timer.hpp>

#include <string>

namespace pushforward::apps {

/// Requests to a program that can stop in order.
///
///   SIGUSR1                    checkpoint and go on
///   SIGTERM, SIGINT, SIGUSR2   checkpoint and stop; a second signal of the same kind ends the program at once
///   a file of this name        checkpoint and stop; the file is removed
///   the limit of time          checkpoint and stop
///
/// A signal may reach any rank. Rank 0 looks at the clock, and once a second for the file.
class Requests {
 public:
  /// Takes over the signals. `stop_file`: "" for none. `seconds`: of this object's life.
  Requests(const comm::Communicator& comm, std::string stop_file, double seconds);

  /// Returns whether this rank has been asked to stop, and why: "SIGTERM", "the file STOP", "the limit of time"; else
  /// "".
  const std::string& stop();
  /// Returns whether this rank has been asked for a checkpoint since the last call.
  bool checkpoint();

 private:
  const comm::Communicator& comm_;
  std::string stop_file_;
  double seconds_;
  Timer timer_, since_look_;
  std::string reason_;
};

}  // namespace pushforward::apps
