#pragma once

// Ends a job that hangs. MPI waits for a rank that does not answer for ever, and says nothing.

#include <pushforward/comm/communicator.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace pushforward::apps {

/// A thread beside each rank. If the rank shows no sign of life for some seconds, the thread prints on standard error
/// where the rank stands: host, last step, phase of the profile. A second later, so that all ranks can say it, the job
/// ends with ExitCode::hang.
class Watchdog {
 public:
  /// seconds: 0 for no watchdog. `name` of the program begins the message.
  Watchdog(const comm::Communicator& comm, std::string name, double seconds);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  /// A sign of life: the rank has finished this step.
  void alive(Index step);

 private:
  void watch();

  const comm::Communicator& comm_;
  std::string name_, host_;
  double seconds_;
  std::atomic<Index> step_ = 0;
  std::atomic<Index> signs_ = 0;
  std::mutex mutex_;
  std::condition_variable ends_;
  bool has_ended_ = false;
  std::thread thread_;
};

}  // namespace pushforward::apps
