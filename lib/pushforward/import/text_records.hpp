#pragma once

// The lines and fields of separated text.

#include <pushforward/core/index.hpp>

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// Returns the number of bytes of the blank at the beginning of `text`, or 0 if there is none. Blanks are the space,
/// tab, form feed, vertical tab, the no-break and the thin spaces of Unicode, and a byte order mark.
std::size_t blank_length(std::string_view text);
/// Returns the text without the blanks around it.
std::string_view trim_blanks(std::string_view text);

bool is_utf8(std::string_view text);
/// Returns the text in UTF-8 if every byte of it is a character of ISO 8859-1.
std::string latin1_to_utf8(std::string_view text);

/// The records of a text, one after the other.
///
/// A record ends with LF, CRLF or CR. Blank lines are passed over. A line whose first character is '#' is a comment and
/// is passed over, too, but "#N/A" is a missing value. A field that begins with a double quote ends with the next one;
/// it may hold separators, line ends and doubled quotes. Quotes elsewhere are characters as others are. Blanks around
/// fields are left out, and so are single quotes around a whole field.
class TextRecords {
 public:
  /// separator: ' ' stands for any run of blanks. first_line: the number of the line on which `text` begins.
  TextRecords(std::string_view text, char separator, Index first_line = 1);

  /// Reads the next record. The fields are valid until the next call. Returns false at the end.
  bool next(std::vector<std::string_view>& fields);

  /// The lines on which the last record began and ended, counted from 1.
  Index line() const { return first_of_record_; }
  Index last_line() const { return line_ - 1; }
  /// The line of the quote that is never closed, or 0. It is known once the record with the quote has been read.
  Index open_quote() const { return open_quote_; }
  /// The number of comments so far.
  Index comments() const { return comments_; }
  /// The last comment so far, without '#' and the blanks around it.
  std::string_view comment() const { return comment_; }

 private:
  std::string_view take_line();
  bool end_line();
  bool is_comment(std::string_view content) const;
  std::size_t separator_length(std::string_view text) const;
  void split(std::string_view line, std::vector<std::string_view>& fields) const;
  void split_quoted(std::vector<std::string_view>& fields);

  std::string_view text_;
  char separator_;
  std::size_t at_ = 0, newline_ = 0;
  Index line_;  // of the character at at_
  Index first_of_record_ = 0, open_quote_ = 0, comments_ = 0;
  std::string_view comment_;
  std::deque<std::string> unquoted_;
};

/// Returns the fields of one line.
std::vector<std::string> fields_of(std::string_view line, char separator);

}  // namespace pushforward::data
