#pragma once

// Decides whether the first line of separated text holds the names of the columns.

#include <pushforward/core/index.hpp>
#include <pushforward/import/text_numbers.hpp>

#include <limits>
#include <span>
#include <string>

namespace pushforward::data {

/// Counts of the fields of a column, without the first line.
struct ColumnFacts {
  Index numbers = 0;         ///< the fields that are numbers
  Index plain_integers = 0;  ///< the numbers that are written with nothing but digits
  Index texts = 0;           ///< the fields that are neither numbers nor missing values
  Index empty = 0;           ///< the fields without a character
  double least = std::numeric_limits<double>::infinity();
  double greatest = -std::numeric_limits<double>::infinity();
  bool repeats = false;  ///< true if the text of the first line occurs again
};

enum class FirstLine { header, row, doubtful };

/// Judges the first line by its fields and by the columns under them.
///
/// The line is a header if all fields are text (and no table of classes), if a field is text over a column of numbers,
/// or if its numbers are 0, 1, …, d − 1 or years over columns of fractions. The line is a row if it has no text and
/// does not look like this, or if its text occurs again. `same_line` says whether the whole line occurs again.
FirstLine judge_first_line(std::span<const std::string> first, std::span<const ColumnFacts> rest, bool same_line,
                           Commas commas = Commas::undecided);

}  // namespace pushforward::data
