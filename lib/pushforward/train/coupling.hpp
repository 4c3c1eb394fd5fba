#pragma once

// Couplings of flow matching: which latent goes with which row of a global batch.
//
// The latents of a batch are functions of (seed, step, place), and its rows are functions of the step. So a coupling
// depends on no parameter, and any rank can compute the coupling of any step. With R ranks, rank r computes that of
// step k + r, and one exchange every R steps gives all couplings to all ranks. The result is the same on any number of
// ranks, to the last bit. A coupling may cover the rows of several successive steps; then the ranks share out groups of
// steps in the same way.
//
// Rows may have contexts. A latent has no context of its own, and the law of the latents is the same for all contexts.
// A coupling must keep it so, or else the paths lead to a wrong conditional density. There are two ways:
//
//   equal   The latents at the places of rows with equal contexts are coupled among these rows. This is exact. It is
//   for
//           classes.
//   cost    The latent at a place takes the context of the row at that place, and a pair of a row with context u and a
//           latent with context u′ costs λ‖u − u′‖² in addition [Cheng & Schwing 2025]. This is exact in the limit of
//           large λ or of many rows. It is for contexts that are numbers.
//
// The row's own context always is the one that the field sees.

#include <pushforward/comm/communicator.hpp>
#include <pushforward/train/batch_source.hpp>
#include <pushforward/train/latents.hpp>
#include <pushforward/train/row_images.hpp>

#include <optional>

namespace pushforward::train {

/// Names a row of a global batch: its place and its number in the dataset.
struct RowPlace {
  Index step = 0, place = 0, row = 0;
};

template <class T>
class Coupling {
 public:
  virtual ~Coupling() = default;

  /// Called at the beginning of a step, the same step on all ranks. Collective.
  virtual void begin_step(const comm::Communicator& /*comm*/, Index /*step*/) {}
  /// Writes the latent that goes with a row of a step that has begun: z (d) out.
  virtual void write_latent(const RowPlace& at, std::span<double> z) const = 0;
};

/// Every row gets the latent at its own place.
template <class T>
class Independent final : public Coupling<T> {
 public:
  explicit Independent(const Latents<T>& latents) : latents_(latents) {}
  void write_latent(const RowPlace& at, std::span<double> z) const override { latents_.write({at.step, at.place}, z); }

 private:
  Latents<T> latents_;
};

/// Every row has a point of its own.
template <class T>
class Given final : public Coupling<T> {
 public:
  /// points: (d × N), one for each row of the dataset; they must outlive the object.
  explicit Given(ConstMatrixView<T> points) : points_(points) {}
  void write_latent(const RowPlace& at, std::span<double> z) const override {
    std::ranges::copy(points_.column_span(at.row), z.begin());
  }

 private:
  ConstMatrixView<T> points_;
};

/// The way in which contexts enter a coupling: see above.
enum class ContextRule { none, equal, cost };

struct TransportOptions {
  std::vector<Index> periodic{};           ///< rows of x that are angles
  std::vector<Sphere> spheres{};           ///< rows of x that are unit vectors
  std::optional<double> regularization{};  ///< see linalg::SinkhornOptions; none: the exact assignment
  ContextRule contexts = ContextRule::none;
  double context_cost = 0;  ///< λ, for ContextRule::cost
  Index batches = 1;        ///< global batches whose rows are coupled together
};

/// Optimal transport between rows and latents, at the cost of the squared distance. Along angles, the distance is that
/// on the circle, and of unit vectors it is the angle between them. Without a regularization it is the assignment of
/// least total cost, by linalg::assign(). With one, the latent of each row is drawn from the row's part of the entropic
/// plan, by linalg::sinkhorn(), so that several rows may have the same latent. rows: x (d × n) and contexts (c × n) in.
/// latents: (d × n) in. uniform: gives a number from (0, 1) for the draw of each row. latent_of: (n) out, the number of
/// the latent of each row. Throws NumericalError if a cost is not finite or a plan is not found. Not collective. Cost:
/// see linalg::assign(); allocates.
template <class T>
void transport(const flow::Batch<T>& rows, ConstMatrixView<double> latents, const TransportOptions& options,
               const std::function<double(Index)>& uniform, std::span<Index> latent_of);

/// Optimal transport over the global batches of a run.
template <class T>
class OptimalTransport final : public Coupling<T> {
 public:
  /// rows: all training rows, as for RowBatches. batch: rows of the global batch. steps: of the run. seed: of the order
  /// of the rows. image: of rows, which is coupled in their place. Throws OptionError if a coupling needs more memory
  /// than there is, or if contexts are to be equal and no two rows of the first coupling have equal ones.
  OptimalTransport(const Latents<T>& latents, const flow::Batch<T>& rows, Index batch, Index steps, std::uint64_t seed,
                   TransportOptions options, ImageOfRows<T> image = {});

  /// Solves the couplings of the next groups of steps if that of this step is not known. Throws NumericalError, the
  /// same on all ranks.
  void begin_step(const comm::Communicator& comm, Index step) override;
  LatentPlace latent_of(Index step, Index place) const;
  void write_latent(const RowPlace& at, std::span<double> z) const override {
    latents_.write(latent_of(at.step, at.place), z);
  }

 private:
  /// The number of rows that are coupled together.
  Index size() const { return batch_ * options_.batches; }
  /// Writes the images of the rows of a group of steps, one step after the other, to x_, and their contexts to
  /// context_.
  flow::Batch<T> rows_of(Index group);
  /// Writes the number of the latent of each row of a group.
  void solve(Index group, std::span<Index> numbers);

  Latents<T> latents_;
  Index batch_, steps_;
  TransportOptions options_;
  ImageOfRows<T> image_;
  RowBatches<T> source_;
  Matrix<T> x_, context_;        // of a group
  Index first_ = 0, count_ = 0;  // the couplings of groups [first_, first_ + count_) are known
  std::vector<Index> mine_, known_;
};

/// Optimal transport between all rows of a set and as many latents, in groups of rows of a shuffled order. It is for
/// validations: all steps have the same coupling.
template <class T>
class FixedTransport final : public Coupling<T> {
 public:
  /// rows: they must outlive the object. group: rows that are coupled together; the last group may have fewer. image:
  /// see OptimalTransport.
  FixedTransport(const Latents<T>& latents, const flow::Batch<T>& rows, Index group, std::uint64_t seed,
                 TransportOptions options, ImageOfRows<T> image = {});

  /// Solves all groups in the first call, which the ranks share out. Throws NumericalError, the same on all ranks.
  void begin_step(const comm::Communicator& comm, Index step) override;
  void write_latent(const RowPlace& at, std::span<double> z) const override {
    latents_.write({0, latent_of_[at.row]}, z);
  }

 private:
  Latents<T> latents_;
  flow::Batch<T> rows_;
  Index group_;
  std::uint64_t seed_;
  TransportOptions options_;
  ImageOfRows<T> image_;
  std::vector<Index> latent_of_;  // of each row, once they are known
};

extern template class OptimalTransport<float>;
extern template class OptimalTransport<double>;
extern template class FixedTransport<float>;
extern template class FixedTransport<double>;
extern template void transport(const flow::Batch<float>&, ConstMatrixView<double>, const TransportOptions&,
                               const std::function<double(Index)>&, std::span<Index>);
extern template void transport(const flow::Batch<double>&, ConstMatrixView<double>, const TransportOptions&,
                               const std::function<double(Index)>&, std::span<Index>);

}  // namespace pushforward::train
