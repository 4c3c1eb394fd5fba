#pragma once

// Functions that all programs with a trained model share.

#include <cli/program.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/model/model.hpp>

namespace pushforward::apps {

/// Reads a model on every rank, and says so if nothing tells whether the file is undamaged, or if its log p means
/// nothing. Throws the same error on
/// all ranks. Collective.
template <class T>
flow::Model<T> open_model(Program& program, const std::string& path) {
  std::optional<flow::Model<T>> model;
  comm::agree(program.comm(), [&] { model.emplace(flow::load_model<T>(path)); });
  if (model->notes().digest.empty()) {
    program.console().message("{} is of format 1, which has no digest: damage would not be noticed", path);
  }
  if (model->notes().maps_source) {
    program.console().message(
        "warning: {} maps points of a source to rows: log p means nothing, because the base density is another one",
        path);
  }
  return std::move(*model);
}

/// Throws DataError if the file at `where` has the model's columns in another order. what: "columns" or "contexts".
void require_order(const std::string& where, std::string_view what, const std::vector<std::string>& names,
                   const std::vector<std::string>& wanted);

/// Throws DataError if the columns of rows are not those of the model: another number, or another order of the names.
template <class T>
void require_columns(const data::Rows& rows, const flow::Model<T>& model) {
  require<DataError>(rows.dimension() == model.dimension(), "{} has {} columns; the model has {}", rows.where(),
                     rows.dimension(), model.dimension());
  require_order(rows.where(), "columns", rows.names().features, model.notes().feature_names);
}

/// Number of rows that a rank evaluates and writes at a time.
inline constexpr Index slab_rows = 16384;
/// Largest number of samples in a pass of a flow. More samples do not run faster.
inline constexpr Index workspace_samples = 256;

/// Calls f(first, count) on each rank for slabs of its share of `rows`, the same number of times on all ranks. count
/// may be 0. Collective if f is.
template <class F>
void in_shared_slabs(const comm::Communicator& comm, Index rows, F&& f) {
  const auto mine = comm::share(rows, comm.rank(), comm.size());
  const Index most = comm::share(rows, 0, comm.size()).count();
  for (Index done = 0; done < most; done += slab_rows) {
    const Index first = std::min(mine.first + done, mine.last);
    f(first, std::min(slab_rows, mine.last - first));
  }
}

/// Counts how many rows have each status.
class StatusCount {
 public:
  void add(flow::Status status) { counts_[static_cast<Index>(status)] += 1; }
  /// "3 not finite, 1 not converged" over all ranks, or "" if all are ok. Collective.
  std::string failures(const comm::Communicator& comm) const;

 private:
  std::array<double, 5> counts_{};
};

}  // namespace pushforward::apps
