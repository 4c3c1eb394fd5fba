#pragma once

// Counter-based random numbers: Philox4x64-10 [Salmon et al., SC 2011] from Random123.
//
// A draw depends on (seed, purpose, step, sample, probe) and on its place in that stream. It does not depend on the
// rank, the batch or earlier draws. So the draws for a sample are the same on any number of ranks, for any division
// of a batch, and after a restart.

#include <pushforward/core/index.hpp>

#include <array>
#include <cstdint>
#include <span>

namespace pushforward::random {

/// The use of random numbers. It is part of the key, so that no two uses share a stream. Results can only be
/// reproduced if these values stay: append to them, and never change one.
enum class Purpose : std::uint64_t {
  parameters = 1,        ///< initial weights
  batches = 2,           ///< order of the training rows
  toy_data = 3,          ///< built-in densities
  split = 4,             ///< division of a dataset by fractions
  dequantize = 5,        ///< uniform noise added to integer columns
  base_sample = 6,       ///< draws from the base density
  power_start = 7,       ///< start vectors of power iterations
  check = 8,             ///< points at which a model is examined
  probe = 9,             ///< vectors of log-det estimators
  roulette = 10,         ///< lengths of randomly truncated series
  dequantize_draw = 11,  ///< uniform noise that a model adds to integers, anew in each pass
  flow_matching = 12,    ///< latents, noise and times of flow matching
  matching_order = 13,   ///< strata of the times of flow matching
  matching_check = 14,   ///< latents, noise, times and order of the pairs with which flow matching validates
  diffusion = 15,        ///< noise of samplers by a stochastic differential equation
};

/// The stream of (seed, purpose, step, sample, probe): uniforms, normals, signs, one after the other.
class Stream {
 public:
  Stream(std::uint64_t seed, Purpose purpose, std::uint64_t step = 0, std::uint64_t sample = 0,
         std::uint64_t probe = 0);

  /// 64 random bits.
  std::uint64_t bits();
  /// Uniform on the open interval (0, 1), never 0 and never 1: an odd multiple of 2⁻⁵³.
  double uniform();
  /// Standard normal (Box–Muller).
  double normal();
  /// Gamma with the given shape > 0 and scale 1, by rejection [Marsaglia & Tsang 2000]. Throws OptionError.
  double gamma(double shape);
  /// −1 or +1 with probability ½ each.
  double rademacher();
  /// Fills a span with draws, one after the other.
  template <class T>
  void rademacher(std::span<T> signs);
  /// Uniform integer in [0, n), n ≥ 1, without bias.
  std::uint64_t below(std::uint64_t n);

 private:
  std::array<std::uint64_t, 2> key_;
  std::array<std::uint64_t, 4> counter_;
  std::array<std::uint64_t, 4> block_{};
  unsigned used_ = 4;
  double spare_normal_ = 0;
  bool has_spare_ = false;
};

/// A permutation of [0, n) that is evaluated, not stored: π(i) by a balanced Feistel network on the next power of four
/// with cycle walking, its round keys drawn from (seed, purpose, step). O(1) memory; expected below four network
/// evaluations a call.
class Permutation {
 public:
  Permutation(std::uint64_t seed, Purpose purpose, std::uint64_t step, Index n);

  /// π(i) for 0 ≤ i < n.
  Index operator()(Index i) const;
  /// π(first), π(first + 1) …, several times as fast as one after the other. images: out.
  void images(Index first, std::span<Index> images) const;
  Index size() const { return n_; }

 private:
  static constexpr int rounds = 6;
  // One pass through the network.
  std::uint64_t mixed(std::uint64_t x) const;

  std::array<std::uint64_t, rounds> keys_{};
  Index n_;
  int half_bits_;
};

/// Row numbers of the global batch of `step`: a walk through [0, n) in an order that is permuted anew every epoch,
/// batches running on across the ends of epochs. rows[i] is the i-th row of the batch from `first` on.
class BatchOrder {
 public:
  BatchOrder(std::uint64_t seed, Index rows, Index batch);

  /// rows: out, those at positions [first, first + rows.size()) of the batch of `step`. Not collective.
  void rows(Index step, Index first, std::span<Index> rows) const;
  Index batch() const { return batch_; }

 private:
  std::uint64_t seed_;
  Index rows_;
  Index batch_;
};

}  // namespace pushforward::random
