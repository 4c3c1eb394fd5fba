#pragma once

#include <cstdint>

namespace pushforward {

/// The type of sizes, offsets and loop counters. It is signed, so that differences are safe. It has 64 bits, so that
/// rows times columns never overflow. Only linalg narrows it to the Fortran integer, and it checks the range.
using Index = std::int64_t;

}  // namespace pushforward
