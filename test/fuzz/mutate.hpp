#pragma once

// Damages files, in a way that depends on a seed only.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace pushforward::fuzz {

/// Returns one of the files with one to eight changes; it differs from that file. Changes are: flipped bits, bytes at
/// random, integers that are likely to break something (0, ±1, powers of two, the file's size) in 1, 2, 4 or 8 bytes of
/// either byte order, small additions, cuts, extensions, doubled, moved and removed ranges, and a range of another
/// file. For text also words that mean something to a reader. The result has at most twice the bytes of the longest
/// file and 4 kB more. files: not empty.
std::string damaged(std::span<const std::string> files, bool is_text, std::uint64_t seed, std::uint64_t number);

}  // namespace pushforward::fuzz
