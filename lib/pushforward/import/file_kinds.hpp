#pragma once

#include <string_view>

namespace pushforward::data {

/// The formats that can be imported, for messages.
inline constexpr std::string_view readable_formats =
    "CSV and other separated text, NPY, NPZ, HDF5 (also netCDF-4 and MATLAB 7.3), IDX and CIFAR; text and NPY may be "
    "packed with gzip, xz, bzip2, zstd or zip";

/// Names the kind of the bytes by how they begin and says what to do with them: "is a Parquet file; save it as CSV,
/// NPY or HDF5". Returns "" unless the kind is known and cannot be imported.
std::string_view describe_foreign(std::string_view bytes);

}  // namespace pushforward::data
