#pragma once

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/flow.hpp>

namespace pushforward::train {

/// Mean negative log-likelihood of some rows.
struct Evaluation {
  double nll = 0;             ///< nats, in the units of what was evaluated; NaN when a row failed
  double standard_error = 0;  ///< of nll
  Index rows = 0;
  Index failed = 0;  ///< rows whose status is not ok
};

/// Of samples (d × N), which every rank has whole, with weights (N) or empty: each rank works its share of blocks of
/// rows, and the blocks' sums are added in the same way on any number of ranks. Collective.
template <class T>
Evaluation evaluate(const comm::Communicator& comm, const flow::Flow<T>& flow, ConstMatrixView<T> samples,
                    std::span<const T> weights, flow::FlowWorkspace<T>& workspace);

extern template Evaluation evaluate(const comm::Communicator&, const flow::Flow<float>&, ConstMatrixView<float>,
                                    std::span<const float>, flow::FlowWorkspace<float>&);
extern template Evaluation evaluate(const comm::Communicator&, const flow::Flow<double>&, ConstMatrixView<double>,
                                    std::span<const double>, flow::FlowWorkspace<double>&);

}  // namespace pushforward::train
