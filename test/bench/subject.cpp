#include "subject.hpp"

#include <pushforward/linalg/blas.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

constexpr double lipschitz = 0.9;
constexpr double largest = 1.2, second = 1.0, least = 0.7;  // singular values
constexpr double of_maps = 0.2;  // the same of a coupling's last layer, that ten of them keep latents of order 1
constexpr double noise = 0.1;
constexpr int settling = 100;

// (rows × cols) with orthonormal columns as far as there is room, by Gram and Schmidt, twice.
Matrix<double> orthonormal(Index rows, Index cols, random::Stream& stream) {
  Matrix<double> q(rows, cols);
  for (Index j = 0; j < std::min(rows, cols); ++j) {
    const auto column = q.view().column_span(j);
    for (double& value : column) value = stream.normal();
    for (int pass = 0; pass < 2; ++pass) {
      for (Index k = 0; k < j; ++k) {
        const std::span<const double> before = q.view().column_span(k);
        const double along = linalg::dot(before, column);
        for (std::size_t i = 0; i < column.size(); ++i) column[i] -= along * before[i];
      }
    }
    const double norm = linalg::norm2(std::span<const double>(column));
    for (double& value : column) value /= norm;
  }
  return q;
}

double singular_value(Index j, Index d) {
  if (j == 0) return largest;
  return second - (second - least) * static_cast<double>(j) / static_cast<double>(d);
}

std::string network_of(const std::string& name) {
  return name.substr(0, name.find("/layer_"));
}

bool ends_in(const nn::ParameterBlock& block, std::string_view what) {
  return block.name.ends_with(what);
}

// Whether a weight is the last of its network.
bool is_last(const nn::ParameterLayout& layout, const nn::ParameterBlock& weight) {
  const auto& blocks = layout.blocks();
  return std::none_of(blocks.begin(), blocks.end(), [&](const nn::ParameterBlock& other) {
    return other.offset > weight.offset && ends_in(other, "/weight") &&
           network_of(other.name) == network_of(weight.name);
  });
}

}  // namespace

flow::FlowOptions FlowShape::options() const {
  return {.kind = kind,
          .blocks = blocks,
          .hidden = hidden,
          .lipschitz = lipschitz,
          .integration = integration,
          .actnorm = false};
}

nn::NetworkOptions FlowShape::network(Index block) const {
  if (is_residual()) return {.in = dimension, .out = dimension, .hidden = hidden, .lipschitz = lipschitz};
  constexpr double infinity = std::numeric_limits<double>::infinity();
  if (is_continuous()) {
    return {.in = dimension, .out = dimension, .hidden = hidden, .activation = "silu", .lipschitz = infinity};
  }
  const Index even = (dimension + 1) / 2, odd = dimension - even;
  const auto [in, mapped] = block % 2 == 0 ? std::pair(even, odd) : std::pair(odd, even);
  return {.in = in, .out = 2 * mapped, .hidden = hidden, .lipschitz = infinity};
}

FlowShape tiny(const FlowShape& shape) {
  FlowShape small = shape;
  if (small.dimension > 64) small.dimension /= 16;
  small.blocks = std::min<Index>(shape.blocks, 3);
  for (Index& w : small.hidden) w = std::min(w, w > shape.dimension ? small.dimension + 6 : small.dimension);
  return small;
}

template <class T>
void set_trained_weights(const nn::ParameterLayout& layout, std::span<T> parameters) {
  random::Stream stream(1, random::Purpose::check);
  Matrix<double> before;  // Q_{l−1}
  std::string network;
  double sign = -1;
  bool last = false;
  for (const auto& block : layout.blocks()) {
    const auto values = parameters.subspan(block.offset, block.size());
    if (!ends_in(block, "/weight")) {
      // Biases of hidden layers, where slopes are large; of the last one, and log β.
      const bool hidden_bias = ends_in(block, "/bias") && !last;
      for (T& value : values) value = static_cast<T>(hidden_bias ? 1 + 0.3 * stream.normal() : 0.1 * stream.normal());
      continue;
    }
    if (network_of(block.name) != network) {
      network = network_of(block.name);
      sign = -sign;
      before = Matrix<double>(block.cols, block.cols);
      for (Index i = 0; i < block.cols; ++i) before(i, i) = 1;
    }
    const Index d = before.cols();
    Matrix<double> after(block.rows, d);
    last = is_last(layout, block);
    const bool makes_parameters = last && block.rows != d;  // of maps
    if (last && !makes_parameters) {
      for (Index i = 0; i < d; ++i) after(i, i) = sign;
    } else {
      after = orthonormal(block.rows, d, stream);
    }
    Matrix<double> scaled(after), weight(block.rows, block.cols);
    for (Index j = 0; j < d; ++j) {
      for (Index i = 0; i < scaled.rows(); ++i) scaled(i, j) *= singular_value(j, d) * (makes_parameters ? of_maps : 1);
    }
    linalg::gemm(linalg::Op::none, linalg::Op::transpose, 1, scaled, before, 0, weight);
    const double spread = noise / std::sqrt(static_cast<double>(block.cols));
    std::transform(weight.span().begin(), weight.span().end(), values.begin(),
                   [&](double value) { return static_cast<T>(value + spread * stream.normal()); });
    before = std::move(after);
  }
}

template <class T>
void settle(flow::Flow<T>& flow) {
  for (int i = 0; i < settling; ++i) flow.prepare(nn::Normalization::power_iteration);
}

template <class T, class U>
flow::Flow<T> flow_with(const FlowShape& shape, std::span<const U> parameters) {
  flow::Flow<T> flow(shape.dimension, shape.options(), 1);
  std::transform(parameters.begin(), parameters.end(), flow.parameters().begin(),
                 [](U value) { return static_cast<T>(value); });
  settle(flow);
  return flow;
}

template <class T>
flow::Flow<T> trained_flow(const FlowShape& shape) {
  flow::Flow<T> flow(shape.dimension, shape.options(), 1);
  set_trained_weights(flow.layout(), flow.parameters());
  settle(flow);
  return flow;
}

template <class T>
Matrix<T> normal_columns(Index d, Index n, Index first) {
  Matrix<T> x(d, n);
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(1, random::Purpose::base_sample, 0, static_cast<std::uint64_t>(first + j));
    for (T& value : x.view().column_span(j)) value = static_cast<T>(stream.normal());
  }
  return x;
}

template void set_trained_weights(const nn::ParameterLayout&, std::span<float>);
template void set_trained_weights(const nn::ParameterLayout&, std::span<double>);
template flow::Flow<float> trained_flow(const FlowShape&);
template flow::Flow<double> trained_flow(const FlowShape&);
template flow::Flow<double> flow_with(const FlowShape&, std::span<const float>);
template flow::Flow<double> flow_with(const FlowShape&, std::span<const double>);
template flow::Flow<float> flow_with(const FlowShape&, std::span<const float>);
template void settle(flow::Flow<float>&);
template void settle(flow::Flow<double>&);
template Matrix<float> normal_columns(Index, Index, Index);
template Matrix<double> normal_columns(Index, Index, Index);

}  // namespace pushforward::bench
