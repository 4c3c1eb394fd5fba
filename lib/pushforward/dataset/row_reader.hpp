#pragma once

// A source of rows for training: a file, a built-in density, or a caller's arrays. All of them are read in the same
// way, and all facts about the rows are in one description.

#include <pushforward/core/index.hpp>
#include <pushforward/core/sphere.hpp>
#include <pushforward/dataset/split.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace pushforward::data {

/// Everything about a dataset except its values.
struct Description {
  std::string name{};                        ///< as users know the dataset
  Index dimension = 0;                       ///< d, numbers of a row
  BySplit<Index> rows{};                     ///< 0 for a split that does not exist
  bool weighted = false;                     ///< whether rows have weights; else all weights are 1
  std::vector<std::string> feature_names{};  ///< (d) names of the columns
  std::vector<std::string> context_names{};  ///< (c) names of the contexts' columns; empty if there are no contexts
  std::optional<Shape> image_shape{};        ///< how the numbers of a row are arranged if rows are images
  std::vector<Index> periodic{};             ///< columns that are angles in radians, counted from 0, ascending
  std::vector<Sphere> spheres{};             ///< columns that are unit vectors, counted from 0
  std::optional<double> entropy{};           ///< of the density that the rows were drawn from, nats, if it is known

  /// Numbers c of a row's context; 0 if the density is not conditioned on anything.
  Index context_dimension() const { return static_cast<Index>(context_names.size()); }
};

/// Reads rows in their own units. Any rank may call any function alone.
class RowReader {
 public:
  virtual ~RowReader() = default;

  const Description& description() const { return description_; }
  Index rows(Split split) const { return description_.rows[index_of(split)]; }

  /// Reads rows [first, first + n) of a split into the columns of x (d × n). Throws DataError if a value is NaN or
  /// infinite.
  virtual void read(Split split, Index first, MatrixView<double> x) const = 0;
  /// Reads the weights of rows [first, first + n); 1 if there are none. Throws DataError for a negative or non-finite
  /// weight.
  virtual void read_weights(Split split, Index first, std::span<double> weights) const = 0;
  /// Reads the contexts of rows [first, first + n) into the columns of `context` (c × n). Throws DataError if a value
  /// is NaN or infinite.
  virtual void read_context(Split split, Index first, MatrixView<double> context) const = 0;

 protected:
  Description description_;
};

}  // namespace pushforward::data
