#pragma once

// The numbers of separated text, as people and programs write them.

#include <optional>
#include <string_view>

namespace pushforward::data {

/// The meaning of commas and points in numbers.
enum class Commas {
  undecided,  ///< a number with a comma has no value
  thousands,  ///< commas are between groups of three digits, and decimals follow a point
  decimal     ///< decimals follow a comma, and points are between groups of three digits
};

/// The meanings that the commas of one number allow.
enum class CommaUse {
  none,        ///< the field has no comma, or is no number
  decimals,    ///< "1,5": decimals follow it
  separation,  ///< "1,234,567" or "1,234.5": it is between groups of three digits
  either       ///< "1,234"
};

/// The marks between thousands that have no other meaning in a number: blanks of any kind, as the no-break and the thin
/// space, and apostrophes.
enum class Marks { none, blanks, apostrophes };

/// Returns the marks between the groups of three digits of a number, as in "1 234 567,5" and "1'234.5".
Marks marks_in(std::string_view field);

/// Returns true for the spellings of a missing value: nothing, NA, N/A, NULL, None, ?, -, . and others. NaN is a
/// number.
bool is_missing(std::string_view field);

/// Returns the number that a field spells, as strtod() reads it, or nothing. In addition, exponents may have a D as in
/// Fortran, true and false are 1 and 0, the minus of Unicode (U+2212) is a sign, and marks_in() may be between
/// thousands. Numbers beyond the range of double become ±∞ or 0.
std::optional<double> number_in(std::string_view field, Commas commas = Commas::undecided);

CommaUse comma_use(std::string_view field);

/// Returns true for digits with one point in front of the last three, as "1.234", which is a thousand if commas are
/// decimal.
bool is_doubtful_point(std::string_view field);
/// Returns true for digits in groups of three that are separated by points, as "1.234,5" and "1.234.567".
bool has_point_groups(std::string_view field);

/// Returns true for an integer that is written with nothing but digits.
bool is_plain_integer(std::string_view field);

}  // namespace pushforward::data
