#include <pushforward/h5/results.hpp>

#include <pushforward/h5/detail.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <numeric>

namespace pushforward::h5 {

namespace {

using detail::check;
using detail::own;

// Space that is kept free for what amend() adds.
constexpr Index amendment_bytes = Index{1} << 20;

std::vector<Index> shape_of(const RowArray& array) {
  if (array.repeats > 0) return {array.repeats, array.rows};
  return array.width == 0 ? std::vector{array.rows} : std::vector{array.rows, array.width};
}

// Numbers of one sample.
Index numbers_of(const RowArray& array) {
  return array.repeats > 0 ? array.repeats : std::max(array.width, Index{1});
}

// Values of samples are the columns of a matrix, or its rows for arrays with repeats.
template <class T>
Index samples_of(const RowArray& array, MatrixView<const T> values) {
  return array.repeats > 0 ? values.rows() : values.cols();
}

template <class T>
MatrixView<const T> part_of(const RowArray& array, MatrixView<const T> values, Index first, Index count) {
  return array.repeats > 0 ? values.block(first, 0, count, array.repeats) : values.columns(first, count);
}

// `count` samples that stand in memory one after the other.
template <class T>
MatrixView<const T> view_of(const RowArray& array, const T* values, Index count) {
  return array.repeats > 0 ? MatrixView<const T>(values, count, array.repeats)
                           : MatrixView<const T>(values, numbers_of(array), count);
}

Index bytes_of(const RowArray& array) {
  return array.rows * numbers_of(array) * (array.element == Element::real32 ? 4 : 8);
}

void declare(const GroupWriter& root, const RowArray& array) {
  const auto shape = shape_of(array);
  switch (array.element) {
    case Element::real64: return root.declare<double>(array.name, shape, array.meaning);
    case Element::real32: return root.declare<float>(array.name, shape, array.meaning);
    case Element::integer64: return root.declare<Index>(array.name, shape, array.meaning);
  }
}

#ifdef H5_HAVE_PARALLEL
constexpr bool hdf5_is_parallel = true;

Handle open_together(const std::string& path, const comm::Communicator& comm) {
  const Handle access = own(H5Pcreate(H5P_FILE_ACCESS), "file access list");
  check(H5Pset_fapl_mpio(access.id(), comm.handle(), MPI_INFO_NULL), "MPI-IO driver");
  return own(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.id()), "opening {} with MPI-IO", path);
}

Handle collective_transfer() {
  Handle transfer = own(H5Pcreate(H5P_DATASET_XFER), "transfer list");
  check(H5Pset_dxpl_mpio(transfer.id(), H5FD_MPIO_COLLECTIVE), "collective transfer");
  return transfer;
}
#else
constexpr bool hdf5_is_parallel = false;

Handle open_together(const std::string&, const comm::Communicator&) {
  throw BugError("MPI-IO with a serial HDF5");
}

Handle collective_transfer() {
  return Handle(H5P_DEFAULT);
}
#endif

Handle open_alone(const std::string& path) {
  return own(H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), "opening {} for writing", path);
}

template <class T>
void put(const RowArray& array, const Handle& dataset, const Handle& transfer, Index first,
         MatrixView<const T> values) {
  const Handle file_space = own(H5Dget_space(dataset.id()), "shape of a dataset");
  const Index count = samples_of(array, values);
  detail::select_range(file_space.id(), array.repeats > 0 ? 1 : 0, first, count);
  const Handle memory_space = detail::column_space(values.rows(), values.cols(), values.ld());
  check(H5Dwrite(dataset.id(), detail::native_type<T>(), memory_space.id(), file_space.id(), transfer.id(),
                 values.data()),
        "writing rows [{}, {})", first, first + count);
}

Handle open_dataset(const Handle& file, const std::string& name) {
  return own(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT), "opening dataset '{}'", name);
}

// Contiguous storage comes into being, whole, with the first element that is written to it.
void allocate(const Handle& file, const RowArray& array) {
  if (array.rows == 0) return;
  const Handle dataset = open_dataset(file, array.name);
  const std::vector<double> zeros(numbers_of(array));
  put(array, dataset, Handle(H5P_DEFAULT), 0, view_of(array, zeros.data(), 1));
}

void sync(const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  const bool done = descriptor >= 0 && fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  require<IoError>(done, "flushing {}: {}", path, std::strerror(error));
}

}  // namespace

ResultFile::ResultFile(const comm::Communicator& comm, const std::string& path, std::string_view format,
                       Index format_version, std::vector<RowArray> arrays,
                       const std::function<void(const GroupWriter&)>& describe, Access access, Index slab_elements)
    : comm_(comm),
      path_(path),
      arrays_(std::move(arrays)),
      slab_elements_(slab_elements),
      parallel_(hdf5_is_parallel && access == Access::automatic && comm.size() > 1) {
  require<OptionError>(slab_elements >= 1 && slab_elements <= default_slab_elements,
                       "{}: slabs of {} elements; from 1 to {} are possible", path, slab_elements,
                       default_slab_elements);
  detail::silence_hdf5();
  comm::agree(comm_, [&] {
    if (!comm_.is_root()) return;
    replacement_.emplace(path_);
    lay_out(format, format_version, describe);
    temporary_ = replacement_->temporary();
  });
  comm_.broadcast(temporary_);
  comm::agree(comm_, [&] {
    require<IoError>(!parallel_ || ::access(temporary_.c_str(), W_OK) == 0,
                     "cannot write {}: what rank 0 has made in that folder is not seen here; the folder must be on a "
                     "file system that all ranks share",
                     path_);
  });
}

