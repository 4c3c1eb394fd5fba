#pragma once

// The one interface of all estimators of log|det(I + J)|, J = ∂g/∂x of a network g, for a batch.
//
// An estimator gives a value and, where the network's state keeps a gradient, pairs (u, v) with
//     d log|det(I + J)| ≈ Σⱼ uⱼᵀ dJ vⱼ   (+ what add_to_reverse() contributes),
// which it leaves where Network::reverse() finds them: v as the tangents of the state, u in its tangent seeds.

#include <pushforward/linalg/lapack.hpp>
#include <pushforward/logdet/draws.hpp>
#include <pushforward/logdet/method.hpp>
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
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network);

template <class T>
class Estimator {
 public:
  /// Memory of an estimator; each kind has its own.
  class State {
   public:
    virtual ~State() = default;
  };

  virtual ~Estimator() = default;

  /// The method that it was made from, with all that depends on the network.
  const Method& method() const { return method_; }
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

 private:
  friend std::unique_ptr<Estimator> make_estimator<T>(const Method& method, const nn::NetworkOptions& network);
  Method method_;
};

/// Bound on the bias of a series of N terms for ‖J‖ ≤ c < 1: d·(−log(1 − c) − Σₖ≤N cᵏ/k), nats; infinite from
/// c = 1 on.
double truncation_bound(Index d, double lipschitz, Index terms);

/// The estimator of a method for networks of this shape. Throws OptionError for a method that the network cannot have,
/// and BugError for `auto`, which must have been resolved (cost.hpp).
template <class T>
std::unique_ptr<Estimator<T>> make_estimator(const Method& method, const nn::NetworkOptions& network);

/// The kind that an option struct describes, without a maker.
template <class Struct>
MethodKind method_facts() {
  MethodKind kind{kind_of<Struct>()};
  if constexpr (requires { Struct::bare; }) kind.bare = Struct::bare;
  if constexpr (requires { Struct::is_exact; }) kind.is_exact = Struct::is_exact;
  kind.stochastic = [](const KindOptions& options) {
    if constexpr (requires { options.as<Struct>().stochastic(); }) return options.as<Struct>().stochastic();
    return false;
  };
  kind.shares_draws = [](const KindOptions& options) {
    if constexpr (requires { options.as<Struct>().shares_draws(); }) return options.as<Struct>().shares_draws();
    return false;
  };
  kind.shows = [](const KindOptions& options, std::string_view key) {
    if constexpr (requires { options.as<Struct>().shows(key); }) return options.as<Struct>().shows(key);
    return false;
  };
  kind.complete = [](KindOptions& options, const OptionSet& read) {
    if constexpr (requires { options.as<Struct>().complete(read); }) options.as<Struct>().complete(read);
  };
  kind.settle = [](KindOptions& options, const nn::NetworkOptions& network) {
    if constexpr (requires { options.as<Struct>().settle(network); }) options.as<Struct>().settle(network);
  };
  kind.warning = [](const KindOptions& options, double lipschitz) -> std::string {
    if constexpr (requires { options.as<Struct>().warning(lipschitz); }) return options.as<Struct>().warning(lipschitz);
    return "";
  };
  return kind;
}

/// The kind that an option struct and a class template make. Class<T> is constructed from (options, network), or from
/// the options alone.
template <class Struct, template <class> class Class>
MethodKind method_kind() {
  MethodKind kind = method_facts<Struct>();
  kind.maker = []<class T>(const KindOptions& options,
                           const nn::NetworkOptions& network) -> std::unique_ptr<Estimator<T>> {
    const auto& o = options.as<Struct>();
    if constexpr (requires { Class<T>(o, network); }) {
      return std::make_unique<Class<T>>(o, network);
    } else {
      return std::make_unique<Class<T>>(o);
    }
  };
  return kind;
}

extern template std::unique_ptr<Estimator<float>> make_estimator(const Method&, const nn::NetworkOptions&);
extern template std::unique_ptr<Estimator<double>> make_estimator(const Method&, const nn::NetworkOptions&);

}  // namespace pushforward::logdet
