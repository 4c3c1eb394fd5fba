#pragma once

// How time and memory are measured.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/timer.hpp>

#include <functional>

namespace pushforward::bench {

/// Who runs benchmarks, and how long.
struct Session {
  const comm::Communicator& comm;
  double seconds = 1;  ///< that the repeats of a case take together, at least
  bool tiny = false;   ///< the smallest sizes and two repeats: whether it works, not how fast
};

/// Seconds of one run, from its start on all ranks to its end on the slowest.
struct Timing {
  double best = 0;
  double median = 0;
  Index repeats = 0;
  double total = 0;   ///< of all repeats, on this rank
  Profile profile{};  ///< of all repeats, on this rank
};

/// Runs f again and again, after a warm-up. What takes less than a millisecond is run several times a repeat.
/// Collective.
Timing time_repeats(const Session& session, const std::function<void()>& f);

/// The memory that this process has in use from now on counts for peak_memory(), where the system allows; else what it
/// had before counts, too.
void reset_peak_memory();
/// Bytes: the largest resident set since reset_peak_memory().
double peak_memory();

/// The processor's name as the system tells it.
std::string processor_name();

}  // namespace pushforward::bench
