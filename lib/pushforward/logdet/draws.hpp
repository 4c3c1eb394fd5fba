#pragma once

// The draws of stochastic estimators. They depend on seed, step, sample, block and probe. They do not depend on
// ranks, the batch or other samples of the batch.

#include <pushforward/core/name_table.hpp>
#include <pushforward/core/option_set.hpp>
#include <pushforward/linalg/matrix.hpp>
#include <pushforward/random/stream.hpp>

#include <cstdint>

namespace pushforward::logdet {

/// Names the draws of one block for a batch of samples.
struct Draws {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;            ///< the step of a training run, or the number of the repeat in evaluation
  std::span<const Index> steps{};    ///< step of each sample of the batch; empty: `step` for all
  std::uint64_t block = 0;           ///< number of the transform in its flow
  std::span<const Index> samples{};  ///< global number of each sample of the batch; empty: first, first + 1, …
  Index first = 0;

  std::uint64_t step_of(Index i) const { return steps.empty() ? step : static_cast<std::uint64_t>(steps[i]); }
  std::uint64_t sample(Index i) const { return static_cast<std::uint64_t>(samples.empty() ? first + i : samples[i]); }
  /// The draws of samples [from, …) of the batch.
  Draws from(Index offset) const;
  random::Stream stream(random::Purpose purpose, Index i, Index probe) const {
    return {seed, purpose, step_of(i), sample(i), (block << 32) | static_cast<std::uint64_t>(probe)};
  }
};

enum class Probe { rademacher, gaussian, hadamard };
const NameTable<Probe>& probe_names();

/// The probes of a sample, as users choose them.
struct ProbeOptions {
  std::string probe = "rademacher";
  Index probes = 1;

  /// Adds the two keys to those of a method.
  void add_to(OptionSet& set);
};

/// The law of the length N of a randomly truncated series, and how often it is drawn.
struct Lengths {
  enum class Law { geometric, poisson };
  Law law = Law::geometric;
  double parameter = 0.5;  ///< geometric: p, with P(N ≥ j) = (1 − p)^(j−1), N ≥ 1; poisson: the mean, N ≥ 0
  Index exact = 2;         ///< terms that are always there
  Index samples = 1;       ///< lengths of each sample, whose weights are averaged
  bool per_step = false;   ///< whether all samples of a step share their lengths
};

/// Draws probes with E[v vᵀ] = I. v: (d × n·m) out, the m probes of sample i in columns [i·m, (i + 1)·m). hadamard:
/// random distinct columns of a Sylvester–Hadamard matrix of the next power of two, whose rows have random signs. If
/// d is a power of two, the probes are orthogonal for m ≤ d. If m is larger than the matrix, columns repeat.
template <class T>
void draw_probes(Probe kind, const Draws& draws, Index m, MatrixView<T> v);

/// Draws lengths. lengths: (n · samples) out.
void draw_lengths(const Lengths& law, const Draws& draws, std::span<Index> lengths);

/// Returns P(N ≥ j), j ≥ 0.
double survival(const Lengths& law, Index j);

extern template void draw_probes(Probe, const Draws&, Index, MatrixView<float>);
extern template void draw_probes(Probe, const Draws&, Index, MatrixView<double>);

}  // namespace pushforward::logdet
