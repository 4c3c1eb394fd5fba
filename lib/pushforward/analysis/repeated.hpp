#pragma once

// log p with a stochastic log-det, evaluated again and again until its standard error is small enough.
//
// The value of a row is the mean of n independent repeats, n by a rule of two stages [Stein, A two-sample test for a
// linear hypothesis whose power is independent of the variance, Ann. Math. Statist. 16, 1945]: with s₀² the variance of
// the first n₀ = 8 repeats, S the standard error that is wanted and R the most repeats,
//
//     n = min(R, max(n₀, ⌈s₀²/S²⌉))
//
// Of normal values s₀² is independent of the mean of the first n₀, and what follows is independent of both. n is a
// function of s₀² alone; so the mean of all n, given n, is N(μ, σ²/n): unbiased. And (mean − μ)/(s₀/√n) has Student's
// t-distribution with n₀ − 1 degrees of freedom, whatever σ is. Where R does not limit n, s₀/√n ≤ S: the mean is within
// 2.37 S of μ in 95 of 100 rows at least.
//
// The standard error that is reported is the usual one of the mean of all n, s/√n with their variance s². Where s₀ was
// small by chance it ends above S, since the rule does not look again: in the mean of squares over rows with σ ≫ S √n₀
// by a factor of (n₀ − 1)/(n₀ − 3) = 1.4. Of values with skewness γ the mean is off by −γ S²/σ to first order, at most
// about 0.2 |γ| S. And values of which there are few, like those of sign probes in two dimensions, may agree by chance
// and look surer than they are.
//
// A repeat draws by (seed, its number, the row's number), so that nothing about a row depends on batch or batch mates,
// up to rounding.

#include <pushforward/model/model.hpp>

namespace pushforward::flow {

/// Repeats of the first stage, n₀.
inline constexpr Index first_repeats = 8;

struct RepeatOptions {
  double standard_error = 0.1;  ///< S, nats, > 0
  Index max_repeats = 1000;     ///< R ≥ first_repeats
};

/// n of the rule, for s₀² = variance; R for an s₀² that is infinite or NaN.
Index stein_repeats(double variance, const RepeatOptions& options);

/// What becomes of each row. All (n), out.
struct RepeatedLogProb {
  std::span<double> log_prob;        ///< the mean, nats, in the data's units
  std::span<double> standard_error;  ///< of the mean, nats
  std::span<Index> repeats;          ///< how many were taken
  std::span<Status> status;          ///< of the first repeat that was not ok, which was the last; the rest is NaN then
};

/// log p by the model's log-det. One that is not stochastic takes one pass, whose standard error is 0.
/// batch: (d × n) in, data in its own units. Its draws give the seed and the number of each row. z: (d × n) out, or
/// empty. The workspace is planned for evaluation; it is full whenever there are enough repeats. Allocates. Throws
/// OptionError and ShapeError. Not collective.
template <class T>
void repeated_log_prob(const Model<T>& model, const Batch<double>& batch, MatrixView<double> z,
                       const RepeatOptions& options, const RepeatedLogProb& result, FlowWorkspace<T>& workspace);

/// What no standard error shows: a bound on |E[log p] − log p| by the model's log-det, nats, the sum over its blocks of
/// Estimator::bias_bound() at their Lipschitz constants as of the last prepare(). 0 for what has no bias.
template <class T>
double log_det_bias_bound(const Model<T>& model);

/// The largest of the blocks' Lipschitz constants; 0 for a flow without blocks.
template <class T>
double largest_lipschitz(const Flow<T>& flow);

extern template void repeated_log_prob(const Model<float>&, const Batch<double>&, MatrixView<double>,
                                       const RepeatOptions&, const RepeatedLogProb&, FlowWorkspace<float>&);
extern template void repeated_log_prob(const Model<double>&, const Batch<double>&, MatrixView<double>,
                                       const RepeatOptions&, const RepeatedLogProb&, FlowWorkspace<double>&);
extern template double log_det_bias_bound(const Model<float>&);
extern template double log_det_bias_bound(const Model<double>&);
extern template double largest_lipschitz(const Flow<float>&);
extern template double largest_lipschitz(const Flow<double>&);

}  // namespace pushforward::flow
