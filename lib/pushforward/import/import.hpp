#pragma once

// From files as they are found in the wild to a dataset file: read, choose, clean, dequantize, rescale, divide.

#include <pushforward/core/index.hpp>
#include <pushforward/dataset/dataset_writer.hpp>
#include <pushforward/dataset/split.hpp>
#include <pushforward/import/import_csv.hpp>
#include <pushforward/import/samples.hpp>

#include <string>
#include <vector>

namespace pushforward::data {

/// What to import, in the order in which it is done. Columns are chosen by name, number from 1, range "2-5" or "*".
/// Once they are chosen, those of contexts are left alone, unless they are named.
struct ImportOptions {
  CsvFormat format;
  std::vector<std::string> inputs;             ///< FILE[:PATH][+LABELS[:PATH]], to be divided by `fractions`
  BySplit<std::vector<std::string>> assigned;  ///< likewise, that make up a split as they are
  std::string weight;                          ///< column with the rows' weights, or ""
  std::vector<std::string> columns;            ///< those to keep, in this order; empty: all
  std::vector<std::string> exclude;            ///< of those, the ones to leave out
  std::vector<std::string> context;            ///< columns that the density is conditioned on, in this order
  std::vector<std::string> one_hot;     ///< of those, "COLUMNS[=CLASSES]" with classes 0, 1, …: a column for each
  bool drop_nonfinite = false;          ///< rows with NaN, infinite or missing values; else they are an error
  bool drop_duplicates = false;         ///< rows equal to an earlier one, over all inputs, training first
  bool drop_constant = false;           ///< columns with one value only
  std::vector<std::string> dequantize;  ///< "COLUMNS", "COLUMNS=WIDTH" (1), or "auto": integer columns
  std::vector<std::string> shift;       ///< "COLUMNS=NUMBER" or "NUMBER": added to the columns
  std::vector<std::string> divide;      ///< likewise; the columns are divided by it after the shift
  std::vector<std::string> periodic;    ///< columns that are angles
  bool degrees = false;                 ///< in which these are, instead of radians
  std::vector<Index> image;             ///< height, width and, if not 1, channels of a row; empty: as read
  Fractions fractions{0.8, 0.1, 0.1};   ///< of `inputs`
  double validation_fraction = 0.1;     ///< of training rows, where no others are for validation
  std::uint64_t seed = 0;               ///< of division and dequantization
};

/// A dataset in memory, and what was done to make it, a line for each step.
struct Import {
  DatasetLayout layout;
  BySplit<Samples> parts;
  std::vector<std::string> report;
};

/// Not collective; everything is in memory. Throws IoError, DataError and OptionError, naming file, place and remedy.
Import import_tables(const ImportOptions& options);

}  // namespace pushforward::data
