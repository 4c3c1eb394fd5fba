#pragma once

// A network with its parameters and the memory of its passes, for tests.

#include <pushforward/nn/network.hpp>

#include "taylor.hpp"

#include <utility>

namespace pushforward::test {

/// A network with random parameters, the same in both precisions: weights whose norm is above the layers' bounds.
template <class T>
struct TestNetwork {
  explicit TestNetwork(const nn::NetworkOptions& options, double scale = 0.7)
      : network(layout, "net", options, 1, 2), parameters(random_vector<T>(layout.size(), 31, scale)) {
    prepare(nn::Normalization::svd);
  }

  void prepare(nn::Normalization normalization) { network.prepare(parameters, normalization); }
  /// Power iteration until it no longer moves: the gradient through the norms is then exact.
  void settle() {
    for (int i = 0; i < 1000; ++i) prepare(nn::Normalization::power_iteration);
  }

  nn::ParameterLayout layout;
  nn::Network<T> network;
  std::vector<T> parameters;
};

/// Memory of a network's passes, exactly as much as is counted.
template <class T>
class Passes {
 public:
  Passes(const nn::Network<T>& network, Index n, Index k, nn::Pass pass)
      : Passes(network, n, k, pass, plan(network, n, k, pass)) {}

  nn::NetworkState<T>& operator*() { return state_; }
  nn::NetworkState<T>* operator->() { return &state_; }

 private:
  static std::pair<Index, Index> plan(const nn::Network<T>& network, Index n, Index k, nn::Pass pass) {
    linalg::Workspace kept, scratch;
    const nn::NetworkState<T> counted(network, kept, scratch, n, k, pass);
    return {kept.peak(), scratch.peak()};
  }
  Passes(const nn::Network<T>& network, Index n, Index k, nn::Pass pass, std::pair<Index, Index> bytes)
      : kept_(bytes.first), scratch_(bytes.second), state_(network, kept_, scratch_, n, k, pass) {}

  linalg::Workspace kept_, scratch_;
  nn::NetworkState<T> state_;
};

/// The columns of `values` as a matrix in another precision.
template <class To, class From>
Matrix<To> converted(const Matrix<From>& values) {
  return matrix_of<To>(values.rows(), values.cols(), [&](Index i, Index j) { return values(i, j); });
}

}  // namespace pushforward::test
