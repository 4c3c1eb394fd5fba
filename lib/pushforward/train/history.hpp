#pragma once

// The course of a run: a CSV file that grows while it runs, and the same table in the model file at the end.

#include <pushforward/h5/writer.hpp>
#include <pushforward/train/evaluation.hpp>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pushforward::train {

/// A row of the history.
struct HistoryRow {
  Index step = 0;                        ///< steps done
  double seconds = 0;                    ///< since the start of the run
  double train_nll = 0;                  ///< nats, data units; mean over the steps since the last row
  std::optional<Evaluation> validation;  ///< data units, where this step validated; of it the NLL is in the file
  double learning_rate = 0;
  double gradient_norm = 0;  ///< before clipping
};

class History {
 public:
  /// A table in memory only.
  History() = default;
  /// Begins the file; one that is there keeps its content under the name `path`.old. Throws IoError.
  explicit History(const std::string& path);

  /// Adds a row, flushed. Throws IoError.
  void add(const HistoryRow& row);
  const std::vector<HistoryRow>& rows() const { return rows_; }
  /// The table as group /history, one dataset (rows) for each column; NaN where nothing was validated.
  void write(const h5::GroupWriter& root) const;

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
  std::vector<HistoryRow> rows_;
};

}  // namespace pushforward::train
