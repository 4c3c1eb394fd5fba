#pragma once

// Imports files as they are found in the wild: reads them, chooses columns, cleans, dequantizes, rescales, and
// divides the rows into splits.

#include <pushforward/core/index.hpp>
#include <pushforward/dataset/dataset_writer.hpp>
#include <pushforward/dataset/split.hpp>
#include <pushforward/import/import_csv.hpp>
#include <pushforward/import/import_hdf5.hpp>
#include <pushforward/import/samples.hpp>

#include <string>
#include <vector>

namespace pushforward::data {

/// The options of an import, in the order in which its steps are done. Columns are chosen by name, number from 1,
/// range "2-5" or "*"; see table/columns.hpp. Classes are 0, 1, …, or text, which is sorted. Later steps leave the
/// columns of contexts alone, unless they are named.
struct ImportOptions {
  CsvFormat format;
  Transpose transpose = Transpose::automatic;  ///< whether the axes of arrays of HDF5 change places
  std::vector<std::string> inputs;             ///< FILE[:PATH][+LABELS[:PATH]], to be divided by `fractions`
  BySplit<std::vector<std::string>> assigned;  ///< files of the same form that make up a whole split
  std::string weight;                          ///< column with the rows' weights, or ""
  std::vector<std::string> columns;            ///< the columns to keep, in this order; empty: all
  std::vector<std::string> exclude;            ///< the columns to leave out
  std::vector<std::string> context;            ///< columns that the density is conditioned on, in this order
  std::vector<std::string> one_hot;            ///< "COLUMNS[=CLASSES]" of contexts: a column for each class
  bool drop_nonfinite = false;                 ///< drops rows with NaN, infinite or missing values, an error otherwise
  bool drop_duplicates = false;                ///< drops rows equal to an earlier row of all inputs, training first
  bool drop_constant = false;                  ///< drops columns that have one value only
  std::vector<std::string> dequantize;         ///< "COLUMNS", "COLUMNS=WIDTH" (1), or "auto": integer columns
  std::vector<std::string> shift;              ///< "COLUMNS=NUMBER" or "NUMBER": added to the columns
  std::vector<std::string> divide;             ///< as `shift`: the divisor of the columns, applied after the shift
  std::vector<std::string> periodic;           ///< columns that are angles
  bool degrees = false;                        ///< true if these angles are in degrees, not radians
  std::vector<std::string> sphere;             ///< latitude and longitude in degrees, or empty
  std::vector<Index> image;                    ///< height, width and, if not 1, channels of a row; empty: as read
  Fractions fractions{0.8, 0.1, 0.1};          ///< the shares of the splits in the rows of `inputs`
  double validation_fraction = 0.1;            ///< share of training rows for validation, if there are no others
  std::uint64_t seed = 0;                      ///< seed of division and dequantization
};

/// A dataset in memory, with a report that has a line for each step.
struct Import {
  DatasetLayout layout;
  BySplit<Samples> parts;
  std::vector<std::string> report;
};

/// Imports files into memory. Not collective. Throws IoError, DataError and OptionError that name file, place and
/// remedy.
Import import_tables(const ImportOptions& options);

}  // namespace pushforward::data
