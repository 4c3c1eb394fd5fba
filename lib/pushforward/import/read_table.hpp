#pragma once

#include <pushforward/dataset/location.hpp>
#include <pushforward/import/import_csv.hpp>
#include <pushforward/import/import_hdf5.hpp>
#include <pushforward/table/table.hpp>

#include <string>

namespace pushforward::data {

/// Reads the numbers of a file of any kind that can be imported. The content of the file tells its kind, except for
/// CIFAR:
///   HDF5             FILE:/PATH; the path may be left out if there is one array (import_hdf5.hpp)
///   .npz             FILE:NAME; the name may be left out if there is one array
///   zip of texts     FILE:MEMBER; the name may be left out if there is one text
///   .npy, IDX        FILE
///   separated text   FILE
///   CIFAR            FILE.bin
/// All of them may be compressed with gzip, xz, bzip2 or zstd, and all may come from a pipe, which is read to its end.
/// If the location is A+B, then B is a table of one column with as many rows as A. This column is put before the
/// columns of A. Its name is that in the file, or `label`. Throws IoError if a file cannot be read. Throws DataError if
/// a file holds no table of numbers, if it is of another kind, which is named, if it holds several tables and none is
/// chosen, and if the labels do not fit. `transpose` is for arrays of HDF5.
Table read_table(const std::string& location, const CsvFormat& format = {}, Transpose transpose = Transpose::automatic);

/// As read_table() for the bytes of a file. `location` names the file in messages, and chooses an array in it.
Table parse_table(const std::string& bytes, const Location& location, const CsvFormat& format = {},
                  Transpose transpose = Transpose::automatic);

}  // namespace pushforward::data
