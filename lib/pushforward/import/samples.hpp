#pragma once

// Rows on their way from tables to a dataset file, and the steps of an import. No step changes the order of the
// rows.

#include <pushforward/core/index.hpp>
#include <pushforward/dataset/split.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

/// The largest number of classes. A larger number is taken for a mistake.
inline constexpr Index most_classes = 10'000;

/// Rows of d columns of data, followed by c columns of context.
struct Samples {
  std::vector<std::string> names;              ///< (d + c) of the columns
  Index contexts = 0;                          ///< c
  std::vector<double> values;                  ///< (d + c × N) column-major
  std::vector<double> weights;                 ///< (N), or empty
  std::vector<Index> origin;                   ///< (N) number of the row among all that were read
  std::vector<std::optional<Split>> assigned;  ///< (N) the split that the user gave the row

  Index columns() const { return static_cast<Index>(names.size()); }
  Index dimension() const { return columns() - contexts; }
  Index rows() const { return static_cast<Index>(origin.size()); }
  MatrixView<double> view() { return {values.data(), columns(), rows()}; }
  ConstMatrixView<double> view() const { return {values.data(), columns(), rows()}; }
  ConstMatrixView<double> data() const { return view().block(0, 0, dimension(), rows()); }
  ConstMatrixView<double> context() const { return view().block(dimension(), 0, contexts, rows()); }
  std::span<const std::string> data_names() const { return std::span(names).first(names.size() - c()); }
  std::span<const std::string> context_names() const { return std::span(names).last(c()); }

 private:
  std::size_t c() const { return static_cast<std::size_t>(contexts); }
};

/// Keeps the rows for which keep[row] is true. Returns the number of rows that were dropped.
Index keep_rows(Samples& samples, const std::vector<bool>& keep);
/// Keeps these columns, in this order. The caller sets `contexts`.
void keep_columns(Samples& samples, std::span<const Index> columns);

/// Returns (N) flags: true if all values of the row and its weight are finite.
std::vector<bool> finite_rows(const Samples& samples);
/// Returns (N) flags: true if no earlier row is equal in all columns and in weight.
std::vector<bool> first_occurrences(const Samples& samples);
/// Returns the columns of data that have one value in all rows.
std::vector<Index> constant_columns(const Samples& samples);
/// Returns the columns of data whose values are all integers.
std::vector<Index> integer_columns(const Samples& samples);

/// Adds noise to a column: x ← x + width · u. The u are uniform on (0, 1), and depend on seed, column and the row's
/// origin alone.
void dequantize(Samples& samples, Index column, double width, std::uint64_t seed);
/// x ← (x + shift) / divisor on a column.
void rescale(Samples& samples, Index column, double shift, double divisor);
/// Takes a column of angles in radians, or in degrees, to radians in [−π, π). 180 degrees are −π exactly.
void wrap_angles(Samples& samples, Index column, bool degrees);
/// Replaces two columns of data, latitude and longitude in degrees, with three columns "x", "y", "z" of the unit vector
/// (cos φ cos λ, cos φ sin λ, sin φ), which are the last of the data. Throws DataError with place(row) for a latitude
/// outside [−90, 90] or a longitude outside [−360, 360], and OptionError if a column has one of the new names.
void to_unit_vectors(Samples& samples, Index latitude, Index longitude, const std::function<std::string(Index)>& place);
/// Replaces a column of context that holds classes 0, 1, … with a column for each class, "NAME=3", which is 1 in the
/// rows of the class and 0 elsewhere. Returns the number of classes: `classes`, or the largest value plus one if
/// `classes` is 0. If there are `class_names`, class k is called "NAME=class_names[k]". Throws DataError with
/// place(row) if a value is no class.
Index one_hot(Samples& samples, Index column, Index classes, const std::function<std::string(Index)>& place,
              std::span<const std::string> class_names = {});

}  // namespace pushforward::data
