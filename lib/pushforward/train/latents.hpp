#pragma once

// The latents of flow matching: the points at which paths begin. They are functions of (seed, purpose, step, place), so
// every rank can write any of them.

#include <pushforward/base_density/base_density.hpp>

namespace pushforward::train {

/// Names a latent: a place of the global batch of a step.
struct LatentPlace {
  Index step = 0, place = 0;
  bool operator==(const LatentPlace&) const = default;
};

/// Draws from the base density, or rows of a source, drawn with replacement.
template <class T>
class Latents {
 public:
  /// base: of the flow. source: (d × m), the rows of the source; without columns, latents are drawn from the base
  /// density. Both must outlive the object.
  Latents(const flow::BaseDensity<T>& base, ConstMatrixView<T> source, std::uint64_t seed, random::Purpose purpose)
      : base_(base), source_(source), seed_(seed), purpose_(purpose) {}

  /// Writes a latent: z (d) out.
  void write(LatentPlace at, std::span<double> z) const;
  /// Returns the random numbers of a place. Number 0 gives the latent itself, and the others are for those who pair it
  /// with a row.
  random::Stream stream(LatentPlace at, Index number) const {
    return {seed_, purpose_, static_cast<std::uint64_t>(at.step), static_cast<std::uint64_t>(at.place),
            static_cast<std::uint64_t>(number)};
  }

 private:
  const flow::BaseDensity<T>& base_;
  ConstMatrixView<T> source_;
  std::uint64_t seed_;
  random::Purpose purpose_;
};

extern template class Latents<float>;
extern template class Latents<double>;

}  // namespace pushforward::train
