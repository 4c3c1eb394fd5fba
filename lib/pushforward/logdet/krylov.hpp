#pragma once

// Arnoldi on one probe at a time. With A = Jᵀ, A Q_k = Q_{k+1}H̄ from q₁ = v/‖v‖, H the upper (k × k) block of H̄:
//
//   value  vᵀ log(I + J) v ≈ ‖v‖² e₁ᵀ log(I + H) e₁
//   pair   u ≈ (I + J)⁻ᵀ v in the span of Q_k by GMRES on the same basis, with v
//
// With exact traces (trace.hpp) the probe estimates only the rest. The terms that are subtracted come from its
// basis:
//
//   tr J          tr J + vᵀ(log(I + J) − J)v, vᵀJv = ‖v‖²H₁₁. Differentiated, tr((I + J)⁻¹dJ) − tr dJ: the pair (u − v,
//                 v) with u as above.
//   tr J, tr J²   tr J − ½ tr J² + vᵀ(log(I + J) − J + ½J²)v, vᵀJ²v = ‖v‖² e₁ᵀH²e₁ = ‖v‖²(H₁₁² + H₁₂H₂₁) for k ≥ 2.
//                 Differentiated, tr((I + J)⁻¹dJ) − tr dJ + tr(J dJ): the pair (u − v + Jᵀv, v), Jᵀv = ‖v‖(H₁₁q₁ +
//                 H₂₁q₂).
//
// The exact tr J² is for networks with one hidden layer and methods of two steps or more.
//
// With a tolerance, each probe takes steps until ‖v − (I + Jᵀ)u‖ ≤ tolerance · ‖v‖. So the numbers of a sample do
// not depend on the rest of its batch, except for the rounding of a batch's products. The batch goes on until all of
// its probes are done.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

struct KrylovOptions : ProbeOptions {
  static constexpr const char* kind = "krylov";
  static constexpr const char* help = "Arnoldi steps on a probe";
  static constexpr const char* bare = "terms";

  Index terms = 12;  ///< Arnoldi steps
  double tol = 0;    ///< the relative residual of (I + J)⁻ᵀv at which a probe has steps enough; 0: takes all steps

  OptionSet declare();
  bool stochastic() const { return true; }
  bool shows(std::string_view key) const { return key == "terms" && tol == 0; }
  /// Sets tol to 0.1 if neither key was set.
  void complete(const OptionSet& read);
};

struct TraceKrylovOptions : KrylovOptions {
  static constexpr const char* kind = "trace+krylov";
  static constexpr const char* help = "tr J exactly, and Arnoldi steps on a probe for the rest";
};

template <class T>
class KrylovEstimator final : public Estimator<T> {
 public:
  /// Takes options.terms Arnoldi steps, at most the width of the network. With a tolerance these are upper limits, and
  /// a probe takes at least 2 steps unless one spans its whole Krylov space. Throws OptionError for more steps than
  /// dimensions without a tolerance.
  KrylovEstimator(const KrylovOptions& options, const nn::NetworkOptions& network);
  /// Takes exact traces. Throws OptionError as well for more than two hidden layers, and for networks that are not
  /// plain (nn/network_options.hpp).
  KrylovEstimator(const TraceKrylovOptions& options, const nn::NetworkOptions& network);

  /// vᵀJⁿv and ‖v‖²e₁ᵀHⁿe₁ agree for n ≤ k: Aⁿq₁ = QHⁿe₁ for n < k, and A Q = QH + (a column orthogonal to q₁)e_kᵀ
  /// gives one more. The later terms are at most ‖v‖²Σₙ cⁿ/n in either, since ‖H‖ ≤ ‖A‖, and E‖v‖² = d. The bound
  /// holds for each v, and so for any choice of k for a probe. A complete basis has no bias.
  double bias_bound(Index d, double lipschitz) const override {
    return least_steps() >= d ? 0 : 2 * truncation_bound(d, lipschitz, least_steps());
  }
  Index tangents(const nn::Network<T>&) const override { return probes_; }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;
  void add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                      std::span<const T> weight, std::span<T> gradient) const override;

 private:
  Index least_steps() const { return tolerance_ > 0 ? std::min<Index>(2, most_steps_) : most_steps_; }

  Probe probe_;
  Index probes_;
  double tolerance_;
  Index most_steps_;
  bool has_trace_ = false;
};

extern template class KrylovEstimator<float>;
extern template class KrylovEstimator<double>;

}  // namespace pushforward::logdet
