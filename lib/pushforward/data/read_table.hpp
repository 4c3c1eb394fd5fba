#pragma once

#include <pushforward/data/import_csv.hpp>
#include <pushforward/data/table.hpp>

#include <string>

namespace pushforward::data {

/// The numbers of a file of any kind that can be imported, told by its content: HDF5 (FILE:/PATH; the path may be left
/// out where there is one array), .npz (FILE:NAME, likewise), .npy, and separated text. Throws IoError where the file
/// cannot be read and DataError where it holds no table of numbers, or several and none was named.
Table read_table(const std::string& location, const CsvFormat& format = {});

}  // namespace pushforward::data
