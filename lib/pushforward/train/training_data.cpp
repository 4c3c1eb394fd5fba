#include <pushforward/base/timer.hpp>
#include <pushforward/data/toy.hpp>
#include <pushforward/train/training_data.hpp>

namespace pushforward::train {

namespace {

using data::Split;
using data::splits;

// Rows that are read, standardized and narrowed at a time.
constexpr Index slab = 16384;

RowSource open_toy(const DataOptions& options) {
  const auto density = std::make_shared<const data::ToyDensity>(options.toy);
  const Index rows = options.rows, validation = std::max<Index>(1, rows / 50), test = std::max<Index>(1, rows / 10);
  const auto seed = static_cast<std::uint64_t>(options.seed);
  RowSource source;
  source.name = fmt::format("built-in {}", options.toy);
  source.dimension = 2;
  source.rows = {rows, validation, test};
  source.feature_names = {"x1", "x2"};
  source.entropy = density->entropy();
  // The three splits are consecutive rows of one sequence.
  const data::BySplit<Index> start{0, rows, rows + validation};
  source.read = [=](Split split, Index first, MatrixView<double> x) {
    density->draw(seed, start[data::index_of(split)] + first, x);
  };
  return source;
}

RowSource open_file(const DataOptions& options, const data::Fractions& fractions) {
  const data::Division division{fractions, static_cast<std::uint64_t>(options.seed)};
  const auto dataset = std::make_shared<const data::Dataset>(options.file, division);
  RowSource source;
  source.name = options.file;
  source.dimension = dataset->dimension();
  for (const Split split : splits) source.rows[data::index_of(split)] = dataset->rows(split);
  source.weighted = dataset->weighted();
  source.feature_names = dataset->feature_names();
  source.entropy = dataset->entropy();
  source.read = [=](Split split, Index first, MatrixView<double> x) { dataset->read(split, first, x); };
  source.read_weights = [=](Split split, Index first, std::span<double> w) { dataset->read_weights(split, first, w); };
  return source;
}

// Calls f(first, count) for slabs of `rows`.
template <class F>
void in_slabs(Index rows, F&& f) {
  for (Index first = 0; first < rows; first += slab) f(first, std::min(slab, rows - first));
}

data::Standardization fit(const RowSource& source, const std::string& kind) {
  const auto parsed = data::parse_kind(kind);
  if (parsed == data::Standardization::Kind::none) return data::Standardization(source.dimension);
  data::Moments moments(source.dimension);
  Matrix<double> x(source.dimension, slab);
  std::vector<double> weights;
  in_slabs(source.rows[data::index_of(Split::train)], [&](Index first, Index count) {
    source.read(Split::train, first, x.view().columns(0, count));
    if (source.weighted) {
      weights.resize(static_cast<std::size_t>(count));
      source.read_weights(Split::train, first, weights);
    }
    moments.add(x.view().columns(0, count), weights);
  });
  try {
    return {parsed, moments, source.feature_names};
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", source.name, error.what()));  // the moments do not know whose they are
  }
}

// The standardization of rank 0 on all ranks.
data::Standardization broadcast(const comm::Communicator& comm, const data::Standardization& from) {
  std::vector<double> mean = from.mean();
  Matrix<double> factor = from.factor();
  comm.broadcast(mean);
  comm.broadcast(factor.span());
  return {from.kind(), std::move(mean), std::move(factor)};
}

}  // namespace

RowSource open_rows(const DataOptions& options) {
  const auto fractions = data::parse_fractions(options.fractions);
  return options.file.empty() ? open_toy(options) : open_file(options, fractions);
}

template <class T>
TrainingData<T>::TrainingData(const comm::Communicator& comm, const DataOptions& options) : standardization_(1) {
  const PhaseScope scope(Phase::input_output);
  comm::agree(comm, [&] { source_ = open_rows(options); });
  const Index d = source_.dimension;
  comm::agree(comm, [&] {
    const auto kind = data::parse_kind(options.standardize);
    standardization_ = comm.is_root()
                           ? fit(source_, options.standardize)
                           : data::Standardization(kind, std::vector<double>(static_cast<std::size_t>(d)), [d] {
                               Matrix<double> unit(d, d);
                               for (Index i = 0; i < d; ++i) unit(i, i) = 1;
                               return unit;
                             }());
  });
  standardization_ = broadcast(comm, standardization_);
  for (const Split split : splits) {
    const auto at = data::index_of(split);
    const Index rows = source_.rows[at];
    samples_[at] = std::make_unique<comm::SharedArray<T>>(comm, d * rows);
    weights_[at] = std::make_unique<comm::SharedArray<T>>(comm, source_.weighted ? rows : 0);
    comm::agree(comm, [&] {
      if (!samples_[at]->is_writer()) return;
      const MatrixView<T> to(samples_[at]->data().data(), d, rows);
      Matrix<double> x(d, std::min(slab, rows));
      std::vector<double> w(source_.weighted ? static_cast<std::size_t>(x.cols()) : 0);
      in_slabs(rows, [&](Index first, Index count) {
        source_.read(split, first, x.view().columns(0, count));
        standardization_.forward<T>(x.view().columns(0, count), to.columns(first, count));
        if (!source_.weighted) return;
        source_.read_weights(split, first, std::span(w).first(static_cast<std::size_t>(count)));
        std::copy_n(w.begin(), count, weights_[at]->data().begin() + first);
      });
    });
    samples_[at]->fence();
    weights_[at]->fence();
  }
}

template <class T>
void TrainingData<T>::release() {
  for (const Split split : splits) {
    samples_[data::index_of(split)]->release();
    weights_[data::index_of(split)]->release();
  }
}

template <class T>
ConstMatrixView<T> TrainingData<T>::samples(Split split) const {
  const comm::SharedArray<T>& array = *samples_[data::index_of(split)];
  return {array.data().data(), dimension(), rows(split)};
}

template <class T>
std::span<const T> TrainingData<T>::weights(Split split) const {
  const comm::SharedArray<T>& array = *weights_[data::index_of(split)];
  return array.data();
}

template class TrainingData<float>;
template class TrainingData<double>;

}  // namespace pushforward::train
