#pragma once

// For the sources of this module only: the checked boundary to HDF5. Every call goes through own() or check(), so that
// a failure becomes an exception that says what was attempted, and HDF5's own reason.

#include <hdf5.h>

#include <pushforward/core/error.hpp>
#include <pushforward/core/index.hpp>
#include <pushforward/h5/handle.hpp>

#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace pushforward::h5::detail {

static_assert(std::is_same_v<hid_t, Id>);

/// Turns off HDF5's printing of errors on stderr; from here on they are exceptions. Called before a file is opened.
void silence_hdf5();

/// HDF5's error stack as one line, the innermost cause first; then the stack is cleared. Adds the remedy for file
/// systems that cannot lock.
std::string take_error_stack();

/// Throws IoError "<what>: <error stack>" for a negative return value.
template <class... Args>
void check(long long result, fmt::format_string<Args...> what, Args&&... args) {
  if (result < 0) throw IoError(fmt::format(what, std::forward<Args>(args)...) + ": " + take_error_stack());
}

/// The identifier that an HDF5 call returned, owned. Throws like check().
template <class... Args>
Handle own(hid_t id, fmt::format_string<Args...> what, Args&&... args) {
  check(id, what, std::forward<Args>(args)...);
  return Handle(id);
}

/// The memory type of double, float or Index.
template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, Index>) return H5T_NATIVE_INT64;
}

/// UTF-8 strings of this many bytes, padded with zeros; bytes ≥ 1.
Handle string_type(std::size_t bytes);

/// A dataspace of this shape; a scalar for an empty shape.
Handle data_space(std::span<const Index> shape);

/// The attribute that says that an array of bytes is text, and its value.
inline constexpr const char *encoding_attribute = "encoding", *utf8 = "UTF-8";

/// Extents of a dataspace; empty for a scalar.
std::vector<Index> extents(hid_t space);

/// Type and space for `count` columns of `rows` elements with leading dimension `ld`: the memory side of rows of a
/// C-order dataset.
Handle column_space(Index rows, Index count, Index ld);

/// Narrows the space of a dataset to [first, first + count) on one axis; to nothing for count = 0.
void select_range(hid_t space, std::size_t axis, Index first, Index count);

/// Strings from an attribute or a dataset of strings of fixed or variable length; `read` is its H5Aread or H5Dread
/// with the memory type and the buffer to be filled.
template <class Read>
std::vector<std::string> read_strings(hid_t type, hid_t space, Read&& read) {
  const auto count = static_cast<std::size_t>(H5Sget_simple_extent_npoints(space));
  std::vector<std::string> texts(count);
  if (count == 0) return texts;
  if (H5Tis_variable_str(type) > 0) {
    std::vector<char*> buffer(count, nullptr);
    read(type, static_cast<void*>(buffer.data()));
    for (std::size_t i = 0; i < count; ++i) texts[i] = buffer[i] == nullptr ? "" : buffer[i];
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, buffer.data());
  } else {
    const std::size_t bytes = H5Tget_size(type);
    std::string buffer(count * bytes, '\0');
    read(type, static_cast<void*>(buffer.data()));
    for (std::size_t i = 0; i < count; ++i) {
      texts[i] = buffer.substr(i * bytes, bytes);
      texts[i].erase(std::min(texts[i].find('\0'), bytes));
    }
  }
  return texts;
}

}  // namespace pushforward::h5::detail
