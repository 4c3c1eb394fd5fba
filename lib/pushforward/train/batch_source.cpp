#include <pushforward/train/batch_source.hpp>

namespace pushforward::train {

namespace {

// Copies columns with these numbers to `memory`, which grows if it must.
template <class T>
ConstMatrixView<T> gather_columns(ConstMatrixView<T> from, std::span<const Index> columns, std::vector<T>& memory) {
  memory.resize(columns.size() * static_cast<std::size_t>(from.rows()));
  const MatrixView<T> to(memory.data(), from.rows(), std::ssize(columns));
  for (std::size_t i = 0; i < columns.size(); ++i) {
    std::copy_n(from.column(columns[i]), from.rows(), to.column(static_cast<Index>(i)));
  }
  return to;
}

}  // namespace

template <class T>
RowBatches<T>::RowBatches(const flow::Batch<T>& train, const flow::Batch<T>& validation, Index batch,
                          std::uint64_t seed)
    : train_(train), validation_(validation), seed_(seed), order_(seed, train.size(), batch) {}

template <class T>
flow::Batch<T> RowBatches<T>::gather() {
  flow::Batch<T> batch{.x = gather_columns(train_.x, rows_, x_),
                       .context = gather_columns(train_.context, rows_, context_)};
  if (train_.weight.empty()) return batch;
  weight_.resize(rows_.size());
  for (std::size_t i = 0; i < rows_.size(); ++i) weight_[i] = train_.weight[rows_[i]];
  batch.weight = weight_;
  return batch;
}

template <class T>
flow::Batch<T> RowBatches<T>::next(Index step, comm::Share share) {
  rows_.resize(static_cast<std::size_t>(share.count()));
  order_.rows(step, share.first, rows_);
  auto batch = gather();
  batch.draws = {.seed = seed_, .step = static_cast<std::uint64_t>(step), .samples = rows_};
  return batch;
}

template <class T>
flow::Batch<T> RowBatches<T>::first_rows(Index n) {
  rows_.resize(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    order_.rows(i / order_.batch(), i % order_.batch(), std::span(rows_).subspan(i, 1));
  }
  auto batch = gather();
  batch.weight = {};
  return batch;
}

template class RowBatches<float>;
template class RowBatches<double>;

}  // namespace pushforward::train
