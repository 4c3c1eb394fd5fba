#pragma once

// The slow route: a flow of residual blocks, affine couplings or continuous flows in plain loops, in double, with dense
// Jacobians sample by sample; and what an estimator of log-dets stands for, from a dense Jacobian.

#include "plain_integration.hpp"

#include <pushforward/transforms/coupling.hpp>

#include <variant>

namespace pushforward::bench {

/// A flow of residual blocks, affine couplings (masks even and odd) and continuous flows alone.
class PlainFlow {
 public:
  /// pass: see PlainIntegration.
  template <class T>
  explicit PlainFlow(const flow::Flow<T>& flow, nn::Pass pass = nn::Pass::gradient);

  Index blocks() const { return std::ssize(blocks_); }
  /// x: (d) in.
  Value block(Index block, std::span<const double> x) const;
  /// The latent of x (d), and each block on the way.
  struct Image {
    std::vector<double> z;
    std::vector<Value> blocks;
  };
  Image image(std::span<const double> x) const;

 private:
  struct Coupling {
    PlainNetwork network;
    flow::CouplingOptions options;
    Value operator()(std::span<const double> x) const;
  };
  using Block = std::variant<PlainNetwork, Coupling, PlainIntegration>;
  std::vector<Block> blocks_;
};

/// An estimate of log|det(I + J)|: its value and the pairs (u, v) of its gradient Σⱼ uⱼᵀ dJ vⱼ (+ d tr J).
struct Pairs {
  double value = 0;
  Matrix<double> u{}, v{};  // (d × k)
  bool with_trace = false;
};
/// For exact, roulette, poisson, krylov and, of networks with two hidden layers, trace+krylov (tr J alone is exact
/// there); `draws` of the sample itself (Draws::from).
Pairs estimate_from(const logdet::Method& method, ConstMatrixView<double> jacobian, const logdet::Draws& draws);

/// log p of some samples by the method, and what its gradient is the gradient of. A block that has a log-det of its own
/// takes that.
class PlainLikelihood {
 public:
  /// x: (d × n). draws: of the batch; the block is set here. The pairs are those at the flow as it is.
  PlainLikelihood(const PlainFlow& flow, ConstMatrixView<double> x, const logdet::Method& method,
                  const logdet::Draws& draws);

  /// (n), nats.
  const std::vector<double>& log_prob() const { return log_prob_; }
  /// Σᵢ (log N(zᵢ; 0, I) + Σ_blocks Σⱼ uⱼᵀ J vⱼ (+ tr J)) of a flow nearby, u and v as they are here: its gradient at
  /// the flow that the pairs belong to is that of the method.
  double surrogate(const PlainFlow& flow) const;

 private:
  Matrix<double> x_;
  std::vector<std::vector<Pairs>> pairs_;  // of each sample and block
  std::vector<double> log_prob_;
};

extern template PlainFlow::PlainFlow(const flow::Flow<float>&, nn::Pass);
extern template PlainFlow::PlainFlow(const flow::Flow<double>&, nn::Pass);

}  // namespace pushforward::bench
