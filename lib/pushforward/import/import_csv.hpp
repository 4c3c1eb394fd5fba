#pragma once

#include <pushforward/table/table.hpp>

#include <string>
#include <string_view>

namespace pushforward::data {

/// The format of a text file.
struct CsvFormat {
  enum class Header { automatic, yes, no };
  Header header = Header::automatic;  ///< automatic: a first line without any number is one
  char separator = '\0';              ///< '\0': guessed; ' ' means any run of blanks and tabs
};

/// Numbers from separated text: UTF-8 with or without a byte order mark, lines ended by LF or CRLF; comma, semicolon,
/// tab or blanks between fields; fields in double quotes; lines that are empty or begin with '#' passed over. Empty
/// fields, NA, NaN, null and ? are missing values: NaN. `source` names the text in messages.
/// Throws DataError for lines of unequal length, with line number and counts, and for text without any row.
Table parse_csv(std::string_view text, const std::string& source, const CsvFormat& format = {});

}  // namespace pushforward::data
