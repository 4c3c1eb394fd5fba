#include <pushforward/core/angle.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/assignment.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/linalg/sinkhorn.hpp>
#include <pushforward/train/coupling.hpp>
#include <pushforward/train/path.hpp>

#include <map>

namespace pushforward::train {

namespace {

// Numbers of rows, by their contexts.
template <class T>
std::vector<std::vector<Index>> groups_of(ConstMatrixView<T> context) {
  std::map<std::vector<T>, std::vector<Index>> groups;
  for (Index j = 0; j < context.cols(); ++j) {
    const auto column = context.column_span(j);
    groups[{column.begin(), column.end()}].push_back(j);
  }
  std::vector<std::vector<Index>> all;
  for (auto& [context_of, members] : groups) all.push_back(std::move(members));
  return all;
}

template <class T>
Matrix<double> columns_of(ConstMatrixView<T> from, std::span<const Index> columns) {
  Matrix<double> to(from.rows(), std::ssize(columns));
  for (Index j = 0; j < to.cols(); ++j) std::ranges::copy(from.column_span(columns[j]), to.view().column(j));
  return to;
}

// Adds weight·‖a − b‖² = weight·(‖a‖² − 2a·b + ‖b‖²) for each pair of columns.
void add_squared_distances(double weight, ConstMatrixView<double> a, ConstMatrixView<double> b,
                           MatrixView<double> cost) {
  linalg::gemm(linalg::Op::transpose, linalg::Op::none, -2 * weight, a, b, 1.0, cost);
  std::vector<double> square(static_cast<std::size_t>(a.cols()));
  for (Index i = 0; i < a.cols(); ++i) square[i] = weight * linalg::column_dot<double>(a, a, i);
  for (Index j = 0; j < b.cols(); ++j) {
    const double other = weight * linalg::column_dot<double>(b, b, j);
    for (Index i = 0; i < a.cols(); ++i) cost(i, j) += square[i] + other;
  }
}

// The squared distance of each row from each latent, (n × n); along angles and spheres, that of geodesics.
Matrix<double> squared_distances(const Matrix<double>& x, const Matrix<double>& z, const TransportOptions& options) {
  Matrix<double> cost(x.cols(), z.cols()), line_x(x), line_z(z);
  const auto clear = [&](const std::vector<Index>& rows) {
    for (const Index row : rows) {
      for (Index j = 0; j < x.cols(); ++j) line_x(row, j) = line_z(row, j) = 0;
    }
  };
  clear(options.periodic);
  for (const Sphere& sphere : options.spheres) clear(sphere);
  add_squared_distances(1, line_x, line_z, cost);
  for (const Sphere& sphere : options.spheres) {
    for (Index j = 0; j < z.cols(); ++j) {
      for (Index i = 0; i < x.cols(); ++i) {
        cost(i, j) += std::pow(angle_between(sphere, z.view().column_span(j), x.view().column_span(i)), 2);
      }
    }
  }
  for (const Index row : options.periodic) {
    for (Index j = 0; j < z.cols(); ++j) {
      for (Index i = 0; i < x.cols(); ++i) {
        const double apart = wrap_angle<double>(x(row, i) - z(row, j));
        cost(i, j) += apart * apart;
      }
    }
  }
  return cost;
}

template <class T>
void write_image(const ImageOfRows<T>& image, const flow::Batch<T>& rows, MatrixView<T> to) {
  if (image) return image(rows, to);
  copy_samples<T>(rows.x, to);
}

}  // namespace

template <class T>
void transport(const flow::Batch<T>& rows, ConstMatrixView<double> latents, const TransportOptions& options,
               const std::function<double(Index)>& uniform, std::span<Index> latent_of) {
  std::vector<std::vector<Index>> groups(1);
  if (options.contexts == ContextRule::equal) {
    groups = groups_of(rows.context);
  } else {
    for (Index i = 0; i < rows.size(); ++i) groups[0].push_back(i);
  }
  for (const auto& members : groups) {
    auto cost = squared_distances(columns_of(rows.x, members), columns_of(latents, members), options);
    if (options.contexts == ContextRule::cost) {
      const auto context = columns_of(rows.context, members);
      add_squared_distances(options.context_cost, context, context, cost);
    }
    if (!options.regularization) {
      const auto best = linalg::assign(cost);
      for (std::size_t i = 0; i < members.size(); ++i) latent_of[members[i]] = members[best.column_of[i]];
      continue;
    }
    const auto entropic = linalg::sinkhorn(cost, {}, {}, {.regularization = *options.regularization});
    for (std::size_t i = 0; i < members.size(); ++i) {
      const auto column = linalg::draw_column(entropic.plan, static_cast<Index>(i), uniform(members[i]));
      latent_of[members[i]] = members[column];
    }
  }
}

template <class T>
OptimalTransport<T>::OptimalTransport(const Latents<T>& latents, const flow::Batch<T>& rows, Index batch, Index steps,
                                      std::uint64_t seed, TransportOptions options, ImageOfRows<T> image)
    : latents_(latents),
      batch_(batch),
      steps_(steps),
      options_(std::move(options)),
      image_(std::move(image)),
      source_(rows, {}, batch, seed) {
  const auto n = static_cast<double>(size());
  const double matrices = options_.regularization ? 3 : 1;
  require_memory(matrices * sizeof(double) * n * n,
                 fmt::format("the coupling of {} rows with as many latents needs", size()),
                 "choose a smaller train.batch, or a smaller objective.coupling_batch");
  x_ = Matrix<T>(rows.x.rows(), size());
  context_ = Matrix<T>(rows.context.rows(), size());
  mine_.resize(static_cast<std::size_t>(size()));
  if (options_.contexts != ContextRule::equal || steps == 0) return;
  require<OptionError>(std::ssize(groups_of(rows_of(0).context)) < size(),
                       "objective.coupling_context = \"equal\" couples rows of equal contexts, and the {} rows of the "
                       "first coupling have different ones; take \"cost\"",
                       size());
}

template <class T>
flow::Batch<T> OptimalTransport<T>::rows_of(Index group) {
  for (Index k = 0; k < options_.batches; ++k) {
    const auto rows = source_.next(group * options_.batches + k, {0, batch_});
    write_image(image_, rows, x_.view().columns(k * batch_, batch_));
    copy_samples<T>(rows.context, context_.view().columns(k * batch_, batch_));
  }
  return {.x = x_, .context = context_};
}

template <class T>
void OptimalTransport<T>::begin_step(const comm::Communicator& comm, Index step) {
  const PhaseScope scope(Phase::coupling);
  const Index group = step / options_.batches;
  if (group >= first_ && group < first_ + count_) return;
  const Index own = group + comm.rank();
  comm::agree(comm, [&] {
    if (own * options_.batches < steps_) solve(own, mine_);
  });
  first_ = group;
  count_ = comm.size();
  known_.resize(static_cast<std::size_t>(count_ * size()));
  comm.all_gather(std::span<const Index>(mine_), std::span(known_));
}

template <class T>
LatentPlace OptimalTransport<T>::latent_of(Index step, Index place) const {
  const Index group = step / options_.batches, begin = group * options_.batches;
  const Index latent = known_[(group - first_) * size() + (step - begin) * batch_ + place];
  return {begin + latent / batch_, latent % batch_};
}

template <class T>
void OptimalTransport<T>::solve(Index group, std::span<Index> numbers) {
  const Index begin = group * options_.batches;
  const auto rows = rows_of(group);
  const auto at = [&](Index row) { return LatentPlace{begin + row / batch_, row % batch_}; };
  Matrix<double> z(rows.x.rows(), size());
  for (Index j = 0; j < size(); ++j) latents_.write(at(j), z.view().column_span(j));
  const auto uniform = [&](Index row) { return latents_.stream(at(row), 2).uniform(); };
  transport<T>(rows, z, options_, uniform, numbers);
}

template <class T>
FixedTransport<T>::FixedTransport(const Latents<T>& latents, const flow::Batch<T>& rows, Index group,
                                  std::uint64_t seed, TransportOptions options, ImageOfRows<T> image)
    : latents_(latents),
      rows_(rows),
      group_(group),
      seed_(seed),
      options_(std::move(options)),
      image_(std::move(image)) {}

template <class T>
void FixedTransport<T>::begin_step(const comm::Communicator& comm, Index) {
  const PhaseScope scope(Phase::coupling);
  const Index n = rows_.size();
  if (std::ssize(latent_of_) == n) return;
  const random::Permutation order(seed_, random::Purpose::matching_check, 1, n);
  // Every row is 0 on all ranks but one, and numbers of rows are exact as doubles.
  std::vector<double> numbers(static_cast<std::size_t>(n));
  comm::agree(comm, [&] {
    for (Index first = comm.rank() * group_; first < n; first += comm.size() * group_) {
      const Index count = std::min(group_, n - first);
      Matrix<T> x(rows_.x.rows(), count), context(rows_.context.rows(), count), images(x);
      Matrix<double> z(rows_.x.rows(), count);
      std::vector<Index> members;
      for (Index j = 0; j < count; ++j) {
        const Index row = order(first + j);
        members.push_back(row);
        std::ranges::copy(rows_.x.column_span(row), x.view().column(j));
        if (!rows_.context.empty()) std::ranges::copy(rows_.context.column_span(row), context.view().column(j));
        latents_.write({0, row}, z.view().column_span(j));
      }
      std::vector<Index> latents(static_cast<std::size_t>(count));
      const auto uniform = [&](Index j) { return latents_.stream({0, members[j]}, 2).uniform(); };
      auto draws = rows_.draws;
      draws.samples = members;
      write_image<T>(image_, {.x = x, .context = context, .draws = draws}, images);
      transport<T>({.x = images, .context = context}, z, options_, uniform, latents);
      for (Index j = 0; j < count; ++j) numbers[members[j]] = static_cast<double>(members[latents[j]]);
    }
  });
  comm.sum(std::span(numbers));
  latent_of_.assign(numbers.begin(), numbers.end());
}

template class OptimalTransport<float>;
template class OptimalTransport<double>;
template class FixedTransport<float>;
template class FixedTransport<double>;
template void transport(const flow::Batch<float>&, ConstMatrixView<double>, const TransportOptions&,
                        const std::function<double(Index)>&, std::span<Index>);
template void transport(const flow::Batch<double>&, ConstMatrixView<double>, const TransportOptions&,
                        const std::function<double(Index)>&, std::span<Index>);

}  // namespace pushforward::train
