#include <cli/watchdog.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/timer.hpp>

#include <unistd.h>
#include <chrono>
#include <cstdio>

namespace pushforward::apps {

Watchdog::Watchdog(const comm::Communicator& comm, std::string name, double seconds)
    : comm_(comm), name_(std::move(name)), host_(comm::host_name()), seconds_(seconds) {
  if (seconds_ > 0) thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  ends_.notify_one();
  thread_.join();
}

void Watchdog::alive(Index step) {
  step_.store(step, std::memory_order_relaxed);
  signs_.fetch_add(1, std::memory_order_relaxed);
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  const std::chrono::duration<double> limit(seconds_);
  for (Index seen = -1; seen != signs_.load(std::memory_order_relaxed);) {
    seen = signs_.load(std::memory_order_relaxed);
    if (ends_.wait_for(lock, limit, [this] { return has_ended_; })) return;
  }
  const auto phase = current_phase();
  fmt::print(stderr, "{}: rank {} on {} has not moved for {} s: after step {}, in {}\n", name_, comm_.rank(), host_,
             seconds_, step_.load(), phase.empty() ? "no phase of the profile" : phase);
  std::fflush(stderr);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  // MPI may be what hangs, so the process ends without it; mpirun then ends the others.
  _exit(static_cast<int>(ExitCode::hang));
}

}  // namespace pushforward::apps