void ResultFile::lay_out(std::string_view format, Index format_version,
                         const std::function<void(const GroupWriter&)>& describe) {
  FileImage image(format, format_version);
  for (const auto& array : arrays_) declare(image.root(), array);
  if (describe) describe(image.root());
  const auto bytes = image.finish();
  replacement_->write(bytes);
  Index total = static_cast<Index>(bytes.size()) + amendment_bytes;
  for (const auto& array : arrays_) total += bytes_of(array);
  replacement_->reserve(total);
  Handle file = open_alone(replacement_->temporary());
  for (const auto& array : arrays_) allocate(file, array);
  file.close();
}

const RowArray& ResultFile::find(std::string_view name) const {
  const auto found = std::ranges::find(arrays_, name, &RowArray::name);
  if (found == arrays_.end()) throw BugError(fmt::format("{}: no array '{}' was laid out", path_, name));
  return *found;
}

template <class T>
void ResultFile::write_rows(std::string_view name, Index first, MatrixView<const T> values) {
  comm::agree(comm_, [&] {
    const auto& array = find(name);
    const Index count = samples_of(array, values), numbers = array.repeats > 0 ? values.cols() : values.rows();
    require<ShapeError>(numbers == numbers_of(array), "{}: '{}' has rows of {} numbers, not {}", path_, name,
                        numbers_of(array), numbers);
    require<ShapeError>(first >= 0 && first + count <= array.rows, "{}: rows [{}, {}) of the {} of '{}'", path_, first,
                        first + count, array.rows, name);
  });
  const auto& array = find(name);
  if (array.rows == 0) return;
  if (parallel_) {
    write_together(array, first, values);
  } else {
    write_through_root(array, first, values);
  }
}

template <class T>
void ResultFile::write_together(const RowArray& array, Index first, MatrixView<const T> values) const {
  const Index slab = std::max(slab_elements_ / numbers_of(array), Index{1}), samples = samples_of(array, values);
  const Index rounds = comm_.max((samples + slab - 1) / slab);
  comm::agree(comm_, [&] {  // HDF5 communicates on a duplicate of the communicator
    Handle file = open_together(temporary_, comm_);
    Handle dataset = open_dataset(file, array.name);
    const Handle transfer = collective_transfer();
    for (Index r = 0; r < rounds; ++r) {
      const Index begin = std::min(r * slab, samples);
      put(array, dataset, transfer, first + begin, part_of(array, values, begin, std::min(slab, samples - begin)));
    }
    dataset.close();
    file.close();
  });
}

template <class T>
void ResultFile::write_through_root(const RowArray& array, Index first, MatrixView<const T> values) const {
  const Index width = numbers_of(array), samples = samples_of(array, values);
  const Index slab = std::max(slab_elements_ / width / comm_.size(), Index{1});
  const Index rounds = comm_.max((samples + slab - 1) / slab);
  const auto ranks = static_cast<std::size_t>(comm_.size());
  for (Index r = 0; r < rounds; ++r) {
    const Index begin = std::min(r * slab, samples);
    const Index mine = std::min(slab, samples - begin);
    const auto part = part_of(array, values, begin, mine);

    std::vector<double> places(2 * ranks);  // first row and number of rows of each rank
    comm_.all_gather(std::array{static_cast<double>(first + begin), static_cast<double>(mine)}, places);
    std::vector<int> send_counts(ranks, 0), receive_counts(ranks, 0);
    std::vector<double> sent, received;
    if (comm_.is_root()) {
      for (std::size_t rank = 1; rank < ranks; ++rank)
        receive_counts[rank] = static_cast<int>(places[2 * rank + 1]) * static_cast<int>(width);
      received.resize(std::accumulate(receive_counts.begin(), receive_counts.end(), Index{0}));
    } else {
      for (Index j = 0; j < part.cols(); ++j) sent.insert(sent.end(), part.column(j), part.column(j) + part.rows());
      send_counts[0] = static_cast<int>(sent.size());
    }
    comm_.all_to_all(sent, send_counts, received, receive_counts);

    comm::agree(comm_, [&] {
      if (!comm_.is_root()) return;
      Handle file = open_alone(temporary_);
      Handle dataset = open_dataset(file, array.name);
      const Handle transfer(H5P_DEFAULT);
      put(array, dataset, transfer, first + begin, part);
      const double* at = received.data();
      for (std::size_t rank = 1; rank < ranks; ++rank) {
        const auto count = static_cast<Index>(places[2 * rank + 1]);
        put(array, dataset, transfer, static_cast<Index>(places[2 * rank]), view_of(array, at, count));
        at += width * count;
      }
      dataset.close();
      file.close();
    });
  }
}

void ResultFile::amend(const std::function<void(const GroupWriter&)>& add) {
  comm::agree(comm_, [&] {
    if (!comm_.is_root()) return;
    replacement_->reserve(static_cast<Index>(std::filesystem::file_size(temporary_)) + amendment_bytes);
    Handle file = open_alone(temporary_);
    add(GroupWriter(own(H5Gopen2(file.id(), "/", H5P_DEFAULT), "opening {} for writing", path_), path_ + ":"));
    file.close();
  });
}

void ResultFile::commit() {
  comm::agree(comm_, [&] {
    if (parallel_) sync(temporary_);
  });
  comm::agree(comm_, [&] {
    if (comm_.is_root()) replacement_->commit();
  });
}

template void ResultFile::write_rows(std::string_view, Index, MatrixView<const double>);
template void ResultFile::write_rows(std::string_view, Index, MatrixView<const float>);
template void ResultFile::write_rows(std::string_view, Index, MatrixView<const Index>);

}  // namespace pushforward::h5
