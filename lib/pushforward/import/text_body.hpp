#pragma once

// The body of a text table: all records as numbers, and what their columns hold.

#include <pushforward/core/index.hpp>
#include <pushforward/import/text_header.hpp>
#include <pushforward/import/text_numbers.hpp>
#include <pushforward/import/text_records.hpp>
#include <pushforward/table/table.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// The first field of a kind, remembered for a message.
struct FoundField {
  Index line = 0;  ///< 0 if there is none
  std::string field;

  explicit operator bool() const { return line > 0; }
  void note(Index at, std::string_view text) {
    if (line == 0) *this = {at, std::string(text)};
  }
};

struct TextColumn {
  ColumnFacts facts;
  FoundField text;             ///< the first field that is neither a number nor a missing value
  FoundField decimals;         ///< "1,5"
  FoundField separation;       ///< "1,234,567"
  FoundField either;           ///< "1,234"
  FoundField points;           ///< "1.5" in a table with decimal commas
  FoundField doubtful_points;  ///< "1.234" in a table with decimal commas
  bool point_groups = false;   ///< true if a field is as "1.234,5"
  bool blanks = false;         ///< true if a field is as "1 234"
  bool apostrophes = false;    ///< true if a field is as "1'234"

  bool has_commas() const { return decimals || separation || either; }
};

/// N records of d fields.
struct TextBody {
  std::vector<std::string> first;   ///< the fields of the first record
  Index first_line = 0;             ///< the line on which the first record with d fields begins
  bool same_line = false;           ///< true if the first record occurs again
  Index repeated_line = 0;          ///< the line on which it does so first
  std::vector<TextColumn> columns;  ///< (d) without the first record, until first_is_row() is called
  std::vector<double> values;       ///< (d × N) with the first record, unless it is a short header
  Index records = 0;                ///< N
  Index comments = 0;
};

/// Reads the records of a text as numbers.
struct TextReader {
  std::string_view text;
  std::string source;  ///< the name of the text in messages
  char separator = ' ';
  Index begin = 1;  ///< the line on which the text begins
  Commas commas = Commas::undecided;
  bool short_header = false;  ///< true if the first record is a header with one name fewer than the rows have fields

  TextRecords records() const { return {text, separator, begin}; }
  /// Reads all records. Throws DataError for lines of unequal length, for a quote that is never closed, and for text
  /// without any record.
  TextBody read() const;
  /// Removes the first record, which is a header.
  void first_is_header(TextBody& body) const;
  /// Adds the first record to the facts of the columns.
  void first_is_row(TextBody& body) const;
  /// Returns the classes of the columns for which `wanted` is true. If `skip_first` is true, the first record is a
  /// header.
  std::vector<Labels> labels(const std::vector<bool>& wanted, bool skip_first) const;

 private:
  void check_quote(const TextRecords& records) const;
  void check_count(const TextRecords& records, const std::vector<std::string_view>& fields, std::size_t wanted,
                   Index first_line) const;
  void note(TextColumn& column, std::string_view field, Index line, bool is_first) const;
  double read(TextColumn& column, std::string_view field, Index line, bool is_first) const;
  void add(TextBody& body, const std::vector<std::string_view>& fields, Index line) const;
};

}  // namespace pushforward::data
