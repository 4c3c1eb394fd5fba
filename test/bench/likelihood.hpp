#pragma once

// The batch of a training step or of a gradient alone: its inputs, its log-likelihood and gradient, and their check by
// an independent route.

#include "flow_case.hpp"

#include <pushforward/train/options.hpp>

namespace pushforward::bench {

/// Inputs of a case of Work::train or gradient, the same for whoever asks.
template <class T>
struct GradientInputs {
  explicit GradientInputs(const FlowCase& c);

  logdet::Method method;
  train::Options options;      ///< of a training step
  flow::Flow<T> flow;          ///< estimates log-dets by the method. Work::gradient: its weights are effective ones
  bool normalizes;             ///< whether a step normalizes the weights
  Matrix<T> data;              ///< rows that steps draw from
  Matrix<T> x;                 ///< the batch of the first step
  std::vector<Index> samples;  ///< the numbers of its rows
  Index draw_step = 0;         ///< a step whose roulette lengths have their expected mean over the blocks
  double terms = 0;            ///< this mean; 0 without a roulette

  logdet::Draws draws() const { return {.seed = 1, .step = static_cast<std::uint64_t>(draw_step), .samples = samples}; }
};

/// Options of a training step with this case's batch.
train::Options step_options(const FlowCase& c);

/// A direction for parameters that has as much of the gradient as of chance.
std::vector<double> direction(std::span<const double> gradient);
/// The derivative along a direction of a function of the flow, by differences of fourth order. Leaves the flow nearby.
double derivative(const std::function<double(const flow::Flow<double>&)>& f, flow::Flow<double>& flow, bool normalizes,
                  std::span<const double> along);

/// log p of a batch and the gradient of its sum with respect to parameters.
template <class T>
struct Likelihood {
  std::vector<double> log_prob;
  std::vector<T> gradient;
};
/// The likelihood of the case's batch, with its draws, or of the batch's first columns. most: samples that are worked
/// at a time.
template <class T, class U>
Likelihood<T> likelihood(const GradientInputs<U>& inputs, const flow::Flow<T>& flow, ConstMatrixView<T> x,
                         const logdet::Draws& draws, Index most);

template <class T>
Likelihood<T> likelihood(const GradientInputs<T>& inputs) {
  return likelihood(inputs, inputs.flow, std::as_const(inputs.x).view(), inputs.draws(), inputs.x.cols());
}

/// Holds log p and gradient of the case's batch against plain loops in double on a few samples (the gradient along a
/// direction, by differences), and on all of them against double precision, in double against other chunks. Throws
/// NumericalError. Not collective.
template <class T>
void check_likelihood(const GradientInputs<T>& inputs, const FlowCase& c, const Likelihood<T>& result, Checks& checks);

/// Relative RMS distance of the method's gradient from the exact one over `count` draws. Not collective.
template <class T>
double gradient_error(const GradientInputs<T>& inputs, const FlowCase& c, Index count);

extern template struct GradientInputs<float>;
extern template struct GradientInputs<double>;
extern template Likelihood<float> likelihood(const GradientInputs<float>&, const flow::Flow<float>&,
                                             ConstMatrixView<float>, const logdet::Draws&, Index);
extern template Likelihood<double> likelihood(const GradientInputs<double>&, const flow::Flow<double>&,
                                              ConstMatrixView<double>, const logdet::Draws&, Index);
extern template Likelihood<double> likelihood(const GradientInputs<float>&, const flow::Flow<double>&,
                                              ConstMatrixView<double>, const logdet::Draws&, Index);
extern template void check_likelihood(const GradientInputs<float>&, const FlowCase&, const Likelihood<float>&, Checks&);
extern template void check_likelihood(const GradientInputs<double>&, const FlowCase&, const Likelihood<double>&,
                                      Checks&);
extern template double gradient_error(const GradientInputs<float>&, const FlowCase&, Index);
extern template double gradient_error(const GradientInputs<double>&, const FlowCase&, Index);

}  // namespace pushforward::bench
