#include <pushforward/core/angle.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/assignment.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/sinkhorn.hpp>
#include <pushforward/train/coupling.hpp>

namespace pushforward::train {

template <class T>
void draw_latent(const flow::BaseDensity<T>& base, std::uint64_t seed, Index step, Index place, std::span<double> z) {
  random::Stream stream(seed, random::Purpose::flow_matching, static_cast<std::uint64_t>(step),
                        static_cast<std::uint64_t>(place));
  base.draw(stream, z);
}

template <class T>
OptimalTransport<T>::OptimalTransport(const flow::BaseDensity<T>& base, const flow::Batch<T>& rows, Index batch,
                                      Index steps, std::uint64_t seed, std::vector<Index> periodic,
                                      std::optional<double> regularization)
    : base_(base),
      batch_(batch),
      steps_(steps),
      seed_(seed),
      periodic_(std::move(periodic)),
      regularization_(regularization),
      source_(rows, {}, batch, seed),
      mine_(static_cast<std::size_t>(batch)) {}

template <class T>
void OptimalTransport<T>::begin_step(const comm::Communicator& comm, Index step) {
  const PhaseScope scope(Phase::coupling);
  step_ = step;
  if (step >= first_ && step < first_ + count_) return;
  const Index own = step + comm.rank();
  comm::agree(comm, [&] {
    if (own < steps_) solve(own, mine_);
  });
  first_ = step;
  count_ = comm.size();
  known_.resize(static_cast<std::size_t>(count_ * batch_));
  comm.all_gather(std::span<const Index>(mine_), std::span(known_));
}

template <class T>
void OptimalTransport<T>::solve(Index step, std::span<Index> latents) {
  const auto rows = source_.next(step, {0, batch_}).x;
  const Index d = rows.rows();
  Matrix<double> x(d, batch_), z(d, batch_), cost(batch_, batch_);
  for (Index j = 0; j < batch_; ++j) {
    for (Index i = 0; i < d; ++i) x(i, j) = static_cast<double>(rows(i, j));
    draw_latent(base_, seed_, step, j, z.view().column_span(j));
  }
  // ‖x − z‖² = ‖x‖² − 2x·z + ‖z‖², and along angles the square of the wrapped difference.
  Matrix<double> line_x(x), line_z(z);
  for (const Index row : periodic_) {
    for (Index j = 0; j < batch_; ++j) line_x(row, j) = line_z(row, j) = 0;
  }
  linalg::gemm(linalg::Op::transpose, linalg::Op::none, -2.0, line_x, line_z, 0.0, cost);
  std::vector<double> square(static_cast<std::size_t>(batch_));
  for (Index j = 0; j < batch_; ++j) square[j] = linalg::column_dot<double>(line_x, line_x, j);
  for (Index j = 0; j < batch_; ++j) {
    const double other = linalg::column_dot<double>(line_z, line_z, j);
    for (Index i = 0; i < batch_; ++i) {
      cost(i, j) += square[i] + other;
      for (const Index row : periodic_) {
        const double apart = wrap_angle<double>(x(row, i) - z(row, j));
        cost(i, j) += apart * apart;
      }
    }
  }
  if (!regularization_) {
    std::ranges::copy(linalg::assign(cost).column_of, latents.begin());
    return;
  }
  const auto entropic = linalg::sinkhorn(cost, {}, {}, {.regularization = *regularization_});
  for (Index i = 0; i < batch_; ++i) {
    random::Stream stream(seed_, random::Purpose::flow_matching, static_cast<std::uint64_t>(step),
                          static_cast<std::uint64_t>(i), 2);
    latents[i] = linalg::draw_column(entropic.plan, i, stream.uniform());
  }
}

template class OptimalTransport<float>;
template class OptimalTransport<double>;
template void draw_latent(const flow::BaseDensity<float>&, std::uint64_t, Index, Index, std::span<double>);
template void draw_latent(const flow::BaseDensity<double>&, std::uint64_t, Index, Index, std::span<double>);

}  // namespace pushforward::train
