#pragma once

// Choosing columns of a table by name or number.

#include <pushforward/core/index.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// The columns that `selector` means, ascending, counted from 0: a name, a number counted from 1, a range of numbers
/// "2-5", or "*" for all. Throws OptionError, naming the nearest, for what is none of these.
std::vector<Index> select_columns(std::string_view selector, std::span<const std::string> names);

/// The columns of several selectors, in their order, each once.
std::vector<Index> select_columns(std::span<const std::string> selectors, std::span<const std::string> names);

/// "COLUMNS=NUMBER", or "NUMBER" for all columns.
struct ColumnNumber {
  std::string selector;
  double number = 0;
};
/// `option` names the option in messages. Throws OptionError for what is not of the form or not finite.
ColumnNumber parse_column_number(std::string_view text, std::string_view option);

}  // namespace pushforward::data
