#include <pushforward/core/memory.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace pushforward {

namespace {

constexpr double unlimited = std::numeric_limits<double>::infinity();
constexpr double kilobyte = 1024;
constexpr double always_there = 64e6;  // bytes that are not asked for

std::string read_file(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

// The number at the beginning of a text, or nothing.
std::optional<double> number_at(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return parse_number<double>(text.substr(0, text.find_first_of(" \t\n")));
}

// The number after a key that begins a line: "MemAvailable:   123 kB".
std::optional<double> number_after(std::string_view text, std::string_view key) {
  for (auto line : parts_of(text, '\n')) {
    if (line.starts_with(key)) return number_at(line.substr(key.size()));
  }
  return {};
}

double room_on_the_machine() {
  const auto available = number_after(read_file("/proc/meminfo"), "MemAvailable:");
  return available ? kilobyte * *available : unlimited;
}

double room_in_address_space() {
  rlimit limit{};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return unlimited;
  const auto pages = number_at(read_file("/proc/self/statm"));
  const double used = pages.value_or(0) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return std::max(0.0, static_cast<double>(limit.rlim_cur) - used);
}

// The names of the files of a control group.
struct GroupFiles {
  const char *limit, *usage, *reclaimable;
};

// The room in a group and in the groups around it, which are the folders above it.
double room_in_groups(const detail::ReadFile& read, const std::string& root, std::string group,
                      const GroupFiles& files) {
  double room = unlimited;
  for (;;) {
    const auto folder = root + group + "/";
    const auto limit = number_at(read(folder + files.limit)), usage = number_at(read(folder + files.usage));
    if (limit && usage) {
      const auto unused_pages = number_after(read(folder + "memory.stat"), files.reclaimable);
      room = std::min(room, std::max(0.0, *limit - std::max(0.0, *usage - unused_pages.value_or(0))));
    }
    const auto slash = group.find_last_of('/');
    if (slash == std::string::npos) return room;
    group.resize(slash);
  }
}

}  // namespace

double detail::room_in_control_groups(const ReadFile& read) {
  double room = unlimited;
  // Lines are "NUMBER:CONTROLLERS:GROUP"; version 2 has no controllers.
  const auto groups = read("/proc/self/cgroup");
  for (const auto line : parts_of(groups, '\n')) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) continue;
    const auto controllers = parts_of(line.substr(first + 1, second - first - 1), ',');
    const std::string group(line.substr(second + 1));
    if (std::ranges::find(controllers, "memory") != controllers.end()) {
      room = std::min(room, room_in_groups(read, "/sys/fs/cgroup/memory", group,
                                           {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file "}));
    } else if (controllers.size() == 1 && controllers.front().empty()) {
      room = std::min(
          room, room_in_groups(read, "/sys/fs/cgroup", group, {"memory.max", "memory.current", "inactive_file "}));
    }
  }
  return room;
}

double available_memory() {
  return std::min({room_on_the_machine(), detail::room_in_control_groups(read_file), room_in_address_space()});
}

bool fits_in_memory(double bytes, double available) {
  return bytes <= always_there || bytes <= available;
}

bool fits_in_memory(double bytes) {
  return bytes <= always_there || bytes <= available_memory();
}

void require_memory(double bytes, double available, std::string_view what, std::string_view remedy) {
  require<OptionError>(fits_in_memory(bytes, available), "{} {} of memory, and {} are available; {}", what,
                       human_bytes(bytes), human_bytes(available), remedy);
}

void require_memory(double bytes, std::string_view what, std::string_view remedy) {
  if (!fits_in_memory(bytes)) require_memory(bytes, available_memory(), what, remedy);
}

}  // namespace pushforward
