#pragma once

// Text that people write and read: numbers, lists, suggestions, sizes and times.

#include <pushforward/core/index.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward {

/// The candidate nearest to `word` in edit distance (Levenshtein, insertions, deletions and substitutions at cost 1),
/// or "" when none is nearer than half the length of `word`. Of equals, the first.
std::string_view nearest_word(std::string_view word, std::span<const std::string> candidates);

/// " (did you mean 'x'?)", or "" when nothing is near.
std::string suggestion(std::string_view word, std::span<const std::string> candidates);

/// "a, b, c".
std::string join(std::span<const std::string> words, std::string_view separator = ", ");

/// Joins a few words of many: "a, b, c", or "x1, x2, x3, x4, x5, …, x1000 (1000 in all)" if there are more than `most`.
std::string join_some(std::span<const std::string> words, std::size_t most = 6);

/// Returns the parts of a text between separators, at least one; parts may be empty.
std::vector<std::string_view> parts_of(std::string_view text, char separator);

/// How parse_number() takes a number that the type cannot hold.
enum class Beyond {
  refused,  ///< as if it were no number
  rounded   ///< as the nearest value: ±∞, or 0 if it is too small
};

/// Returns the number that makes up the whole text, with a sign "+" or "-" if there is one, or nothing if the text is
/// anything else. Floating point may have a fraction and an exponent; "inf" and "nan" are numbers, too. T: Index,
/// double.
template <class T>
std::optional<T> parse_number(std::string_view text, Beyond beyond = Beyond::refused);

extern template std::optional<Index> parse_number(std::string_view, Beyond);
extern template std::optional<double> parse_number(std::string_view, Beyond);

/// Bytes in powers of 1000: "512 B", "1.23 MB".
std::string human_bytes(double bytes);

/// Seconds as "850 ms", "12.3 s", "4 min 05 s", "2 h 03 min".
std::string human_seconds(double seconds);

/// UTC now, ISO 8601: "2026-01-31T12:00:00Z".
std::string utc_now();

}  // namespace pushforward
