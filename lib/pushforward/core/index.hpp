#pragma once

#include <cstdint>

namespace pushforward {

/// Sizes, offsets and loop counters. Signed, so that differences are safe; 64 bits, so that rows
/// times columns never overflow. Narrowed to the Fortran integer in linalg only, with a check.
using Index = std::int64_t;

}  // namespace pushforward
