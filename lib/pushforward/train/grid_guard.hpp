#pragma once

// Makes grids finer where training shows that they are too coarse.
//
// A flow with transforms that integrate an equation is trained on grids with a fixed number of steps, and maximum
// likelihood may find what a coarse grid gets wrong. Two things give it away. If the model is the map of the grid, a
// determinant becomes ≤ 0. If the model is the limit of small steps, the log-density along the grid goes away from it.
// In both cases the steps of all grids are doubled, up to max_steps of each.

#include <pushforward/core/state_set.hpp>
#include <pushforward/flow/flow.hpp>

namespace pushforward::train {

template <class T>
class GridGuard {
 public:
  /// Steps of training from one check to the next.
  static constexpr Index interval = 50;
  /// Rows of a check.
  static constexpr Index rows = 64;
  /// Nats. The largest mean difference of log p between the grid and the limit.
  static constexpr double largest_difference = 0.01;

  explicit GridGuard(flow::Flow<T>& flow);

  /// The steps of all grids, which a checkpoint holds.
  void add_state(StateSet& state);
  /// Gives the flow the grids of the state. Returns whether it had others; workspaces must be planned anew then.
  bool apply();
  /// Doubles the steps of each grid that has not the most, and gives them to the flow. Returns false if there is none.
  /// why: for take_changes().
  bool refine(std::string_view why);
  /// Says, the first time, that there is a reason for refine(), but no grid may have more steps.
  void warn(std::string_view why);
  /// Whether check() has anything to do.
  bool has_limit() const;
  /// Returns the mean of |log p on the grid − log p in the limit| over the rows of which both are known, or 0 without
  /// any. Divergences along the grid are exact and without penalties, whatever training has. batch: at most `rows`
  /// rows. limit: a workspace of evaluation. bytes: for the passes along the grid. Allocates.
  double difference(const flow::Batch<T>& batch, flow::FlowWorkspace<T>& limit, Index bytes) const;
  /// Says what refine() and warn() have to say since the last call; "" if nothing.
  std::string take_changes() { return std::exchange(changes_, {}); }

 private:
  /// Plans passes of training with exact divergences and without penalties.
  flow::FlowWorkspace<T> exact_workspace(Index n, Index bytes) const;

  flow::Flow<T>& flow_;
  std::vector<Index> steps_;  // of each grid
  std::string changes_;
  bool has_warned_ = false;
};

extern template class GridGuard<float>;
extern template class GridGuard<double>;

}  // namespace pushforward::train
