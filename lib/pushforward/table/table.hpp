#pragma once

#include <pushforward/core/index.hpp>
#include <pushforward/core/shape.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pushforward::data {

/// The pixels of an image: consecutive columns from `first` on.
struct Pixels {
  Index first = 0;
  Shape shape;
};

/// The classes of a column of text.
struct Labels {
  std::vector<std::string> classes;  ///< each text once, sorted; empty if the column has none, or too many
  std::vector<Index> rows;           ///< (N) the class of each row, −1 if the value is missing
};

/// A file of numbers as it was read: N rows of d columns.
struct Table {
  std::string source;              ///< the name of the file or array in messages
  std::vector<std::string> names;  ///< (d)
  bool named = false;              ///< true if the file gives the names; otherwise they are x1, x2, …
  std::vector<double> values;      ///< (d × N) column-major: row after row; NaN if missing or no number
  std::vector<std::string> text;   ///< (d) "", or the error message for a column that holds text
  std::vector<Labels> labels{};    ///< (d) the classes of columns that hold text, or empty if no column does
  std::string remark;              ///< how it was read: "header, separator ','"
  std::optional<Pixels> pixels{};  ///< set if the file says that its rows are images

  Index dimension() const { return static_cast<Index>(names.size()); }
  Index rows() const { return names.empty() ? 0 : static_cast<Index>(values.size()) / dimension(); }
};

/// Returns the d names "x1", "x2", ….
std::vector<std::string> default_names(Index d, char letter = 'x');

}  // namespace pushforward::data
