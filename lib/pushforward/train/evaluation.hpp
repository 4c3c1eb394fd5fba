#pragma once

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/flow.hpp>

#include <array>

namespace pushforward::train {

/// Mean negative log-likelihood of some rows. A row outside of the support has p = 0 and an NLL of +∞: such rows are
/// counted, and the mean is that of the others.
struct Evaluation {
  double nll = 0;  ///< nats, in the units of what was evaluated, over the rows that are ok; +∞ where all are outside
                   ///< the support, NaN where no row is ok and some could not be evaluated
  double standard_error = 0;  ///< of nll
  Index rows = 0;
  Index failed = 0;   ///< rows whose status is not ok
  Index outside = 0;  ///< those of them that are outside the support
};

/// Whether a says more for a model than b of the same rows: fewer that fail, or as many and a lower NLL. So one row
/// that a model excludes does not stand in the way of a better one that excludes it too.
bool better(const Evaluation& a, const Evaluation& b);

/// Of the rows that do not count in the mean, for people: "3 of 40 rows outside the support", or "" when all count.
std::string failures(const Evaluation& evaluation);

/// Sums over rows from which an Evaluation follows. Plain numbers, to be added up over ranks.
struct NllSums {
  /// weight · {1, ℓ}, weight² · {1, ℓ, ℓ²}, rows, failed rows, rows outside the support, with ℓ = log p.
  std::array<double, 8> values{};

  /// A row whose status is not ok counts as failed and no more.
  void add(double log_prob, flow::Status status, double weight);
  Evaluation result() const;
};

/// Of samples (d × N), which every rank has whole, with weights (N) or empty and contexts (c × N) or empty: each rank
/// works its share of blocks of rows, and the blocks' sums are added in the same way on any number of ranks. A
/// stochastic log-det draws the same in every call. Collective.
template <class T>
Evaluation evaluate(const comm::Communicator& comm, const flow::Flow<T>& flow, ConstMatrixView<T> samples,
                    std::span<const T> weights, ConstMatrixView<T> context, flow::FlowWorkspace<T>& workspace);

extern template Evaluation evaluate(const comm::Communicator&, const flow::Flow<float>&, ConstMatrixView<float>,
                                    std::span<const float>, ConstMatrixView<float>, flow::FlowWorkspace<float>&);
extern template Evaluation evaluate(const comm::Communicator&, const flow::Flow<double>&, ConstMatrixView<double>,
                                    std::span<const double>, ConstMatrixView<double>, flow::FlowWorkspace<double>&);

}  // namespace pushforward::train
