#pragma once

// Small helpers for messages that people read.

#include <span>
#include <string>
#include <string_view>

namespace pushforward {

/// The candidate nearest to `word` in edit distance (Levenshtein, insertions, deletions and substitutions at cost 1),
/// or "" when none is nearer than half the length of `word`. Of equals, the first.
std::string_view nearest_word(std::string_view word, std::span<const std::string> candidates);

/// " (did you mean 'x'?)", or "" when nothing is near.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

/// "a, b, c".
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

/// Bytes in powers of 1000: "512 B", "1.23 MB".
std::string human_bytes(double bytes);

/// Seconds as "850 ms", "12.3 s", "4 min 05 s", "2 h 03 min".
std::string human_seconds(double seconds);

/// UTC now, ISO 8601: "2026-01-31T12:00:00Z".
std::string utc_now();

}  // namespace pushforward
