#include "plain_network.hpp"

#include <pushforward/linalg/reference.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

using linalg::Op;
using linalg::reference::gemm;

double logistic(double a) {
  return 1 / (1 + std::exp(-a));
}

// The parameters of this name as they are, in double; none if there are none.
template <class T>
std::optional<Matrix<double>> parameters_of(const flow::Flow<T>& flow, const std::string& name) {
  for (const auto& block : flow.layout().blocks()) {
    if (block.name != name) continue;
    Matrix<double> values(block.rows, block.cols);
    for (Index i = 0; i < values.size(); ++i) {
      values.data()[i] = static_cast<double>(flow.parameters()[block.offset + i]);
    }
    return values;
  }
  return {};
}

}  // namespace

template <class T>
PlainNetwork::PlainNetwork(const flow::Flow<T>& flow, std::size_t t, const nn::Network<T>& network)
    : divisor_(network.options().activation == "lipswish" ? 1.1 : 1) {
  const auto& activation = network.options().activation;
  require<BugError>(activation == "lipswish" || activation == "silu", "transform {} has neither lipswish nor silu", t);
  for (std::size_t l = 0; l < network.layers().size(); ++l) {
    const auto& layer = *network.layers()[l];
    Layer plain{Matrix<double>(layer.out(), layer.in()), {layer.bias().begin(), layer.bias().end()}};
    for (Index i = 0; i < layer.weight().size(); ++i) {
      plain.weight.data()[i] = static_cast<double>(layer.weight().data()[i]);
    }
    const auto slope = parameters_of(flow, fmt::format("transforms/{:03d}/layer_{}/log_beta", t, l));
    if (slope) plain.beta = std::exp((*slope)(0, 0));
    layers_.push_back(std::move(plain));
  }
  const auto context = parameters_of(flow, fmt::format("transforms/{:03d}/layer_0/context", t));
  if (context) context_ = *context;
}

Value PlainNetwork::operator()(std::span<const double> x, std::span<const double> context) const {
  const Index d = std::ssize(x);
  Matrix<double> h(ConstMatrixView<double>(x.data(), d, 1)), tangents(d, d);
  for (Index i = 0; i < d; ++i) tangents(i, i) = 1;
  for (const auto& layer : layers_) {
    const Index w = layer.weight.rows();
    Matrix<double> a(w, 1), t(w, d);
    gemm<double>(Op::none, Op::none, 1, layer.weight, h, 0, a);
    gemm<double>(Op::none, Op::none, 1, layer.weight, tangents, 0, t);
    if (&layer == &layers_.front() && !context.empty()) {
      const ConstMatrixView<double> u(context.data(), std::ssize(context), 1);
      gemm<double>(Op::none, Op::none, 1, context_, u, 1, a);
    }
    for (Index i = 0; i < w; ++i) {
      a(i, 0) += layer.bias[i];
      if (&layer == &layers_.back()) continue;
      const double s = logistic(layer.beta * a(i, 0));
      const double slope = (s + layer.beta * a(i, 0) * s * (1 - s)) / divisor_;
      a(i, 0) *= s / divisor_;
      for (Index j = 0; j < d; ++j) t(i, j) *= slope;
    }
    h = std::move(a);
    tangents = std::move(t);
  }
  return {{h.span().begin(), h.span().end()}, std::move(tangents)};
}

template PlainNetwork::PlainNetwork(const flow::Flow<float>&, std::size_t, const nn::Network<float>&);
template PlainNetwork::PlainNetwork(const flow::Flow<double>&, std::size_t, const nn::Network<double>&);

}  // namespace pushforward::bench
