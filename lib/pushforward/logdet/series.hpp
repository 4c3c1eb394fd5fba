#pragma once

// Power series log det(I + J) = Σₖ (−1)ᵏ⁺¹/k tr Jᵏ, its traces by probes, truncated or by Russian roulette.
//
// With v a probe and A = Jᵀ, qₖ = vᵀAᵏv is an unbiased estimate of tr Jᵏ.
//
// series. The value is Σₖ≤N cₖ qₖ with cₖ = (−1)ᵏ⁺¹/k. Its gradient is that of this sum:
//   dqₖ = Σ_{i+j=k−1} (Aⁱv)ᵀ dJ (Jʲv), so that the pairs are vⱼ = Jʲv, uⱼ = Σᵢ c_{i+j+1} Aⁱv, j < N.
//
// roulette. The value is Σₖ wₖ cₖ qₖ with wₖ = 1[N ≥ k]/P(N ≥ k), or the mean of these weights if several lengths are
//   drawn. Its gradient is the Neumann series with the same weights [Chen et al. 2019, Theorem 2]: one pair,
//   u = Σₖ wₖ (−1)ᵏ⁺¹ Aᵏ⁻¹v with v, in memory that does not depend on the number of terms. The value comes from the
//   products of the series, and is not computed as vᵀJu.

#include <pushforward/logdet/estimator.hpp>

#include <optional>

namespace pushforward::logdet {

/// A truncated series.
struct SeriesOptions : ProbeOptions {
  static constexpr const char* kind = "series";
  static constexpr const char* help = "power series of log(I + J), truncated";
  static constexpr const char* bare = "terms";

  Index terms = 10;
  std::string trace = "probes";

  OptionSet declare();
  bool stochastic() const { return trace == "probes"; }
  bool shows(std::string_view key) const { return key == "terms"; }
};

/// The options that all series of random length have in common.
struct RandomSeriesOptions : ProbeOptions {
  Index exact = 2;
  Index samples = 1;
  std::string length = "sample";

  bool stochastic() const { return true; }
  bool shares_draws() const { return length == "step"; }

 protected:
  void add_lengths_to(OptionSet& set);
  Lengths lengths(Lengths::Law law, double parameter) const;
};

/// Russian roulette with geometric lengths [Chen et al. 2019].
struct RouletteOptions : RandomSeriesOptions {
  static constexpr const char* kind = "roulette";
  static constexpr const char* help = "Russian roulette: a power series of geometric length";

  double p = 0;  ///< the chance to stop after each term beyond the exact ones; 0 until settle()

  OptionSet declare();
  bool shows(std::string_view key) const { return key == "exact"; }
  /// Sets p, if it is 0, to the largest safe value: 1 − c in four digits, rounded down. Throws OptionError unless
  /// c < 1.
  void settle(const nn::NetworkOptions& network);
  /// The variance is infinite if an eigenvalue of J reaches √(1 − p), so the safe rule is p ≤ 1 − c.
  std::string warning(double lipschitz) const;
  Lengths lengths() const { return RandomSeriesOptions::lengths(Lengths::Law::geometric, p); }
};

/// The same with Poisson lengths.
struct PoissonOptions : RandomSeriesOptions {
  static constexpr const char* kind = "poisson";
  static constexpr const char* help = "Russian roulette with Poisson lengths";

  double rate = 2;

  OptionSet declare();
  bool shows(std::string_view key) const { return key == "rate" || key == "exact"; }
  Lengths lengths() const { return RandomSeriesOptions::lengths(Lengths::Law::poisson, rate); }
};

template <class T>
class SeriesEstimator final : public Estimator<T> {
 public:
  /// A truncated series with traces by probes.
  explicit SeriesEstimator(const SeriesOptions& options)
      : probe_(probe_names().value(options.probe)), probes_(options.probes), terms_(options.terms) {}
  /// A series of random length.
  template <class Options>
  requires requires(const Options& options) { options.lengths(); }
  explicit SeriesEstimator(const Options& options)
      : probe_(probe_names().value(options.probe)), probes_(options.probes), lengths_(options.lengths()) {}

  double bias_bound(Index d, double lipschitz) const override {
    return lengths_ ? 0 : truncation_bound(d, lipschitz, terms_);
  }
  Index tangents(const nn::Network<T>&) const override { return lengths_ ? probes_ : terms_ * probes_; }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;

 private:
  Probe probe_;
  Index probes_;
  Index terms_ = 0;                 // of a truncated series
  std::optional<Lengths> lengths_;  // of one of random length
};

/// The truncated series with exact traces: powers of the dense J, a d × d product for each sample and term. The
/// pairs are V = I, U = Σₖ (−1)ᵏ⁺¹ (Jᵀ)ᵏ⁻¹.
template <class T>
class DenseSeriesEstimator final : public Estimator<T> {
 public:
  explicit DenseSeriesEstimator(Index terms) : terms_(terms) {}

  double bias_bound(Index d, double lipschitz) const override { return truncation_bound(d, lipschitz, terms_); }
  Index tangents(const nn::Network<T>& network) const override { return network.in(); }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;

 private:
  Index terms_;
};

extern template class SeriesEstimator<float>;
extern template class SeriesEstimator<double>;
extern template class DenseSeriesEstimator<float>;
extern template class DenseSeriesEstimator<double>;

}  // namespace pushforward::logdet
