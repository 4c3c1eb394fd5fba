#pragma once

#include <pushforward/import/import_csv.hpp>
#include <pushforward/table/table.hpp>

#include <string>

namespace pushforward::data {

/// The numbers of a file of any kind that can be imported, told by its content: HDF5 (FILE:/PATH; the path may be left
/// out where there is one array), .npz (FILE:NAME, likewise), .npy, IDX, and separated text; told by its name: batches
/// of CIFAR (.bin). All but HDF5 may be compressed by gzip. Of A+B, the one column of B, which has as many rows, comes
/// before those of A, under its own name where the file gives one, else as `label`. Throws IoError where a file cannot
/// be read and DataError where it holds no table of numbers, or several and none was named, and for labels that do not
/// fit.
Table read_table(const std::string& location, const CsvFormat& format = {});

}  // namespace pushforward::data
