#pragma once

// The mean loss of many rows, with its standard error. All ranks work; the result has the same bits on any number of
// ranks.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/flow.hpp>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <vector>

namespace pushforward::flow {

/// Mean loss of some rows. If the loss is the negative log-likelihood, a row outside of the support has p = 0 and a
/// loss of +∞. Such rows are counted, and the mean is taken over the remaining rows.
struct Evaluation {
  double mean = 0;  ///< over the rows that are ok; +∞ if all rows are outside the support, NaN if no row is ok and some
                    ///< could not be evaluated
  double standard_error = 0;  ///< of the mean; NaN if a single row counts
  Index rows = 0;
  Index failed = 0;   ///< rows whose status is not ok
  Index outside = 0;  ///< failed rows that are outside the support
  Index folded = 0;   ///< failed rows at which a determinant is ≤ 0
};

/// Whether evaluation a speaks for a better model than evaluation b of the same rows: fewer rows fail, or as many fail
/// and the mean is lower. A row that both models exclude does not keep the better one from being chosen.
bool better(const Evaluation& a, const Evaluation& b);

/// Says which rows do not count in the mean: "3 of 40 rows outside the support", or "" if all rows count.
std::string failures(const Evaluation& evaluation);

/// Sums over rows from which an Evaluation follows. They are taken about the mean m of the losses l, and merged by the
/// update of Chan, Golub & LeVeque [1983], so that a large mean does not drown a small spread.
struct LossSums {
  /// Σw, m, Σw², Σw²(l − m), Σw²(l − m)², rows that count in the mean, all rows, failed rows, rows outside the support,
  /// rows with a determinant ≤ 0.
  std::array<double, 10> values{};

  /// Adds a row. If its status is not ok, the row counts as failed, and its loss is ignored.
  void add(double loss, Status status, double weight);
  /// Adds the rows of other sums.
  void merge(const LossSums& other);
  /// The standard error is √(n/(n − 1) · Σw²(l − m)²)/Σw, where n rows count in the mean; NaN for a single row.
  Evaluation result() const;
};

/// Rows of a block whose sums are added up before they go into the total.
inline constexpr Index evaluation_block = 256;

/// Merges the sums of all places of a table, in order. Each place was filled on one rank, and is empty on the others.
/// Collective.
LossSums merged(const comm::Communicator& comm, std::span<LossSums> table);

/// Evaluates n rows, block after block. add(first, count, sums) adds the rows [first, first + count) to the sums. Each
/// rank works its share of the blocks, and the sums of the blocks are added in the same order on any number of ranks.
/// Collective.
template <class Add>
Evaluation evaluate_blocks(const comm::Communicator& comm, Index n, Index block, Add&& add) {
  const Index blocks = (n + block - 1) / block;
  const auto mine = comm::share(blocks, comm.rank(), comm.size());
  std::vector<LossSums> table(static_cast<std::size_t>(blocks));
  for (Index b = mine.first; b < mine.last; ++b) add(b * block, std::min(block, n - b * block), table[b]);
  return merged(comm, table).result();
}

/// Mean negative log-likelihood of weighted rows (d × N), which every rank has whole, nats. A stochastic log-det draws
/// the same numbers in every call. `block`: rows of a block, at least 1. Collective.
template <class T>
Evaluation evaluate(const comm::Communicator& comm, const Flow<T>& flow, const Batch<T>& rows,
                    FlowWorkspace<T>& workspace, Index block = evaluation_block);

extern template Evaluation evaluate(const comm::Communicator&, const Flow<float>&, const Batch<float>&,
                                    FlowWorkspace<float>&, Index);
extern template Evaluation evaluate(const comm::Communicator&, const Flow<double>&, const Batch<double>&,
                                    FlowWorkspace<double>&, Index);

}  // namespace pushforward::flow
