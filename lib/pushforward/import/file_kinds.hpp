#pragma once

#include <string_view>

namespace pushforward::data {

/// The formats that can be imported, for messages.
inline constexpr std::string_view readable_formats =
    "CSV and other separated text, NPY, NPZ, HDF5 (also netCDF-4 and MATLAB 7.3), IDX and CIFAR; text and NPY may be "
    "packed with gzip, xz, bzip2, zstd or zip";

/// What the bytes are, by their signature, and what to do with them, if they are of a kind that is known but cannot be
/// imported: "is a Parquet file; save it as CSV, NPY or HDF5". Empty for all other bytes.
std::string_view describe_foreign(std::string_view bytes);

}  // namespace pushforward::data
