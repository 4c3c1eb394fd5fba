#pragma once

#include <pushforward/import/import_csv.hpp>
#include <pushforward/table/table.hpp>

#include <string>

namespace pushforward::data {

/// Reads the numbers of a file of any kind that can be imported. The content of the file tells its kind, except for
/// CIFAR:
///   HDF5             FILE:/PATH; the path may be left out if there is one array
///   .npz             FILE:NAME; the name may be left out if there is one array
///   .npy, IDX        FILE
///   separated text   FILE
///   CIFAR            FILE.bin
/// All of them except HDF5 may be compressed with gzip. If the location is A+B, then B is a table of one column with
/// as many rows as A. This column is put before the columns of A. Its name is that in the file, or `label`. Throws
/// IoError if a file cannot be read. Throws DataError if a file holds no table of numbers, if it holds several and
/// none is named, and if the labels do not fit.
Table read_table(const std::string& location, const CsvFormat& format = {});

}  // namespace pushforward::data
