#pragma once

// Results as a table: CSV or NPY instead of an HDF5 file, chosen by the ending of the output's name.

#include <pushforward/comm/communicator.hpp>

#include <string>
#include <vector>

namespace pushforward::apps {

/// Columns of a table: an array (N) or (N, d) of a result file, with the names of its d columns.
struct TableColumns {
  std::string array;
  std::vector<std::string> names;
};

/// The output of a program that writes HDF5, or a table if the name ends with .csv or .npy. A table is made from an
/// HDF5 file, which has a temporary name in the same folder and is removed.
class TableOutput {
 public:
  TableOutput(const comm::Communicator& comm, const std::string& path);
  TableOutput(const TableOutput&) = delete;
  TableOutput& operator=(const TableOutput&) = delete;
  ~TableOutput();

  bool is_table() const { return is_csv_ || is_npy_; }
  /// The name of the HDF5 file that the program writes.
  const std::string& result_file() const { return result_file_; }

  /// Makes the table from the complete result file; does nothing if the output is HDF5. CSV gets all `columns`, a line
  /// of names and a line for each row. NPY gets the array `main` in its shape, in double precision. Collective. Throws
  /// IoError.
  void write(const std::vector<TableColumns>& columns, const std::string& main) const;
  /// Makes a table of a grid: CSV with x, y and log_prob in each line, NPY with log_prob in its shape. Collective.
  void write_grid() const;

 private:
  comm::Communicator comm_;
  std::string path_;
  bool is_csv_, is_npy_;
  std::string result_file_;
};

}  // namespace pushforward::apps
