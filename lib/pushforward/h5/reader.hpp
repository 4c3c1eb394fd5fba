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

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::h5 {

class Group;

namespace detail {
/// The root of a file that was opened, or IoError with HDF5's reason if `file` is negative. Takes the identifier.
Group root_of(Id file, const std::string& path);
}  // namespace detail

/// An object in a file, with a place and attributes: a group or a dataset.
class Object {
 public:
  /// "FILE:/path", as messages name it.
  const std::string& where() const { return where_; }
  /// The bytes of the file. No array that is stored as it is can have more.
  double file_bytes() const;

  bool has_attribute(std::string_view name) const;
  /// True if there is an attribute of this name whose value is one text.
  bool has_text(std::string_view name) const;
  /// True if there is an attribute of this name that holds at least one number.
  bool has_numbers(std::string_view name) const;
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

/// The rows of an array of records: (m × N) numbers, row after row, with a name for each of the m numbers.
struct Records {
  std::vector<std::string> names;    ///< "mass", "spin.x" of a record in a record, "axis[0]" of a list in a record
  std::vector<std::string> skipped;  ///< the members that hold no numbers
  std::vector<double> values;
};

/// An array in a file.
class Dataset : public Object {
 public:
  /// Extents, slowest first; empty for a scalar.
  const std::vector<Index>& shape() const { return shape_; }
  /// Product of the extents.
  Index size() const;
  /// True when the elements are integers, floating-point numbers or enumerations, as the Booleans of h5py are. Bytes
  /// with the attribute encoding = "UTF-8" are text, as GroupWriter::write_strings() writes it.
  bool is_numeric() const;
  /// True when the elements are records (a compound type) with at least one number.
  bool is_record() const;
  /// True when the elements are integers.
  bool is_integer() const;
  /// True when the elements are integers that may be negative.
  bool is_signed() const;
  /// The bytes of an element in the file.
  Index element_bytes() const;
  /// The type of the elements in words, as "text" or "references".
  std::string type_name() const;

  /// All elements in C order, converted to T: double, float or Index (which wants integers in the file).
  template <class T>
  std::vector<T> read() const;

  /// Rows [first, first + n) of an (N, d) dataset into the columns of values (d × n), converted to T: double, float
  /// or Index; a dataset (N) is taken as (N, 1). values: out, ld ≥ d, padding untouched.
  template <class T>
  void read_rows(Index first, MatrixView<T> values) const;

  /// All rows of a 1-D array of records. Members that are numbers are converted to double.
  Records read_records() const;

  /// Throws IoError if parts of the array are in other files that are missing or too short, or nowhere. HDF5 itself
  /// gives fill values for most of them. Throws IoError, too, if the file cannot hold as many elements as the shape
  /// states, and DataError if the elements do not fit into memory as doubles; both messages have the sizes. Functions
  /// that read elements call it.
  void require_complete() const;

  /// A 1-D dataset of strings of fixed or variable length, a single string, or a 2-D dataset (N, bytes): of bytes, as
  /// GroupWriter::write_strings() writes it, or of single characters, as netCDF writes it.
  std::vector<std::string> read_strings() const;

 private:
  bool is_encoded_text() const;
  friend class Group;
  Dataset(Handle handle, std::string where);

  void require_numeric(bool integer) const;
  [[noreturn]] void fail_reading(const std::string& what) const;

  std::vector<Index> shape_;
  mutable bool is_complete_ = false;  // true once require_complete() has passed
};

/// An array that search() has found, or the reason why it is none.
struct Found {
  std::string path;            ///< below the group, without a slash in front
  std::string problem;         ///< "" for an array of numbers or records; otherwise what it is
  bool leads_nowhere = false;  ///< true for a link without a target; `problem` then begins with "is a link"
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

  /// All arrays in this group and in the groups below it, each once, and the links that lead nowhere. Arrays in
  /// groups come after the arrays of the group that holds them. Names that begin with '#' are MATLAB's own and are
  /// passed over.
  std::vector<Found> search() const;

 private:
  friend Group detail::root_of(Id file, const std::string& path);
  Group(Handle handle, std::string where) : Object(std::move(handle), std::move(where)) {}

  Handle open(std::string_view path) const;
  std::string child_name(std::string_view path) const;
};

/// The first bytes of HDF5.
inline constexpr std::string_view signature = "\x89HDF\r\n\x1a\n";

/// True if this is a regular file with the signature of HDF5, which stands at the beginning, or after a user block at
/// byte 512, 1024, 2048 and so on, as in the files of MATLAB 7.3.
bool is_hdf5_file(const std::string& path);
/// The same for the bytes of a file.
bool is_hdf5_image(std::span<const std::byte> bytes);

/// The root of an HDF5 file whose bytes are in memory; they are copied. `name` stands for the file in messages. Throws
/// IoError if the bytes cannot be opened. A child process looks at them first, as at the file of open_file().
Group open_image(std::span<const std::byte> bytes, const std::string& name);

/// The root of an HDF5 file, for reading. Throws IoError with a message of its own for a missing file, a folder, an
/// empty file, a pipe, a file that is not HDF5 and a truncated one. A child process reads the file first, since
/// HDF5 1.10 does not survive every damaged one; if the child does not, that is an IoError (h5/look.hpp has the
/// details).
Group open_file(const std::string& path);

}  // namespace pushforward::h5
