#pragma once

// Rows on their way from tables to a dataset file, and the steps they can take. Each step leaves the order of the rows
// that remain as it is.

#include <pushforward/base/index.hpp>
#include <pushforward/data/split.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

struct Samples {
  std::vector<std::string> names;              ///< (d) of the columns
  std::vector<double> values;                  ///< (d × N) column-major
  std::vector<double> weights;                 ///< (N), or empty
  std::vector<Index> origin;                   ///< (N) number of the row among all that were read
  std::vector<std::optional<Split>> assigned;  ///< (N) the split that the user gave the row

  Index dimension() const { return static_cast<Index>(names.size()); }
  Index rows() const { return static_cast<Index>(origin.size()); }
  MatrixView<double> view() { return {values.data(), dimension(), rows()}; }
  ConstMatrixView<double> view() const { return {values.data(), dimension(), rows()}; }
};

/// Keeps the rows for which keep[row] holds; returns how many went.
Index keep_rows(Samples& samples, const std::vector<bool>& keep);
/// Keeps these columns, in this order.
void keep_columns(Samples& samples, std::span<const Index> columns);

/// (N) whether all values of the row, and its weight, are finite.
std::vector<bool> finite_rows(const Samples& samples);
/// (N) whether no row before is the same in all columns and in weight.
std::vector<bool> first_occurrences(const Samples& samples);
/// Columns with one value in all rows.
std::vector<Index> constant_columns(const Samples& samples);
/// Columns whose values are all integers.
std::vector<Index> integer_columns(const Samples& samples);

/// x ← x + width · u on a column, u uniform on (0, 1), a function of seed, column and the row's origin alone.
void dequantize(Samples& samples, Index column, double width, std::uint64_t seed);
/// x ← (x + shift) / divisor on a column.
void rescale(Samples& samples, Index column, double shift, double divisor);

}  // namespace pushforward::data
