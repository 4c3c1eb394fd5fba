#pragma once

// The one interface of all estimators of log|det(I + J)|, J = ∂g/∂x of a network g, for a batch.
//
// An estimator gives a value and, where the network's state keeps a gradient, pairs (u, v) with
//     d log|det(I + J)| ≈ Σⱼ uⱼᵀ dJ vⱼ   (+ what add_to_reverse() contributes),
// which it leaves where Network::reverse() finds them: v as the tangents of the state, u in its tangent seeds.

#include <pushforward/linalg/lapack.hpp>
#include <pushforward/logdet/draws.hpp>
#include <pushforward/nn/network.hpp>

#include <memory>

namespace pushforward::logdet {

/// The results of an estimate for n samples. All spans: (n) out.
struct Estimate {
  std::span<double> value;       ///< nats
  std::span<double> variance;    ///< of the value, from its probes; NaN with a single one, 0 for a value without chance
  std::span<linalg::Sign> sign;  ///< 1; of det(I + J) where it is known; 0 for what is singular or not finite
  /// Number of matrix–vector products with J or Jᵀ that the value of this sample took. A dense J counts d, or the width
  /// of the hidden layer through which it is formed. Exact traces count 1. A probe that stops early counts its own
  /// steps.
  std::span<Index> products;
};

template <class T>
class Estimator {
 public:
  /// Memory of an estimator; each kind has its own.
  class State {
   public:
    virtual ~State() = default;
  };

  virtual ~Estimator() = default;

  /// The method, resolved: never `auto`.
  virtual const Method& method() const = 0;
  /// Bound on |E[value] − log|det(I + J)|| for ‖J‖ ≤ c < 1 in dimension d, nats: 0 for what has no bias.
  virtual double bias_bound(Index d, double lipschitz) const = 0;
  /// Tangents per sample for which the network's state must have room.
  virtual Index tangents(const nn::Network<T>& network) const = 0;
  /// Memory for up to n samples: `kept` lives from estimate() to the reverse pass, `scratch` during estimate() and
  /// again during add_to_reverse().
  virtual std::unique_ptr<State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                      linalg::Workspace& scratch, Index n, nn::Pass pass) const = 0;
  /// At the x of the network's last forward() on `passes`.
  virtual void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, State& state, const Draws& draws,
                        const Estimate& result) const = 0;
  /// Adds the part of the gradient that the pairs do not hold. To be called once between estimate() and
  /// Network::reverse(), since it may overwrite what estimate() left. weight: (n), or empty if all are 1. gradient: the
  /// flat buffer, added to; if it is empty, the part of the parameters is left out.
  virtual void add_to_reverse(const nn::Network<T>& /*network*/, nn::NetworkState<T>& /*passes*/, State& /*state*/,
                              std::span<const T> /*weight*/, std::span<T> /*gradient*/) const {}
};

/// Bound on the bias of a series of N terms for ‖J‖ ≤ c < 1: d·(−log(1 − c) − Σₖ≤N cᵏ/k), nats; infinite from
/// c = 1 on.
double truncation_bound(Index d, double lipschitz, Index terms);

/// The method with p of a roulette set, where it is not, to what is safe for this network: 1 − c, in four digits,
/// rounded down. Throws OptionError where c is not below 1.
Method with_safe_roulette(const Method& method, const nn::NetworkOptions& network);

/// The estimator of a method for networks of this shape; `auto` must have been resolved (cost.hpp). Throws OptionError
/// for a method that the network cannot have: more Arnoldi steps than dimensions, without a tolerance; an exact trace
/// of more than two hidden layers; through=narrowest without any; both of them where the network is not
/// plain (nn/network_options.hpp).
template <class T>
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network);

/// Returns a warning about a method for blocks with this certified Lipschitz constant c, or "". The variance of a
/// roulette is infinite if an eigenvalue of J reaches √(1 − p), so the safe rule is p ≤ 1 − c.
std::string warning(const Method& method, double lipschitz);

extern template std::unique_ptr<Estimator<float>> make_estimator(const Method&, const nn::NetworkOptions&);
extern template std::unique_ptr<Estimator<double>> make_estimator(const Method&, const nn::NetworkOptions&);

}  // namespace pushforward::logdet
