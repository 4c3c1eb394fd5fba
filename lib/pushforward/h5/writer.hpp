#pragma once

// Writing HDF5 files. A file is first built in memory, where HDF5 cannot run out of disk, and then written as a whole
// (replacement.hpp), so that a full disk is an ordinary error, and nothing is left half-written or lost. Meant for
// replicated state, metadata and small arrays; arrays with a row per sample go through results.hpp.
//
// Nothing here is collective: one rank writes, and the caller lets the others know (comm::agree).

#include <pushforward/core/index.hpp>
#include <pushforward/h5/handle.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace pushforward::h5 {

/// The meaning of an array, stored as its attributes `units` ("nat", "1", "s") and `long_name`. Empty texts are left
/// out.
struct Meaning {
  std::string units;
  std::string long_name;
};

/// A group of a file that is being written. Datasets may be named by a path, whose groups come into being as needed.
/// All functions throw IoError where HDF5 refuses, as for a name that is taken.
class GroupWriter {
 public:
  GroupWriter(Handle group, std::string where) : group_(std::move(group)), where_(std::move(where)) {}

  /// A new group inside this one.
  GroupWriter make_group(std::string_view name) const;
  /// A group that is there already, also by a path.
  GroupWriter group(std::string_view name) const;

  /// Attributes of this group: text (UTF-8, of its own length), a number, a bool (as integer 0 or 1), several doubles.
  /// An empty list is left out: readers in other languages, such as R's hdf5r, break on attributes without elements.
  template <class V>
  void attribute(std::string_view name, const V& value) const {
    if constexpr (std::convertible_to<const V&, std::string_view>) {
      put_text(name, std::string_view(value));
    } else if constexpr (std::is_integral_v<V>) {
      put_integer(name, static_cast<Index>(value));
    } else if constexpr (std::is_floating_point_v<V>) {
      put_reals(name, {}, std::span<const double>(std::array{static_cast<double>(value)}));
    } else {
      const std::span<const double> values(value);
      put_reals(name, std::array{static_cast<Index>(values.size())}, values);
    }
  }

  /// A dataset (N) of values. T: double, float or Index.
  template <class T>
  void write(std::string_view name, std::span<const T> values, const Meaning& meaning = {}) const {
    write_array(name, std::array{static_cast<Index>(values.size())}, values.data(), meaning);
  }
  template <class T>
  void write(std::string_view name, const std::vector<T>& values, const Meaning& meaning = {}) const {
    write(name, std::span<const T>(values), meaning);
  }

  /// A dataset (cols, rows): the columns of a column-major matrix become rows. T: double, float or Index.
  template <class T>
  void write(std::string_view name, MatrixView<const T> values, const Meaning& meaning = {}) const;

  /// A dataset of this shape from its elements in C order.
  template <class T>
  void write_array(std::string_view name, std::span<const Index> shape, const T* values,
                   const Meaning& meaning = {}) const;

  /// A dataset (N, bytes) of unsigned bytes with the attribute encoding = "UTF-8": strings, padded with zeros to the
  /// longest. Every reader knows numbers. The netCDF library crashes on text of fixed length, Octave does not open
  /// arrays of characters, and HDF5 1.10 crashes on damaged text of variable length.
  void write_strings(std::string_view name, std::span<const std::string> values) const;

  /// A dataset of doubles, floats or Index of this shape, without storage until something is written to it.
  template <class T>
  void declare(std::string_view name, std::span<const Index> shape, const Meaning& meaning = {}) const;

  /// Makes the 1-D dataset `scale` the dimension scale of axis `axis` of `dataset`; both are in this group.
  void set_scale(std::string_view dataset, Index axis, std::string_view scale) const;

 private:
  Handle create(std::string_view name, Id type, std::span<const Index> shape, const Meaning& meaning) const;
  void put_text(std::string_view name, std::string_view value) const;
  void put_integer(std::string_view name, Index value) const;
  void put_reals(std::string_view name, std::span<const Index> shape, std::span<const double> values) const;

  Handle group_;
  std::string where_;
};

/// Whether a file carries a digest of its bytes (sealed.hpp).
enum class Seal { no, yes };

/// A file that is built in memory. Its root has the attributes `format`, `format_version`, `creator` and `created`.
class FileImage {
 public:
  FileImage(std::string_view format, Index format_version, Seal seal = Seal::no);

  const GroupWriter& root() const { return root_; }

  /// The file's bytes. Ends the building: its group writers are of no use afterwards.
  std::vector<std::byte> finish();

  /// Writes the bytes of finish() to `path` atomically: until the end, the file that was there is kept. Throws
  /// IoError.
  void save(const std::string& path);

 private:
  bool is_sealed_;
  Handle file_;
  GroupWriter root_;
};

}  // namespace pushforward::h5
