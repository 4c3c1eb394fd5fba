#pragma once

// Wall-clock timers, and the profile that says on which phases a run spends its time and its arithmetic.

#include <array>
#include <atomic>
#include <chrono>
#include <string_view>
#include <utility>

namespace pushforward {

/// Seconds of wall time since construction or the last restart().
class Timer {
 public:
  Timer() : start_(Clock::now()) {}
  void restart() { start_ = Clock::now(); }
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_;
};

/// The phases of a run. `forward`, `tangents` and `reverse` are the matrix products of these passes. Their elementwise
/// part is `activations`.
enum class Phase : int {
  forward,
  tangents,
  lu,
  reverse,
  activations,
  spectral_norm,
  coupling,
  optimizer,
  all_reduce,
  input_output,
  count
};

/// Returns the name under which a phase is printed.
std::string_view phase_name(Phase phase);

/// Seconds and floating-point operations of this rank, by phase. There is one profile per process. It is not
/// thread-safe.
class Profile {
 public:
  struct Entry {
    double seconds = 0;
    double flops = 0;
  };

  void add(Phase phase, double seconds, double flops) {
    auto& e = entries_[static_cast<std::size_t>(phase)];
    e.seconds += seconds;
    e.flops += flops;
  }
  const Entry& operator[](Phase phase) const { return entries_[static_cast<std::size_t>(phase)]; }
  void clear() { entries_ = {}; }

 private:
  std::array<Entry, static_cast<std::size_t>(Phase::count)> entries_{};
};

/// The profile of this process.
Profile& profile();

/// Adds the time of the enclosing C++ scope to a phase of the profile. The time of PhaseScopes within this one is not
/// counted twice: it goes to their phases only. `flops` are the operations of the scope.
class PhaseScope {
 public:
  explicit PhaseScope(Phase phase, double flops = 0)
      : phase_(phase), flops_(flops), outer_(std::exchange(innermost_, this)) {
    present_.store(static_cast<int>(phase), std::memory_order_relaxed);
  }
  ~PhaseScope() {
    const double seconds = timer_.seconds();
    profile().add(phase_, seconds - within_, flops_);
    if (outer_ != nullptr) outer_->within_ += seconds;
    innermost_ = outer_;
    present_.store(outer_ != nullptr ? static_cast<int>(outer_->phase_) : none, std::memory_order_relaxed);
  }
  PhaseScope(const PhaseScope&) = delete;
  PhaseScope& operator=(const PhaseScope&) = delete;

 private:
  friend std::string_view current_phase();

  static constexpr int none = -1;
  static inline PhaseScope* innermost_ = nullptr;
  static inline std::atomic<int> present_ = none;  // for other threads

  Phase phase_;
  double flops_;
  PhaseScope* outer_;
  double within_ = 0;  // seconds of scopes that this one encloses
  Timer timer_;
};

/// The name of the phase that the process is in, "" outside of all phases. May be called from any thread.
std::string_view current_phase();

}  // namespace pushforward
