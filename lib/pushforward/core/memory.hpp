#pragma once

// Memory that the machine has left, so that what does not fit is refused before any work is done.

#include <functional>
#include <string>
#include <string_view>

namespace pushforward {

/// Returns the bytes of memory that this process can still take: the least of the memory that the machine has
/// available, the room below the limits of its control groups (versions 1 and 2), and the room below its limit of
/// address space. Returns infinity if the system does not say.
double available_memory();

/// Whether `bytes` fit into `available` bytes. Up to 64 MB always do. NaN does not.
bool fits_in_memory(double bytes, double available);
/// Whether `bytes` fit into available_memory(), which is only measured for more than 64 MB.
bool fits_in_memory(double bytes);

/// Throws OptionError unless fits_in_memory(). The message has both sizes: "{what} 4 TB of memory, and 21 GB are
/// available; {remedy}". `what` ends in a verb, as "the rows need".
void require_memory(double bytes, double available, std::string_view what, std::string_view remedy);
void require_memory(double bytes, std::string_view what, std::string_view remedy);

namespace detail {

/// Returns the text of a file, or "" if it cannot be read.
using ReadFile = std::function<std::string(const std::string& path)>;

/// The room below the limits of the control groups of a process, by /proc/self/cgroup and the files below
/// /sys/fs/cgroup. Pages of files that are not in use count as room. Infinity if there is no limit.
double room_in_control_groups(const ReadFile& read);

}  // namespace detail

}  // namespace pushforward
