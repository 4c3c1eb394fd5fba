#include <pushforward/core/timer.hpp>

namespace pushforward {

std::string_view phase_name(Phase phase) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(Phase::count)> names{
      "forward",       "tangents",  "LU",         "reverse",     "activations",
      "spectral norm", "optimizer", "all-reduce", "input/output"};
  return names[static_cast<std::size_t>(phase)];
}

Profile& profile() {
  static Profile instance;
  return instance;
}

}  // namespace pushforward
