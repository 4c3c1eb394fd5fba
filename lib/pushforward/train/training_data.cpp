#include <pushforward/core/angle.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/table/columns.hpp>
#include <pushforward/toys/toy.hpp>
#include <pushforward/train/training_data.hpp>

#include <set>

namespace pushforward::train {

namespace {

using data::Split;
using data::splits;
using Kind = data::Standardization::Kind;

// Rows that are read, standardized and narrowed at a time.
constexpr Index slab = 16384;

RowSource open_toy(const DataOptions& options) {
  require<OptionError>(options.periodic.empty(), "data.periodic = {}: the built-in density {} has no angles",
                       join(options.periodic), options.toy);
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

// The file's and the options', ascending.
std::vector<Index> periodic_columns(const data::Dataset& dataset, const DataOptions& options) {
  std::set<Index> columns(dataset.periodic().begin(), dataset.periodic().end());
  try {
    for (const Index column : data::select_columns(options.periodic, dataset.feature_names())) columns.insert(column);
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("data.periodic: {}", error.what()));
  }
  return {columns.begin(), columns.end()};
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
  source.context_names = dataset->context_names();
  source.image_shape = dataset->image_shape();
  source.periodic = periodic_columns(*dataset, options);
  source.entropy = dataset->entropy();
  source.read = [=](Split split, Index first, MatrixView<double> x) { dataset->read(split, first, x); };
  source.read_weights = [=](Split split, Index first, std::span<double> w) { dataset->read_weights(split, first, w); };
  source.read_context = [=](Split split, Index first, MatrixView<double> c) { dataset->read_context(split, first, c); };
  return source;
}

Index slabs_of(Index rows) {
  return (rows + slab - 1) / slab;
}

// Calls f(first, count) for some slabs of `rows`. The rows of a slab are the same on any number of ranks, so that what
// is computed from it has the same bits.
template <class F>
void in_slabs(Index rows, comm::Share slabs, F&& f) {
  for (Index i = slabs.first; i < slabs.last; ++i) f(i * slab, std::min(slab, rows - i * slab));
}

// Moments over the training rows of what `read` has of them, d numbers each.
template <class Read>
data::Moments training_moments(const RowSource& source, Index d, Read&& read) {
  data::Moments moments(d);
  Matrix<double> x(d, slab);
  std::vector<double> weights;
  const Index rows = source.rows[data::index_of(Split::train)];
  in_slabs(rows, {0, slabs_of(rows)}, [&](Index first, Index count) {
    read(Split::train, first, x.view().columns(0, count));
    if (source.weighted) {
      weights.resize(count);
      source.read_weights(Split::train, first, weights);
    }
    moments.add(x.view().columns(0, count), weights);
  });
  return moments;
}

data::Standardization fit_rows(const RowSource& source, Kind kind) {
  if (kind == Kind::none) return data::Standardization(source.dimension);
  const auto moments = training_moments(source, source.dimension, source.read);
  try {
    return {kind, moments, source.feature_names, source.periodic};
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}", source.name, error.what()));  // the moments do not know whose they are
  }
}

data::Standardization fit_contexts(const RowSource& source, Kind kind) {
  const Index c = source.context_dimension();
  if (kind == Kind::none) return data::Standardization(c);
  return data::fit_context(training_moments(source, c, source.read_context));
}

// The standardization of rank 0, which is `fitted` there, on all ranks.
data::Standardization broadcast(const comm::Communicator& comm, const std::optional<data::Standardization>& fitted,
                                Kind kind, Index d) {
  std::vector<double> mean = comm.is_root() ? fitted->mean() : std::vector<double>(d);
  Matrix<double> factor = comm.is_root() ? fitted->factor() : Matrix<double>(d, d);
  comm.broadcast(mean);
  comm.broadcast(factor.span());
  return {kind, std::move(mean), std::move(factor)};
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
  fit(comm, options.standardize);
  for (const Split split : splits) {
    const auto at = data::index_of(split);
    const Index rows = source_.rows[at];
    samples_[at] = std::make_unique<comm::SharedArray<T>>(comm, dimension() * rows);
    weights_[at] = std::make_unique<comm::SharedArray<T>>(comm, source_.weighted ? rows : 0);
    contexts_[at] = std::make_unique<comm::SharedArray<T>>(comm, context_dimension() * rows);
    comm::agree(comm, [&] { read_rows(split, samples_[at]->share(slabs_of(rows))); });
    for (auto* array : {samples_[at].get(), weights_[at].get(), contexts_[at].get()}) array->fence();
  }
}

template <class T>
void TrainingData<T>::fit(const comm::Communicator& comm, const std::string& kind) {
  std::optional<data::Standardization> rows, contexts;
  auto parsed = Kind::none;
  comm::agree(comm, [&] {
    parsed = data::parse_kind(kind);
    if (!comm.is_root()) return;
    rows = fit_rows(source_, parsed);
    if (context_dimension() > 0) contexts = fit_contexts(source_, parsed);
  });
  standardization_ = broadcast(comm, rows, parsed, dimension());
  if (context_dimension() == 0) return;
  const auto of_contexts = parsed == Kind::none ? Kind::none : Kind::scale;
  context_standardization_ = broadcast(comm, contexts, of_contexts, context_dimension());
}

template <class T>
void TrainingData<T>::read_rows(Split split, comm::Share slabs) {
  const auto at = data::index_of(split);
  const MatrixView<T> samples(samples_[at]->data().data(), dimension(), rows(split));
  const MatrixView<T> contexts(contexts_[at]->data().data(), context_dimension(), rows(split));
  Matrix<double> x(dimension(), std::min(slab, rows(split))), c(context_dimension(), x.cols());
  std::vector<double> w(source_.weighted ? static_cast<std::size_t>(x.cols()) : 0);
  in_slabs(rows(split), slabs, [&](Index first, Index count) {
    const auto raw = x.view().columns(0, count);
    const auto to = samples.columns(first, count);
    source_.read(split, first, raw);
    standardization_.forward<T>(raw, to);
    for (const Index i : periodic()) {
      for (Index j = 0; j < count; ++j) {
        largest_angle_ = std::max(largest_angle_, std::abs(raw(i, j)));
        to(i, j) = wrap_angle<T>(raw(i, j));
      }
    }
    if (context_standardization_) {
      source_.read_context(split, first, c.view().columns(0, count));
      context_standardization_->forward<T>(c.view().columns(0, count), contexts.columns(first, count));
    }
    if (source_.weighted) {
      source_.read_weights(split, first, std::span(w).first(count));
      std::copy_n(w.begin(), count, weights_[at]->data().begin() + first);
    }
  });
}

template <class T>
void TrainingData<T>::release() {
  for (const Split split : splits) {
    samples_[data::index_of(split)]->release();
    weights_[data::index_of(split)]->release();
    contexts_[data::index_of(split)]->release();
  }
}

template <class T>
ConstMatrixView<T> TrainingData<T>::samples(Split split) const {
  const comm::SharedArray<T>& array = *samples_[data::index_of(split)];
  return {array.data().data(), dimension(), rows(split)};
}

template <class T>
ConstMatrixView<T> TrainingData<T>::context(Split split) const {
  const comm::SharedArray<T>& array = *contexts_[data::index_of(split)];
  return {array.data().data(), context_dimension(), rows(split)};
}

template <class T>
std::span<const T> TrainingData<T>::weights(Split split) const {
  const comm::SharedArray<T>& array = *weights_[data::index_of(split)];
  return array.data();
}

template class TrainingData<float>;
template class TrainingData<double>;

}  // namespace pushforward::train
