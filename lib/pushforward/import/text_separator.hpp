#pragma once

// The separator between the fields of a text.

#include <string>
#include <string_view>

namespace pushforward::data {

/// Removes a first line "sep=;" as Excel reads it, and returns its separator, or '\0' if there is no such line.
char take_declared_separator(std::string_view& text);

/// Guesses the separator from the first records: tab, ';', ',', '|' or ' ' for blanks. It divides the records into
/// equally many fields, of which as many as possible are numbers. If `decimal_commas` is true, it is no comma.
char find_separator(std::string_view text, bool decimal_commas);

/// "tab", "blanks" or the separator in quotes.
std::string describe_separator(char separator);

}  // namespace pushforward::data
