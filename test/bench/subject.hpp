#pragma once

// Flows to measure, with weights as after some training: log-dets far from 0, weights that the spectral normalization
// shrinks. A fresh flow is the identity, and one of independent random weights nearly so.

#include <pushforward/flow/flow.hpp>

#include <vector>

namespace pushforward::bench {

/// A chain of residual blocks or affine couplings alone, lipswish, or one continuous flow, silu.
struct FlowShape {
  Index dimension = 2;
  Index blocks = 1;
  std::vector<Index> hidden{};
  std::string kind = "residual";           ///< or realnvp, continuous
  flow::IntegrationOptions integration{};  ///< of a continuous flow

  bool is_residual() const { return kind == "residual"; }
  bool is_continuous() const { return kind == "continuous"; }
  flow::FlowOptions options() const;
  /// The network of a block. Networks of couplings differ from one block to the next.
  nn::NetworkOptions network(Index block = 0) const;
};

/// The smallest shape that takes the same paths.
FlowShape tiny(const FlowShape& shape);

/// Weights W_l = Q_l diag(s) Q_{l−1}ᵀ and noise, Q_l random with orthonormal columns, Q₀ and, of residual blocks, ± Q_L
/// the identity, the sign changing from block to block, s from 1.2 down: J is near a multiple of the identity,
/// det(I + J) alternately well above and well below 1. In the last layer of couplings s is a fifth of that. The
/// parameters are the same in either precision, up to its rounding.
template <class T>
void set_trained_weights(const nn::ParameterLayout& layout, std::span<T> parameters);

/// The flow of these weights, prepared by power iteration until that no longer moves.
template <class T>
flow::Flow<T> trained_flow(const FlowShape& shape);
/// The same with parameters as given, of any precision.
template <class T, class U>
flow::Flow<T> flow_with(const FlowShape& shape, std::span<const U> parameters);
/// Power iteration until it no longer moves, as gradients want it that are compared.
template <class T>
void settle(flow::Flow<T>& flow);

/// Columns first, first + 1, … of standard normal numbers; each is the same whoever asks. (d × n)
template <class T>
Matrix<T> normal_columns(Index d, Index n, Index first = 0);

/// The same in double.
template <class T>
Matrix<double> widened(ConstMatrixView<T> x) {
  Matrix<double> wide(x.rows(), x.cols());
  for (Index j = 0; j < x.cols(); ++j) std::copy_n(x.column(j), x.rows(), wide.view().column(j));
  return wide;
}

extern template void set_trained_weights(const nn::ParameterLayout&, std::span<float>);
extern template void set_trained_weights(const nn::ParameterLayout&, std::span<double>);
extern template flow::Flow<float> trained_flow(const FlowShape&);
extern template flow::Flow<double> trained_flow(const FlowShape&);
extern template flow::Flow<double> flow_with(const FlowShape&, std::span<const float>);
extern template flow::Flow<double> flow_with(const FlowShape&, std::span<const double>);
extern template flow::Flow<float> flow_with(const FlowShape&, std::span<const float>);
extern template void settle(flow::Flow<float>&);
extern template void settle(flow::Flow<double>&);
extern template Matrix<float> normal_columns(Index, Index, Index);
extern template Matrix<double> normal_columns(Index, Index, Index);

}  // namespace pushforward::bench
