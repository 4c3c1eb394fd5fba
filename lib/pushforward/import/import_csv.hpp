#pragma once

#include <pushforward/table/table.hpp>

#include <string>
#include <string_view>

namespace pushforward::data {

/// The format of a text file.
struct CsvFormat {
  enum class Header { automatic, yes, no };
  enum class Decimal { automatic, point, comma };
  Header header = Header::automatic;     ///< whether the first line has the names; see judge_first_line()
  char separator = '\0';                 ///< '\0': guessed; ' ' means any run of blanks and tabs
  Decimal decimal = Decimal::automatic;  ///< the mark before the decimals; the other one separates thousands
};

/// Reads numbers from separated text as R and pandas read it. data/README.md lists the dialects. Comma, semicolon, tab,
/// '|' or blanks are between fields. Comments and blank lines are passed over. Missing values are NaN. Empty last
/// columns without a name are left out. If the header has one name fewer than the rows have fields, the first fields
/// are names of the rows, and they are left out, too. A column that holds text has a complaint in `Table::text` and its
/// classes in `Table::labels`. `source` names the text in messages.
/// Throws DataError for lines of unequal length, with line number and counts, for a quote that is never closed, if
/// nothing tells whether the first line is a header, and for text without any row.
Table parse_csv(std::string_view text, const std::string& source, const CsvFormat& format = {});

}  // namespace pushforward::data
