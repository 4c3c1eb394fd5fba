#include <pushforward/h5/detail.hpp>

#include <array>

namespace pushforward::h5 {

Handle::~Handle() {
  if (id_ >= 0) H5Idec_ref(id_);
}

void Handle::close() {
  if (id_ >= 0) detail::check(H5Idec_ref(std::exchange(id_, -1)), "closing an HDF5 object");
}

namespace detail {

void silence_hdf5() {
  static const bool done = H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0;
  static_cast<void>(done);
}

std::string take_error_stack() {
  std::vector<std::string> reasons;
  const H5E_walk2_t collect = [](unsigned, const H5E_error2_t* entry, void* into) -> herr_t {
    static_cast<std::vector<std::string>*>(into)->emplace_back(entry->desc);
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, collect, &reasons);
  H5Eclear2(H5E_DEFAULT);
  if (reasons.empty()) return "HDF5 gives no reason";
  std::string text = reasons.front();
  if (reasons.size() > 1) text += fmt::format(" ({})", reasons.back());
  if (text.find("unable to lock file") != std::string::npos) {
    text += "; where the file system has no locks, set HDF5_USE_FILE_LOCKING=FALSE in the environment";
  }
  return text;
}

Handle string_type(std::size_t bytes) {
  Handle type = own(H5Tcopy(H5T_C_S1), "string type");
  check(H5Tset_size(type.id(), bytes), "size of a string type");
  check(H5Tset_cset(type.id(), H5T_CSET_UTF8), "encoding of a string type");
  check(H5Tset_strpad(type.id(), H5T_STR_NULLPAD), "padding of a string type");
  return type;
}

Handle data_space(std::span<const Index> shape) {
  if (shape.empty()) return own(H5Screate(H5S_SCALAR), "scalar dataspace");
  const std::vector<hsize_t> size(shape.begin(), shape.end());
  return own(H5Screate_simple(static_cast<int>(size.size()), size.data(), nullptr), "dataspace ({})",
             fmt::join(shape, ", "));
}

std::vector<Index> extents(hid_t space) {
  const int rank = H5Sget_simple_extent_ndims(space);
  check(rank, "rank of a dataspace");
  std::vector<hsize_t> size(rank);
  check(H5Sget_simple_extent_dims(space, size.data(), nullptr), "extents of a dataspace");
  return {size.begin(), size.end()};
}

Handle column_space(Index rows, Index count, Index ld) {
  Handle space = data_space(std::array{count, ld});
  if (count == 0 || rows == 0) {
    check(H5Sselect_none(space.id()), "empty selection");
  } else if (ld != rows) {
    const std::array<hsize_t, 2> start{0, 0};
    const std::array<hsize_t, 2> size{static_cast<hsize_t>(count), static_cast<hsize_t>(rows)};
    check(H5Sselect_hyperslab(space.id(), H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr),
          "selection of {} columns", count);
  }
  return space;
}

void select_range(hid_t space, std::size_t axis, Index first, Index count) {
  const auto shape = extents(space);
  if (count == 0) {
    check(H5Sselect_none(space), "empty selection");
    return;
  }
  std::vector<hsize_t> start(shape.size(), 0), size(shape.begin(), shape.end());
  start[axis] = static_cast<hsize_t>(first);
  size[axis] = static_cast<hsize_t>(count);
  check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr),
        "selection of {} to {} on axis {}", first, first + count, axis);
}

}  // namespace detail
}  // namespace pushforward::h5
