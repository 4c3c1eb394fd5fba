#pragma once

// Evaluates log p with a stochastic log-det repeatedly, until its standard error is small enough.
//
// The value of a row is the mean of n independent repeats. A rule with two stages chooses n [Stein, A two-sample test
// for a linear hypothesis whose power is independent of the variance, Ann. Math. Statist. 16, 1945]. Let s₀² be the
// variance of the first n₀ = 8 repeats, S the requested standard error and R the largest number of repeats. Then
//
//     n = min(R, max(n₀, ⌈s₀²/S²⌉))
//
// If the values are normal, s₀² is independent of the mean of the first n₀ repeats, and later repeats are independent
// of both. n is a function of s₀² alone. So, given n, the mean of all n repeats is N(μ, σ²/n), which is unbiased. And
// (mean − μ)/(s₀/√n) has Student's t-distribution with n₀ − 1 degrees of freedom, whatever σ is. If R does not limit n,
// s₀/√n ≤ S, and the mean is within 2.37 S of μ in at least 95 of 100 rows.
//
// The reported standard error is the usual one of the mean, s/√n, where s² is the variance of all n repeats. It has
// three limits:
//   - If s₀ was small by chance, the reported error ends above S, because the rule does not look again. For rows with
//     σ ≫ S √n₀, its mean square is larger than S² by a factor of (n₀ − 1)/(n₀ − 3) = 1.4.
//   - If the values have skewness γ, the mean is off by −γ S²/σ to first order, which is at most about 0.2 |γ| S.
//   - If there are few possible values, as with sign probes in two dimensions, repeats may agree by chance. Then the
//     reported error is too small.
//
// The random numbers of a repeat depend on the seed, the number of the repeat and the number of the row. So the result
// of a row does not depend on its batch, up to rounding.

#include <pushforward/model/model.hpp>

namespace pushforward::flow {

/// Repeats of the first stage, n₀.
inline constexpr Index first_repeats = 8;

struct RepeatOptions {
  double standard_error = 0.1;  ///< S, nats, > 0
  Index max_repeats = 1000;     ///< R ≥ first_repeats
};

/// Returns n for s₀² = variance. If the variance is infinite or NaN, it returns R.
Index stein_repeats(double variance, const RepeatOptions& options);

/// The results of n rows. All spans: (n) out.
struct RepeatedLogProb {
  std::span<double> log_prob;        ///< the mean, nats, in the data's units
  std::span<double> standard_error;  ///< of the mean, nats
  std::span<Index> repeats;          ///< how many were taken
  std::span<Status> status;          ///< of the first repeat that was not ok, which was the last; the rest is NaN then
  IntegrationReport integration{};   ///< of the first repeat
};

/// Computes log p with the model's log-det method. A method that is not stochastic takes one pass, and its standard
/// error is 0. batch: (d × n) in, data in its own units. Its draws give the seed and the number of each row. z: (d × n)
/// out, or empty. The workspace is planned for evaluation. Batches fill it whenever enough repeats remain. Allocates.
/// Throws OptionError and ShapeError. Not collective.
template <class T>
void repeated_log_prob(const Model<T>& model, const Batch<double>& batch, MatrixView<double> z,
                       const RepeatOptions& options, const RepeatedLogProb& result, FlowWorkspace<T>& workspace);

/// Returns a bound on the bias |E[log p] − log p| of the model's log-det method, in nats. The standard error does not
/// include this bias. The bound is the sum of Estimator::bias_bound() over the blocks, with their Lipschitz constants
/// as of the last prepare(). It is 0 for a method without bias.
template <class T>
double log_det_bias_bound(const Model<T>& model);

/// Returns the largest Lipschitz constant of the blocks, or 0 for a flow without blocks.
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
