#include <pushforward/core/timer.hpp>

namespace pushforward {

std::string_view phase_name(Phase phase) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Phase::count)> names{
      "forward",       "tangents", "LU",        "reverse",    "activations",
      "spectral norm", "coupling", "optimizer", "all-reduce", "input/output"};
  return names[static_cast<std::size_t>(phase)];
}

std::string_view current_phase() {
  const int phase = PhaseScope::present_.load(std::memory_order_relaxed);
  return phase == PhaseScope::none ? "" : phase_name(static_cast<Phase>(phase));
}

Profile& profile() {
  static Profile instance;
  return instance;
}

}  // namespace pushforward
