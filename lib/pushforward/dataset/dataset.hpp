#pragma once

// Dataset files: /train, /validation, /test, each (N, d) or (N); optional /weight/<split> (N), non-negative; optional
// /context/<split> (N, c) or (N), what the density of a row is conditioned on; optional /feature_names (d) and
// /context_names (c). Attributes of the root: `entropy`, in nats, where the density's is known; `image_shape`, height,
// width and channels, where rows are images (base/shape.hpp); `periodic` (d), 1 for columns that are angles in radians,
// else 0; `spheres` (d), the number of the sphere for columns of unit vectors, else 0 (core/sphere.hpp). And anybody's
// numeric array, as FILE:/PATH, of which only /weight/PATH and /context/PATH are taken.
//
// Not collective: any number of ranks may read the same file. Reading goes by slabs, so a file may be larger than
// memory. What cannot be used is a DataError that names file, dataset and place and says what to do.

#include <pushforward/dataset/row_reader.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::data {

/// The root attributes `format` and `format_version` of a dataset file. Files with the other spelling of the format,
/// "pushforward-dataset", and files without the attribute are datasets as well.
inline constexpr std::string_view dataset_format = "pushforward dataset";
inline constexpr Index dataset_format_version = 2;

/// Elements of the buffer for rows that are read in slabs: 8 MB of doubles.
inline constexpr Index default_slab_elements = Index{1} << 20;

/// The names of columns in a file. They are empty if the file has none.
struct ColumnNames {
  std::vector<std::string> features, contexts;
};

/// The rows of one array, with their weights and contexts if there are any.
class Rows {
 public:
  /// Throws DataError for an array that is not numeric, not (N, d) or (N), or has no rows or no columns, for weights
  /// that are not (N), and for contexts that are not (N, c) or (N). Throws OptionError for slab_elements < 1.
  explicit Rows(h5::Dataset values, std::optional<h5::Dataset> weights = {}, std::optional<h5::Dataset> contexts = {},
                ColumnNames names = {}, Index slab_elements = default_slab_elements);

  /// "FILE:/path".
  const std::string& where() const { return values_.where(); }
  Index count() const { return values_.shape()[0]; }
  Index dimension() const { return width(values_); }
  bool weighted() const { return weights_.has_value(); }
  /// The names in the file. Their number may differ from the columns of this array.
  const ColumnNames& names() const { return names_; }
  /// Numbers c of a row's context; 0 without contexts.
  Index context_dimension() const { return contexts_ ? width(*contexts_) : 0; }

  /// Rows [first, first + n) into the columns of x (d × n); T: float or double. Throws DataError where a value is NaN
  /// or infinite, with the place of the first and their number in the whole array.
  template <class T>
  void read(Index first, MatrixView<T> x) const;

  /// The same, whatever the values are.
  void read_unchecked(Index first, MatrixView<double> x) const { values_.read_rows(first, x); }

  /// Weights of rows [first, first + n); 1 where there are none. Throws DataError for a negative or non-finite one.
  void read_weights(Index first, std::span<double> weights) const;

  /// Contexts of rows [first, first + n) into the columns of `context` (c × n), as read() has it.
  template <class T>
  void read_context(Index first, MatrixView<T> context) const;

 private:
  static Index width(const h5::Dataset& array) { return array.shape().size() == 2 ? array.shape()[1] : 1; }

  h5::Dataset values_;
  std::optional<h5::Dataset> weights_, contexts_;
  ColumnNames names_;
  Index slab_elements_;
};

/// The rows that `location` names: FILE:/PATH, or the split `split` of the dataset file FILE; with /weight/PATH and
/// /context/PATH where the file has them. Throws DataError if FILE alone is named and its format is another one of
/// Pushforward's, or a newer version of a dataset.
Rows open_rows(const std::string& location, Split split = Split::test);

/// How the rows of an array without splits are divided.
struct Division {
  Fractions fractions{0.8, 0.1, 0.1};
  std::uint64_t seed = 0;
};

/// Training data of a file: the splits of a dataset file, or an array FILE:/PATH divided by seeded fractions. There are
/// always rows to train on. If the file gives no names, columns are "x1", "x2", … and contexts "c1", "c2", ….
class Dataset final : public RowReader {
 public:
  /// Throws IoError and DataError, as open_rows() does. `division` is for FILE:/PATH only. slab_elements ≥ 1: the
  /// largest number of elements in the buffer of a read. The buffer has room for one row at least.
  explicit Dataset(const std::string& location, const Division& division = {},
                   Index slab_elements = default_slab_elements);

  /// Rows are in the file's order. Throws DataError as Rows::read does.
  void read(Split split, Index first, MatrixView<double> x) const override;
  void read_weights(Split split, Index first, std::span<double> weights) const override;
  void read_context(Split split, Index first, MatrixView<double> context) const override;

 private:
  /// A split's rows: all of a source, or those with the numbers `members`, ascending.
  struct Part {
    std::size_t source = 0;
    Index count = 0;
    std::vector<Index> members;
  };

  void open_splits(const h5::Group& file);
  void open_divided(const h5::Group& file, const std::string& path, const Division& division);
  void read_names(const std::string& name, bool divided);
  void read_image_shape(const h5::Group& file);
  void read_periodic(const h5::Group& file);
  void read_spheres(const h5::Group& file);
  const Part& part(Split split, Index first, Index count) const;

  /// Calls f(first row, count, picked) for runs of source rows that hold samples [first, first + count): all of a run's
  /// rows where `picked` is empty, else those with its row numbers.
  template <class F>
  void for_runs(const Part& part, Index first, Index count, F&& f) const;
  /// Samples [first, first + x.cols()) into the columns of x by read(source, first row, columns).
  template <class Read>
  void read_columns(Split split, Index first, MatrixView<double> x, Read&& read) const;

  Index slab_elements_;
  std::vector<Rows> sources_;
  BySplit<Part> parts_;
};

}  // namespace pushforward::data
