#pragma once

// Checkpoints: everything that a run needs to go on as if it had never ended, in one file. The ranks have the same
// state, so rank 0 writes it, and a run may go on with another number of ranks.
//
// A checkpoint is written under a temporary name, flushed, read back and compared, and only then renamed. The one
// before it is kept under a name of its own. So there is a good checkpoint at any time after the first one, whatever
// ends the program. The format is described in data/README.md.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/core/state_set.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/train/history.hpp>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pushforward::train {

/// Facts about a run that a checkpoint states by name: its configuration, the digest of its data, its log-det methods.
using RunFacts = std::vector<std::pair<std::string, std::string>>;

/// The name of the checkpoint before the one at `path`: run.checkpoint.h5 → run.checkpoint.previous.h5.
std::string previous_checkpoint(const std::string& path);

/// A checkpoint that was found.
class StoredRun {
 public:
  /// Looks for a checkpoint at `path`, and for the previous one if it is missing or damaged. Returns nothing if there
  /// is neither. `warn` is called on rank 0 for a damaged file. Throws IoError if there are files and none can be used.
  /// Collective.
  static std::optional<StoredRun> find(const comm::Communicator& comm, const std::string& path, const Warn& warn);

  /// The file that was read.
  const std::string& path() const { return path_; }
  /// A fact, on all ranks; "" if the checkpoint does not state it.
  std::string fact(const std::string& name) const;
  /// A counter of the state, as "step". On rank 0 only. Throws DataError if the checkpoint has none of that name.
  Index counter(const std::string& name) const;
  /// Writes the stored values to their places, on all ranks, and returns the rows of the history, on rank 0. Throws
  /// DataError, the same on all ranks, if the checkpoint has not exactly these values. Collective.
  std::vector<HistoryRow> restore(const comm::Communicator& comm, const StateSet& state, const LossNames& loss) const;

 private:
  std::string path_;
  RunFacts facts_;
  std::optional<h5::Group> root_;  // on rank 0
};

/// How often a run writes checkpoints, in addition to the one at its end.
struct CheckpointInterval {
  Index steps = 0;     ///< 0: not by steps
  double seconds = 0;  ///< 0: not by time
};

/// Writes the checkpoints of a run.
class CheckpointWriter {
 public:
  /// Writes nothing yet. facts: on rank 0. comm must outlive the object. Not collective.
  CheckpointWriter(const comm::Communicator& comm, std::string path, const CheckpointInterval& interval,
                   RunFacts facts);

  /// Whether a step is the last one of an interval; the same on all ranks.
  bool is_due(Index step) const { return interval_.steps > 0 && step % interval_.steps == 0; }
  /// Whether this rank's clock asks for a checkpoint. Only that of rank 0 does.
  bool is_overdue() const;
  /// Writes a checkpoint. history: on rank 0. Returns why it could not be written, on rank 0, or "". Throws
  /// NumericalError, the same on all ranks, if the state of a rank differs from that of rank 0. Collective.
  std::string write(const StateSet& state, const History& history);

  const std::string& path() const { return path_; }

 private:
  void require_equal_replicas(const StateSet& state) const;

  const comm::Communicator& comm_;
  std::string path_;
  CheckpointInterval interval_;
  RunFacts facts_;
  Timer since_;  // the last attempt
};

}  // namespace pushforward::train
