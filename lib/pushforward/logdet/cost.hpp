#pragma once

// The cost of log-dets: floating-point operations of matrix products and LU, and the choice of `auto`, which follows
// from these numbers and the rates of this machine.
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

#include <pushforward/logdet/exact.hpp>
#include <pushforward/logdet/krylov.hpp>

#include <optional>
#include <string>

namespace pushforward::logdet {

/// The choice between exact and stochastic log-dets that choose_method() makes.
struct AutoOptions {
  static constexpr const char* kind = "auto";
  static constexpr const char* help = "exact or trace+krylov, whichever pays, by measured rates of this machine";

  OptionSet declare() { return {}; }
};

/// Operations of one sample and block.
struct Flops {
  double gemm = 0;
  double lu = 0;
};

/// Rates of one rank, in GFLOP/s.
struct Rates {
  double gemm = 1;
  double lu = 1;
};

/// Measures the rates at the shapes of exact log-dets of n samples: products, or the convolution, of the layer with
/// most operations, and LU and inverse of order d. Shapes beyond some thousands are cut. It takes about 30 ms. Not
/// collective: ranks that must make the same choice share the rates of one of them.
template <class T>
Rates measure_rates(const nn::NetworkOptions& network, Index n);

/// The operations of one vector through all layers.
double product_flops(const nn::NetworkOptions& network);
/// The operations of a value and, for Pass::gradient, of its part of the gradient, through the input or through
/// hidden layer h (0-based).
Flops exact_flops_through_input(const nn::NetworkOptions& network, nn::Pass pass);
Flops exact_flops_through_hidden(const nn::NetworkOptions& network, Index h, nn::Pass pass);
/// Returns true if W₁W_L as one matrix saves operations through hidden layer h: if it is small, or the first of the
/// walk.
bool joins_ends(const nn::NetworkOptions& network, Index h);

/// Returns the narrowest hidden layer, the first if there are several, or nothing without hidden layers.
std::optional<Index> narrowest_hidden(const nn::NetworkOptions& network);
/// Returns the hidden layer through which an exact method goes, or nothing if it goes through the input. Throws
/// OptionError for through=narrowest if there are no hidden layers or if the network is not plain.
std::optional<Index> exact_through(const ExactOptions& options, const nn::NetworkOptions& network);

/// The operations of krylov with these numbers of steps and probes, or of trace+krylov, tangents and reverse included.
/// `lu` is the work on the basis.
Flops krylov_flops(const KrylovOptions& options, bool has_trace, const nn::NetworkOptions& network, nn::Pass pass);

/// Returns the method settled for this network, or the choice of `auto`. The latter compares the
/// exact log-det with a stochastic default:
///   gradients    trace+krylov with a tolerance of 0.1, estimated as four steps
///   evaluation   trace+krylov:6
/// If the network has more than two hidden layers or is not plain, krylov takes the place of trace+krylov. The exact
/// log-det is chosen if a step takes at most four times the time of the default, or an evaluation at most eight
/// times. `why` (out, may be null): the reason in a line.
Method choose_method(const Method& method, const nn::NetworkOptions& network, const Rates& rates, nn::Pass pass,
                     std::string* why = nullptr);

extern template Rates measure_rates<float>(const nn::NetworkOptions&, Index);
extern template Rates measure_rates<double>(const nn::NetworkOptions&, Index);

}  // namespace pushforward::logdet
