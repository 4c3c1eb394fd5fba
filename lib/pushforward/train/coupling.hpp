#pragma once

// Couplings of flow matching: which latent of a global batch goes with which row.
//
// The latents of a batch are functions of (seed, step, place), and its rows are functions of the step. So a coupling
// depends on no parameter, and any rank can compute the coupling of any step. With R ranks, rank r computes that of
// step k + r, and one exchange every R steps gives all couplings to all ranks. The result is the same on any number of
// ranks, to the last bit.

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/train/batch_source.hpp>

#include <optional>

namespace pushforward::train {

/// Writes the latent at a place of the global batch of a step: z (d) out, a draw from the base density.
template <class T>
void draw_latent(const flow::BaseDensity<T>& base, std::uint64_t seed, Index step, Index place, std::span<double> z);

template <class T>
class Coupling {
 public:
  virtual ~Coupling() = default;

  /// Called at the beginning of a step, the same step on all ranks. Collective.
  virtual void begin_step(const comm::Communicator& /*comm*/, Index /*step*/) {}
  /// Returns the place of the latent that goes with the row at `place` of the global batch. The step is that of the
  /// last begin_step().
  virtual Index latent_of(Index place) const { return place; }
};

/// Optimal transport between the rows and the latents of a global batch, at the cost of the squared distance. Along
/// angles, the distance is that on the circle. Without a regularization it is the assignment of least total cost, by
/// linalg::assign(). With one, the latent of each row is drawn from the row's part of the entropic plan, by
/// linalg::sinkhorn(), so that several rows may have the same latent.
template <class T>
class OptimalTransport final : public Coupling<T> {
 public:
  /// base: of the latents; it must outlive the object. rows: all training rows, as for RowBatches. batch: rows of the
  /// global batch. steps: of the run. periodic: rows of x that are angles. regularization: see linalg::SinkhornOptions.
  OptimalTransport(const flow::BaseDensity<T>& base, const flow::Batch<T>& rows, Index batch, Index steps,
                   std::uint64_t seed, std::vector<Index> periodic, std::optional<double> regularization = {});

  /// Solves the assignments of the next steps if that of this step is not known. Throws NumericalError, the same on all
  /// ranks.
  void begin_step(const comm::Communicator& comm, Index step) override;
  Index latent_of(Index place) const override { return known_[(step_ - first_) * batch_ + place]; }

 private:
  /// Writes the latent of each place of a step.
  void solve(Index step, std::span<Index> latents);

  const flow::BaseDensity<T>& base_;
  Index batch_, steps_;
  std::uint64_t seed_;
  std::vector<Index> periodic_;
  std::optional<double> regularization_;
  RowBatches<T> source_;
  Index step_ = 0, first_ = 0, count_ = 0;  // the assignments of steps [first_, first_ + count_) are known
  std::vector<Index> mine_, known_;
};

extern template class OptimalTransport<float>;
extern template class OptimalTransport<double>;
extern template void draw_latent(const flow::BaseDensity<float>&, std::uint64_t, Index, Index, std::span<double>);
extern template void draw_latent(const flow::BaseDensity<double>&, std::uint64_t, Index, Index, std::span<double>);

}  // namespace pushforward::train
