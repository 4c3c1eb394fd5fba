#pragma once

// For the sources of this module only: where the elements of an array are, and whether they can be had.

#include <pushforward/h5/handle.hpp>

#include <string>

namespace pushforward::h5::detail {

/// Throws IoError that begins with `where` if the array is virtual and a source is missing or a part has no source, or
/// if it is in external raw files that are missing or too short. HDF5 gives fill values or zeros for most of these.
void require_complete_storage(Id dataset, const std::string& where);

/// The filters of the array that are not installed, as "lzf (32000)"; "" if there are none.
std::string missing_filters(Id dataset);

/// The bytes of the file that holds an object.
double file_bytes(Id object);

/// The bytes that a chunk of an array has in memory; 0 if it has no chunks.
double bytes_of_chunk(Id dataset);

/// True if the filters of an array are deflate, shuffle and fletcher32 at most, whose code survives damaged data.
bool has_common_filters(Id dataset);

}  // namespace pushforward::h5::detail
