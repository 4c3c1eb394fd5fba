#pragma once

// A network in plain loops, in double, with its dense Jacobian, sample by sample.

#include <pushforward/flow/flow.hpp>

#include <optional>
#include <vector>

namespace pushforward::bench {

/// g(x) = z − x of a block, or what a network gives, and its Jacobian at one x.
struct Value {
  std::vector<double> y;
  Matrix<double> jacobian;
  std::optional<double> log_det{};  ///< of a block whose log-det is no function of its Jacobian, nats
};

/// A network with the effective weights that it has now, lipswish or silu.
class PlainNetwork {
 public:
  /// The network of transform t.
  template <class T>
  PlainNetwork(const flow::Flow<T>& flow, std::size_t t, const nn::Network<T>& network);

  /// x: (in) in. context: its values, none without a context. The Jacobian is that with respect to x.
  Value operator()(std::span<const double> x, std::span<const double> context = {}) const;

 private:
  struct Layer {
    Matrix<double> weight;
    std::vector<double> bias;
    double beta = 1;
  };
  std::vector<Layer> layers_;
  Matrix<double> context_;  // the weight of the context
  double divisor_;          // φ(a) = a·σ(βa)/divisor
};

extern template PlainNetwork::PlainNetwork(const flow::Flow<float>&, std::size_t, const nn::Network<float>&);
extern template PlainNetwork::PlainNetwork(const flow::Flow<double>&, std::size_t, const nn::Network<double>&);

}  // namespace pushforward::bench
