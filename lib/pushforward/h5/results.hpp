#pragma once

// Files of results with a row per sample. All ranks write into one file, each rank its own rows. They use MPI-IO if
// HDF5 is a parallel build, and send their rows to rank 0 otherwise.
//
// The layout is fixed first. Rank 0 builds the file's metadata in memory, writes it under a temporary name and
// reserves the space of all rows on disk, so that a full disk is an ordinary error before anything is computed.
// commit() gives the file its final name. The file is open only inside calls. So after an exception on one rank or
// all there is nothing that ranks would have to close together, and the temporary file is removed with the object.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/index.hpp>
#include <pushforward/h5/replacement.hpp>
#include <pushforward/h5/writer.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pushforward::h5 {

/// Type of the elements of an array in a file.
enum class Element { real64, real32, integer64 };

/// An array with a row per sample, which is a dataset (rows, width), or (rows) if width is 0. If repeats > 0, the
/// array has a column per sample, and is a dataset (repeats, rows).
struct RowArray {
  std::string name;
  Element element = Element::real64;
  Index rows = 0;
  Index width = 0;
  Meaning meaning{};
  Index repeats = 0;  ///< then width is 0
};

/// The most elements that one call of MPI or HDF5 takes: well below the limit of MPI's counts, which are ints.
inline constexpr Index default_slab_elements = Index{1} << 24;

class ResultFile {
 public:
  enum class Access { automatic, through_root };

  /// Lays out the file for these arrays. `describe` is called on rank 0 for what else goes in: attributes, groups,
  /// small arrays, dimension scales. Collective: throws the same error on all ranks, IoError for a folder that is
  /// missing, not writable or not shared by all ranks, or a full disk. `through_root` sends all rows by rank 0 even
  /// where HDF5 is parallel. Rows are written in slabs of at most `slab_elements` elements, at least one row at a time:
  /// a slab is shared by all ranks if rows go through rank 0, else each rank has slabs of its own. The contents of the
  /// file do not depend on it. Throws OptionError unless 1 ≤ slab_elements ≤ default_slab_elements.
  ResultFile(const comm::Communicator& comm, const std::string& path, std::string_view format, Index format_version,
             std::vector<RowArray> arrays, const std::function<void(const GroupWriter&)>& describe = {},
             Access access = Access::automatic, Index slab_elements = default_slab_elements);

  /// Writes values (d × n) as rows [first, first + n) of the array `name`, converted to its element type; n may differ
  /// between ranks and be 0. Of an array with repeats, values are (n × repeats). T: double, float, Index. Collective.
  template <class T>
  void write_rows(std::string_view name, Index first, MatrixView<const T> values);

  /// Adds attributes and small arrays that are known only after the computation. `add` is called on rank 0.
  /// Collective.
  void amend(const std::function<void(const GroupWriter&)>& add);

  /// Flushes the file and gives it its final name, replacing an old file. Collective. The object cannot be used
  /// afterwards.
  void commit();

 private:
  const RowArray& find(std::string_view name) const;
  void lay_out(std::string_view format, Index format_version, const std::function<void(const GroupWriter&)>& describe);
  template <class T>
  void write_together(const RowArray& array, Index first, MatrixView<const T> values) const;
  template <class T>
  void write_through_root(const RowArray& array, Index first, MatrixView<const T> values) const;

  comm::Communicator comm_;
  std::string path_;
  std::string temporary_;  // on all ranks
  std::vector<RowArray> arrays_;
  Index slab_elements_;
  std::optional<Replacement> replacement_;  // on rank 0
  bool parallel_;
};

}  // namespace pushforward::h5
