#pragma once

// The mean loss of many rows, with its standard error. All ranks work; the result has the same bits on any number of
// ranks.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/flow.hpp>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace pushforward::flow {

/// Mean loss of some rows. If the loss is the negative log-likelihood, a row outside of the support has p = 0 and a
/// loss of +∞. Such rows are counted, and the mean is taken over the remaining rows.
struct Evaluation {
  double mean = 0;  ///< over the rows that are ok; +∞ if all rows are outside the support, NaN if no row is ok and some
                    ///< could not be evaluated
  double standard_error = 0;  ///< of the mean
  Index rows = 0;
  Index failed = 0;   ///< rows whose status is not ok
  Index outside = 0;  ///< failed rows that are outside the support
};

/// Whether evaluation a speaks for a better model than evaluation b of the same rows: fewer rows fail, or as many fail
/// and the mean is lower. A row that both models exclude does not keep the better one from being chosen.
bool better(const Evaluation& a, const Evaluation& b);

/// Says which rows do not count in the mean: "3 of 40 rows outside the support", or "" if all rows count.
std::string failures(const Evaluation& evaluation);

/// Sums over rows from which an Evaluation follows. Plain numbers, to be added up over ranks.
struct LossSums {
  /// weight · {1, l}, weight² · {1, l, l²}, rows, failed rows, rows outside the support, with l = loss.
  std::array<double, 8> values{};

  /// Adds a row. If its status is not ok, the row counts as failed, and its loss is ignored.
  void add(double loss, Status status, double weight);
  Evaluation result() const;
};

/// Rows of a block whose sums are added up before they go into the total.
inline constexpr Index evaluation_block = 256;

/// Evaluates n rows, block after block. add(first, count, sums) adds the rows [first, first + count) to the sums. Each
/// rank works its share of the blocks, and the sums of the blocks are added in the same order on any number of ranks.
/// Collective.
template <class Add>
Evaluation evaluate_blocks(const comm::Communicator& comm, Index n, Index block, Add&& add) {
  const Index blocks = (n + block - 1) / block;
  const auto mine = comm::share(blocks, comm.rank(), comm.size());
  constexpr std::size_t width = LossSums().values.size();
  std::vector<double> table(static_cast<std::size_t>(blocks) * width);
  for (Index b = mine.first; b < mine.last; ++b) {
    LossSums sums;
    add(b * block, std::min(block, n - b * block), sums);
    std::copy(sums.values.begin(), sums.values.end(), table.begin() + b * static_cast<Index>(width));
  }
  // Each block belongs to one rank and is zero on the others, so its sum over the ranks is exact.
  comm.sum(std::span(table));
  LossSums total;
  for (std::size_t i = 0; i < table.size(); ++i) total.values[i % width] += table[i];
  return total.result();
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
