#pragma once

// Arrays of HDF5 files, as other programs write them: netCDF-4, MATLAB 7.3, Octave, h5py, pandas, PyTables.

#include <pushforward/h5/reader.hpp>
#include <pushforward/table/table.hpp>

#include <string>

namespace pushforward::data {

/// Whether the two axes of an array change places. Automatic: those of an array that MATLAB or Octave saved do.
enum class Transpose { automatic, yes, no };

/// Reads the array at `path` of the file `root`; "" takes the only array, first among those of the root, then among
/// all. `file` names the file in messages.
///
/// An array (N, a, b, …) becomes N rows of a·b·… numbers, and (N) one column. Records become columns with the names of
/// their members; members without numbers are passed over, and the remark says which. The attributes of netCDF that
/// change the meaning of numbers are applied, first those about missing values, which become NaN: `_Unsigned`,
/// `_FillValue`, `missing_value`, `valid_min`, `valid_max`, `valid_range`, then `scale_factor` and `add_offset`.
/// Throws DataError if there is no such array, with the paths of those that there are.
Table read_hdf5(const h5::Group& root, const std::string& file, const std::string& path,
                Transpose transpose = Transpose::automatic);

}  // namespace pushforward::data
