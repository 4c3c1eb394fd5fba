#include <cli/progress.hpp>

#include <pushforward/core/text.hpp>

#include <algorithm>

namespace pushforward::apps {

Progress::Progress(Console& console, std::string unit, Index total, Index first)
    : console_(console),
      unit_(std::move(unit)),
      total_(total),
      first_(first),
      next_(console.replaces_lines() ? 0.2 : 2) {}

void Progress::report(Index done, std::string_view text) {
  const double seconds = timer_.seconds();
  const double rate = static_cast<double>(done - first_) / seconds;
  std::string line = fmt::format("{} of {} {}, {} %", done, total_, unit_, 100 * done / total_);
  if (done > first_) {
    line +=
        fmt::format(", {:.3g} {}/s, {} left", rate, unit_, human_seconds(static_cast<double>(total_ - done) / rate));
  }
  if (!text.empty()) line += fmt::format(": {}", text);
  if (console_.replaces_lines()) {
    console_.status(line);
    next_ = seconds + 0.2;
  } else {
    console_.message("{}", line);
    next_ = seconds + std::clamp(seconds / 20, 5.0, 60.0);
  }
}

}  // namespace pushforward::apps
