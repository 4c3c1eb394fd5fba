#pragma once

// What log-dets cost: floating-point operations of matrix products and LU, counted, and the choice that `auto` makes
// from them and the rates that this machine reaches.
//
// A sample's J is a product of weights W and diagonals D of activation slopes, J = W_L D_{L−1} W_{L−1} … D₁W₁. Exact
// log-dets cost k tangents through all but the first of its matrices, and an LU of order k:
//   through the input       k = d, and the first layer's tangents are its weight
//   through hidden layer h  k = w_h, the matrices in cyclic order from layer h on [det(I + AB) = det(I + BA)], the
//                           first of them again for nothing; where it saves operations, W₁W_L is one matrix, formed
//                           once a batch
// A gradient takes two more products for each of them, and the inverse. Ways through hidden layers are for plain
// networks (nn/network_options.hpp): others have exact log-dets through the input, where a convolution's tangents in
// the first layer are its matrix and those of angles take no product either.

#include <pushforward/logdet/method.hpp>
#include <pushforward/nn/network.hpp>

#include <optional>
#include <string>

namespace pushforward::logdet {

/// Operations of one sample and block.
struct Flops {
  double gemm = 0;
  double lu = 0;
};

/// What ranks reach, GFLOP/s of one.
struct Rates {
  double gemm = 1;
  double lu = 1;
};

/// Rates at the shapes of exact log-dets of n samples: products of the two widest layers, or the convolution with most
/// operations, LU and inverse of order d.
/// About 30 ms. Not collective: ranks that must choose alike share what one of them measured.
template <class T>
Rates measure_rates(const nn::NetworkOptions& network, Index n);

/// One vector through all layers, once.
double product_flops(const nn::NetworkOptions& network);
/// Value and, for Pass::gradient, its part of the gradient, through the input or hidden layer h (0-based).
Flops exact_flops_through_input(const nn::NetworkOptions& network, nn::Pass pass);
Flops exact_flops_through_hidden(const nn::NetworkOptions& network, Index h, nn::Pass pass);
/// True where W₁W_L as one matrix saves operations in the latter: when it is small, or the first of the walk.
bool joins_ends(const nn::NetworkOptions& network, Index h);

/// The narrowest hidden layer, the first of them if there are several; none without hidden layers.
std::optional<Index> narrowest_hidden(const nn::NetworkOptions& network);
/// The hidden layer through which an exact method goes, or none for the input. Throws OptionError for
/// through=narrowest without hidden layers, or where the network is not plain.
std::optional<Index> exact_through(const Method& method, const nn::NetworkOptions& network);

/// Of trace+krylov and krylov with their number of steps and probes, tangents and reverse included; `lu` is the work on
/// the basis.
Flops krylov_flops(const Method& method, const nn::NetworkOptions& network, nn::Pass pass);

/// The method itself, a roulette with its p, or what `auto` stands for: exact where a step takes at most four times the
/// time, or an evaluation at most eight times the time, that it takes with the stochastic default: trace+krylov with a
/// tolerance of 0.1 for gradients, of which four steps are reckoned with, trace+krylov:6 in evaluation; krylov for
/// networks of more than two hidden layers and those that are not plain. `why` (out, may be null): a line for people.
Method choose_method(const Method& method, const nn::NetworkOptions& network, const Rates& rates, nn::Pass pass,
                     std::string* why = nullptr);

extern template Rates measure_rates<float>(const nn::NetworkOptions&, Index);
extern template Rates measure_rates<double>(const nn::NetworkOptions&, Index);

}  // namespace pushforward::logdet
