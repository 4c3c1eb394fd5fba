#pragma once

// The progress of a long run: rate and remaining time, on standard error.
//
//   Progress progress(console, "steps", options.steps, first_step);
//   for (Index step = first_step; step < options.steps; ++step) {
//     ...
//     if (progress.due()) progress.report(step + 1, fmt::format("train {:.3f}", nll));
//   }

#include <cli/console.hpp>
#include <pushforward/core/index.hpp>
#include <pushforward/core/timer.hpp>

#include <string>
#include <string_view>

namespace pushforward::apps {

/// Prints lines such as "1200 of 4000 steps, 30 %, 412 steps/s, 6.8 s left: train 3.581". On a terminal, a line
/// replaces the one before it. Otherwise the first line comes after 2 s, the next ones after 5 s each, and in a long
/// run one a minute. Not collective.
class Progress {
 public:
  /// Counts from `first` (more than 0 if a run continues) to `total`. `unit` is a plural. `console` must outlive the
  /// object.
  Progress(Console& console, std::string unit, Index total, Index first = 0);

  /// Returns whether it is time for a line; false on all ranks but the first.
  bool due() const { return console_.is_root() && timer_.seconds() >= next_; }
  /// Prints the line for `done` items, `first` ≤ done ≤ total. `text` is its end.
  void report(Index done, std::string_view text);

 private:
  Console& console_;
  std::string unit_;
  Index total_;
  Index first_;
  Timer timer_;
  double next_;  // seconds of timer_ at which a line is due
};

}  // namespace pushforward::apps
