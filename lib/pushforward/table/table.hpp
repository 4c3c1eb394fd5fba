#pragma once

#include <pushforward/core/index.hpp>
#include <pushforward/core/shape.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>
#include <string>
#include <vector>

namespace pushforward::data {

/// Columns that are the values of an image, the first and those after it.
struct Pixels {
  Index first = 0;
  Shape shape;
};

/// A file of numbers as it was read: N rows of d columns.
struct Table {
  std::string source;              ///< as messages name it
  std::vector<std::string> names;  ///< (d)
  bool named = false;              ///< whether the file itself gives the names; else they are x1, x2, …
  std::vector<double> values;      ///< (d × N) column-major: row after row; NaN for what is missing or no number
  std::vector<std::string> text;   ///< (d) "" or what is said of a column that holds text, when it is wanted
  std::string remark;              ///< how it was read: "header, separator ','"
  std::optional<Pixels> pixels{};  ///< where the file says that its rows are images

  Index dimension() const { return static_cast<Index>(names.size()); }
  Index rows() const { return names.empty() ? 0 : static_cast<Index>(values.size()) / dimension(); }
};

/// "x1", "x2", …, d of them.
std::vector<std::string> default_names(Index d, char letter = 'x');

}  // namespace pushforward::data
