#pragma once

// The description of a network, and the sizes and costs that follow from it before the network exists.

#include <pushforward/nn/activation.hpp>
#include <pushforward/nn/conv.hpp>

namespace pushforward::nn {

struct NetworkOptions {
  Index in = 0;                         ///< width of x
  Index out = 0;                        ///< width of y
  std::vector<Index> hidden{128, 128};  ///< widths of the hidden layers, or their channels; may be empty (a linear map)
  std::string activation = "lipswish";  ///< a name of ActivationKind::registry()
  double lipschitz = 0.9;               ///< bound on Lip(g), > 0; each of L layers gets its L-th root. Infinity: free
  Index context = 0;                    ///< width of u, which g(x; u) is conditioned on
  Index gates = 0;                      ///< the first values of u that scale and shift each hidden layer; if dense
  std::vector<Index> periodic{};        ///< rows of x that are angles in radians, ascending; for dense networks
  bool autoregressive = false;  ///< output rows i·m … i·m + m − 1 depend on x_j, j < i, only, m = out/in; if dense
  Index height = 1, width = 1;   ///< of images, for convolutional networks
  std::vector<Index> kernels{};  ///< sizes of square kernels, odd, one for each layer; empty: dense

  /// Number of layers.
  Index depth() const { return std::ssize(hidden) + 1; }
  bool is_convolutional() const { return !kernels.empty(); }
  /// True for g = W_L φ(… φ(W₁x + …)) with dense matrices and no angles. Some log-det estimators need this form.
  bool is_plain() const { return kernels.empty() && periodic.empty(); }
  Index pixels() const { return height * width; }
  /// Number of inputs of the first layer: each angle counts twice, as (cos xᵢ, sin xᵢ).
  Index features() const { return in + std::ssize(periodic); }
  /// Number of values of a sample before the first and after each layer: features(), hidden layers, out.
  std::vector<Index> widths() const;
  /// Sizes of layer l of a convolutional network.
  ConvSize conv_size(Index l) const;
  /// Floating-point operations of a layer's product with one vector.
  double layer_flops(Index l) const;

  /// Throws OptionError with the network's name if the options contradict each other.
  void check(const std::string& name) const;
};

}  // namespace pushforward::nn
