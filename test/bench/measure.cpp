
#include "measure.hpp"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <vector>

namespace pushforward::bench {

namespace {

constexpr double shortest_repeat = 1e-3;  // seconds
constexpr double warm_up = 0.1;           // of the time for repeats
// Least numbers of repeats: if they are short, if they are long compared with the time for all, and if they are tiny.
constexpr std::size_t short_repeats = 5, long_repeats = 2, tiny_repeats = 2;

// The text after `key` in a file of the proc file system, without the blanks and the colon before it.
std::string proc_entry(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with(key)) continue;
    const auto begin = line.find_first_not_of(" \t:", key.size());
    return begin == std::string::npos ? "" : line.substr(begin);
  }
  return "";
}

}  // namespace

Timing time_repeats(const Session& session, const std::function<void()>& f) {
  const auto run = [&](Index times) {
    session.comm.barrier();
    const Timer timer;
    for (Index i = 0; i < times; ++i) f();
    return session.comm.max(timer.seconds());
  };
  double once = 0, total = 0;
  do {
    once = run(1);
    total += once;
  } while (!session.tiny && total < warm_up * session.seconds);
  const Index times =
      session.tiny
          ? 1
          : std::clamp<Index>(static_cast<Index>(std::ceil(shortest_repeat / std::max(once, 1e-9))), 1, 1'000'000);

  std::vector<double> repeats;
  const auto enough = [&] {
    if (session.tiny) return repeats.size() >= tiny_repeats;
    const double all_short = static_cast<double>(short_repeats) * session.seconds;
    return total >= session.seconds && repeats.size() >= (total < all_short ? short_repeats : long_repeats);
  };
  const Timer whole;
  profile().clear();
  for (total = 0; !enough();) {
    const double seconds = run(times);
    total += seconds;
    repeats.push_back(seconds / static_cast<double>(times));
  }
  Timing timing{.repeats = std::ssize(repeats), .total = whole.seconds(), .profile = profile()};
  std::sort(repeats.begin(), repeats.end());
  timing.best = repeats.front();
  timing.median = repeats[repeats.size() / 2];
  return timing;
}

void reset_peak_memory() {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
}

double peak_memory() {
  const auto text = proc_entry("/proc/self/status", "VmHWM");
  return text.empty() ? 0 : 1024 * std::stod(text);
}

std::string processor_name() {
  const auto name = proc_entry("/proc/cpuinfo", "model name");
  return name.empty() ? "unknown" : name;
}

}  // namespace pushforward::bench
