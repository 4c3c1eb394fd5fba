#pragma once

// Choosing columns of a table by name or number.

#include <pushforward/core/index.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// Returns the columns that `selector` names, ascending and counted from 0. A selector is a name, a number counted
/// from 1, a range of numbers "2-5", or "*" for all columns. "name:2019" is a name and "number:3" or "number:2-5" are
/// numbers, whatever the names are. Throws OptionError with the nearest name for anything else, and if a selector has
/// two meanings, with one that has only one meaning.
std::vector<Index> select_columns(std::string_view selector, std::span<const std::string> names);

/// Returns the columns of several selectors, in the order of the selectors, each column once.
std::vector<Index> select_columns(std::span<const std::string> selectors, std::span<const std::string> names);

/// Returns a selector that means this column and no other: "3" or "number:3".
std::string selector_of(Index column, std::span<const std::string> names);

/// A choice of columns with a number: "COLUMNS=NUMBER", or "NUMBER" for all columns.
struct ColumnNumber {
  std::string selector;
  double number = 0;
};
/// Reads a ColumnNumber. `option` names the option in messages. Throws OptionError if the text has another form or
/// if the number is not finite.
ColumnNumber parse_column_number(std::string_view text, std::string_view option);

}  // namespace pushforward::data
