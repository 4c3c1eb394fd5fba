#pragma once

// Reading HDF5 files: groups, arrays, attributes. Serial, of this rank alone; any number of ranks may read one file.
//
// A (d × n) column-major block is the same bytes as an (n, d) C-order dataset, so the rows of a dataset are read
// straight into the columns of a MatrixView. Objects hold their file open; it closes with the last of them.
//
// All functions throw IoError when the file cannot be read, and DataError when what it holds is not what was asked
// for: no such object, wrong rank, type or shape. Messages name the file and the object's path in it.

#include <pushforward/core/index.hpp>
#include <pushforward/h5/handle.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace pushforward::h5 {

/// An object in a file, with a place and attributes: a group or a dataset.
class Object {
 public:
  /// "FILE:/path", as messages name it.
  const std::string& where() const { return where_; }

  bool has_attribute(std::string_view name) const;
  /// True if there is an attribute of this name whose value is one text.
  bool has_text(std::string_view name) const;
  /// Names of all attributes, in alphabetical order.
  std::vector<std::string> attribute_names() const;

  /// The attribute's value. T: std::string, double, Index, bool (stored as an integer or an enumeration),
  /// std::vector<double>, std::vector<std::string>. Numbers are converted; one value is wanted for the scalar types.
  template <class T>
  T attribute(std::string_view name) const;

 protected:
  Object(Handle handle, std::string where) : handle_(std::move(handle)), where_(std::move(where)) {}
  ~Object() = default;
  Object(Object&&) noexcept = default;
  Object& operator=(Object&&) noexcept = default;

  Handle handle_;
  std::string where_;
};

/// An array in a file.
class Dataset : public Object {
 public:
  /// Extents, slowest first; empty for a scalar.
  const std::vector<Index>& shape() const { return shape_; }
  /// Product of the extents.
  Index size() const;
  /// True when the elements are integers or floating-point numbers.
  bool is_numeric() const;
  /// True when the elements are integers.
  bool is_integer() const;

  /// All elements in C order, converted to T: double, float or Index (which wants integers in the file).
  template <class T>
  std::vector<T> read() const;

  /// Rows [first, first + n) of an (N, d) dataset into the columns of values (d × n), converted to T: double, float
  /// or Index; a dataset (N) is taken as (N, 1). values: out, ld ≥ d, padding untouched.
  template <class T>
  void read_rows(Index first, MatrixView<T> values) const;

  /// A 1-D dataset of strings of fixed or variable length, or a single string.
  std::vector<std::string> read_strings() const;

 private:
  friend class Group;
  Dataset(Handle handle, std::string where);

  void require_numeric(bool integer) const;

  std::vector<Index> shape_;
};

/// A group in a file; a file is its root group.
class Group : public Object {
 public:
  /// Names of what is in the group, in alphabetical order.
  std::vector<std::string> names() const;

  /// True when `path`, relative to this group, leads to a group or dataset.
  bool has(std::string_view path) const;
  bool has_dataset(std::string_view path) const;

  /// Opens the group or dataset at `path`. Throws DataError that lists the names there if there is no such object.
  Group group(std::string_view path) const;
  Dataset dataset(std::string_view path) const;

 private:
  friend Group open_file(const std::string& path);
  Group(Handle handle, std::string where) : Object(std::move(handle), std::move(where)) {}

  Handle open(std::string_view path) const;
  std::string child_name(std::string_view path) const;
};

/// The root of an HDF5 file, for reading. Throws IoError with a message of its own for a missing file, a folder, an
/// empty file, a file that is not HDF5 and a truncated one.
Group open_file(const std::string& path);

}  // namespace pushforward::h5
