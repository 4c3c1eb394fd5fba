#pragma once

// A step of flow matching: its inputs, and the check of its loss and gradient by an independent route.

#include "flow_case.hpp"

#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/options.hpp>

namespace pushforward::bench {

/// Inputs of a case of Work::match, the same for whoever asks: linear paths, independent coupling, stratified times.
template <class T>
class MatchingInputs {
 public:
  /// Collective, as is release().
  MatchingInputs(const comm::Communicator& comm, const FlowCase& c);
  /// The same inputs as those in another precision, up to the rounding of points of paths.
  template <class U>
  MatchingInputs(const comm::Communicator& comm, const FlowCase& c, const MatchingInputs<U>& others);
  void release() { data_.release(); }

  const FlowCase& flow_case() const { return case_; }
  const train::Options& options() const { return options_; }
  const flow::Flow<T>& flow() const { return flow_; }
  train::FlowMatching<T>& objective() { return objective_; }
  /// All rows (d × N), and those of the batch of the first step (d × n).
  ConstMatrixView<T> rows() const { return data_.batch(data::Split::train).x; }
  const Matrix<T>& x() const { return x_; }

  /// Latents (d × n) and times (n) of the first step, from the random numbers of the library.
  const Matrix<double>& latents() const { return latents_; }
  const std::vector<double>& times() const { return times_; }

 private:
  MatchingInputs(const comm::Communicator& comm, const FlowCase& c, const Matrix<double>& rows, flow::Flow<T> flow);

  FlowCase case_;
  train::Options options_;
  train::TrainingData<T> data_;
  flow::Flow<T> flow_;
  train::FlowMatching<T> objective_;
  Matrix<T> x_;
  Matrix<double> latents_;
  std::vector<double> times_;
};

/// The losses of the rows of the first step, and the gradient of their sum.
template <class T>
struct MatchingLoss {
  std::vector<double> loss;
  std::vector<T> gradient;
};
/// As the objective has them, row by row. Not collective.
template <class T>
MatchingLoss<T> matching_loss(MatchingInputs<T>& inputs);

/// Holds losses and gradient against plain loops in double (the gradient along a direction, by differences) and, in
/// float, the gradient against double. Throws NumericalError. Not collective.
template <class T>
void check_matching(MatchingInputs<T>& inputs, const MatchingLoss<T>& result, Checks& checks);

extern template class MatchingInputs<float>;
extern template class MatchingInputs<double>;
extern template MatchingLoss<float> matching_loss(MatchingInputs<float>&);
extern template MatchingLoss<double> matching_loss(MatchingInputs<double>&);
extern template void check_matching(MatchingInputs<float>&, const MatchingLoss<float>&, Checks&);
extern template void check_matching(MatchingInputs<double>&, const MatchingLoss<double>&, Checks&);

}  // namespace pushforward::bench
