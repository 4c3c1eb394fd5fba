#pragma once

// The course of a run: a CSV file that grows while it runs, and the same table in the model file at the end.

#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pushforward::train {

/// The name of a loss, "nll", and its units, "nat".
struct LossName {
  std::string name;
  std::string units;
};

/// How a history names losses: its columns are `train_` and `validation_`, followed by these names. If validations give
/// the training loss as well, there also is the column `validation_` with the name of the training loss.
struct LossNames {
  LossName train, validation;
  bool validates_loss = false;
};

/// A row of the history. Losses are in the units that the objective reports.
struct HistoryRow {
  Index step = 0;                              ///< steps done
  double seconds = 0;                          ///< since the start of the run
  double train_loss = 0;                       ///< mean over the steps since the last row
  std::optional<flow::Evaluation> validation;  ///< if this step validated; the file has its mean
  std::optional<double> validation_loss{};     ///< the training loss on the validation rows, if validations give it
  double learning_rate = 0;
  double gradient_norm = 0;  ///< before clipping
};

class History {
 public:
  /// A table in memory only.
  explicit History(LossNames loss) : loss_(std::move(loss)) {}
  /// Also begins a file. If a file of this name exists, it is kept as `path`.old. Throws IoError.
  History(LossNames loss, const std::string& path);
  /// Goes on with a table: its file has these rows and no others, whatever it had. Throws IoError.
  History(LossNames loss, const std::string& path, std::vector<HistoryRow> rows);

  /// Adds a row, flushed. If it cannot be written, the table in memory has it, problem() says so, and the next row
  /// tries again to write all of them.
  void add(const HistoryRow& row);
  /// Forgets the rows after a step, also in the file.
  void cut(Index step);
  /// Why the file lacks rows, or "".
  const std::string& problem() const { return problem_; }
  const std::vector<HistoryRow>& rows() const { return rows_; }
  /// Writes the table as group /history, with one dataset (rows) for each column. NaN stands for no validation.
  void write(const h5::GroupWriter& root) const;
  /// The rows that write() has written. Of a validation, only the mean comes back. Throws DataError.
  static std::vector<HistoryRow> read(const h5::Group& root, const LossNames& loss);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  /// Writes the whole table to a new file. Throws IoError.
  void begin();
  /// Adds a row to the file. Throws IoError.
  void append(const HistoryRow& row);
  /// Writes a line to the file, flushed. Throws IoError.
  void put(const std::string& line);

  LossNames loss_;
  std::string path_;
  std::string problem_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<HistoryRow> rows_;
};

}  // namespace pushforward::train
