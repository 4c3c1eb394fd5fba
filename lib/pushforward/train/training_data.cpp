#include <pushforward/core/angle.hpp>
#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/dataset/dataset.hpp>
#include <pushforward/dataset/largest_weight.hpp>
#include <pushforward/dataset/toy_rows.hpp>
#include <pushforward/table/columns.hpp>
#include <pushforward/train/training_data.hpp>

#include <cmath>
#include <set>

namespace pushforward::train {

namespace {

using data::Moments;
using data::Split;
using data::splits;
using Kind = data::Standardization::Kind;

// The columns that are angles by the description or by the options, ascending.
std::vector<Index> periodic_columns(const data::Description& description, const DataOptions& options) {
  std::set<Index> columns(description.periodic.begin(), description.periodic.end());
  try {
    for (const Index column : data::select_columns(options.periodic, description.feature_names)) columns.insert(column);
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("data.periodic: {}", error.what()));
  }
  return {columns.begin(), columns.end()};
}

// The spheres of the description and of the options.
std::vector<Sphere> spheres_of_data(const data::Description& description, const DataOptions& options) {
  auto spheres = description.spheres;
  try {
    for (const auto& text : options.spheres) {
      std::vector<std::string> selectors{""};
      for (const char c : text) {
        if (c == '+') {
          selectors.emplace_back();
        } else {
          selectors.back() += c;
        }
      }
      auto& sphere = spheres.emplace_back(data::select_columns(selectors, description.feature_names));
      std::ranges::sort(sphere);
    }
    check_spheres(spheres, description.periodic, description.dimension);
  } catch (const OptionError& error) {
    throw OptionError(fmt::format("data.spheres: {}", error.what()));
  }
  return spheres;
}

// Writes the moments of this rank's slabs to the node's table, one after the other. `values` gives the (d × n) numbers
// of a slab whose moments are wanted.
template <class Slabs, class Values>
void pack_moments(const Slabs& slabs, Index first, Index d, Moments::Second second, std::span<double> table,
                  Values&& values) {
  const Index size = Moments::packed_size(d, second);
  for (std::size_t i = 0; i < slabs.size(); ++i) {
    Moments moments(d, second);
    moments.add(values(slabs[i]), slabs[i].weights);
    moments.pack(table.subspan((first + static_cast<Index>(i)) * size, size));
  }
}

Moments merge_moments(Index d, Moments::Second second, std::span<const double> table) {
  Moments all(d, second);
  const auto size = static_cast<std::size_t>(Moments::packed_size(d, second));
  for (std::size_t at = 0; at < table.size(); at += size) all.merge(Moments(d, second, table.subspan(at, size)));
  return all;
}

// Returns the standardization `fitted` of rank 0, on all ranks.
data::Standardization broadcast(const comm::Communicator& comm, const std::optional<data::Standardization>& fitted,
                                Kind kind, Index d) {
  std::vector<double> mean = comm.is_root() ? fitted->mean() : std::vector<double>(d);
  Matrix<double> factor = comm.is_root() ? fitted->factor() : Matrix<double>(d, kind == Kind::whiten ? d : 1);
  comm.broadcast(mean);
  comm.broadcast(factor.span());
  return {kind, std::move(mean), std::move(factor)};
}

// Calls open_rows(), and throws the same error on all ranks.
std::unique_ptr<data::RowReader> open_on_all(const comm::Communicator& comm, const DataOptions& options) {
  std::unique_ptr<data::RowReader> reader;
  comm::agree(comm, [&] { reader = open_rows(options); });
  return reader;
}

}  // namespace

std::unique_ptr<data::RowReader> open_rows(const DataOptions& options) {
  const auto fractions = data::parse_fractions(options.fractions);
  const auto seed = static_cast<std::uint64_t>(options.seed);
  if (!options.file.empty()) return std::make_unique<data::Dataset>(options.file, data::Division{fractions, seed});
  require<OptionError>(options.periodic.empty(), "data.periodic = {}: the built-in density {} has no angles",
                       join_some(options.periodic), options.toy);
  require<OptionError>(options.spheres.empty(), "data.spheres = {}: the built-in density {} has no unit vectors",
                       join_some(options.spheres), options.toy);
  return std::make_unique<data::ToyRows>(options.toy, options.rows, seed);
}

template <class T>
TrainingData<T>::TrainingData(const comm::Communicator& comm, const DataOptions& options, Index slab)
    : TrainingData(comm, *open_on_all(comm, options), options, slab) {
  if (options.source.empty()) return;
  DataOptions source = options;
  source.file = options.source;
  read_source(comm, *open_on_all(comm, source));
}

template <class T>
TrainingData<T>::TrainingData(const comm::Communicator& comm, const data::RowReader& reader, const DataOptions& options,
                              Index slab)
    : description_(reader.description()), slab_(slab), standardization_(1) {
  const PhaseScope scope(Phase::input_output);
  Kind kind{};
  comm::agree(comm, [&] {
    require<OptionError>(slab >= 1, "slabs of {} rows: at least 1 is wanted", slab);
    kind = data::parse_kind(options.standardize == "auto" ? "scale" : options.standardize);
    description_.periodic = periodic_columns(description_, options);
    description_.spheres = spheres_of_data(description_, options);
  });
  const int ranks = comm::ranks_on_node(comm);
  comm::agree(comm, [&] { require_room(kind, ranks); });
  for (const Split split : splits) {
    const auto at = data::index_of(split);
    samples_[at] = std::make_unique<comm::SharedArray<T>>(comm, description_.dimension * rows(split));
    weights_[at] = std::make_unique<comm::SharedArray<T>>(comm, description_.weighted ? rows(split) : 0);
    contexts_[at] = std::make_unique<comm::SharedArray<T>>(comm, description_.context_dimension() * rows(split));
  }
  if (description_.weighted) measure_weights(comm, reader);
  standardization_ = data::Standardization(description_.dimension);
  if (description_.context_dimension() > 0) context_standardization_.emplace(description_.context_dimension());
  if (kind != Kind::none) standardize(comm, reader, kind);
  comm::agree(comm, [&] {
    for (const Split split : splits) {
      if (split == Split::train && kind != Kind::none) continue;
      const auto share = samples_[data::index_of(split)]->share(slabs_of(split));
      for (Index i = share.first; i < share.last; ++i) store(split, i, read(reader, split, i));
    }
  });
  for (const Split split : splits) {
    const auto at = data::index_of(split);
    for (auto* array : {samples_[at].get(), weights_[at].get(), contexts_[at].get()}) array->fence();
  }
}

template <class T>
void TrainingData<T>::require_room(Kind kind, int ranks) const {
  const auto d = static_cast<double>(description_.dimension);
  const auto c = static_cast<double>(description_.context_dimension());
  const double numbers = d + c + (description_.weighted ? 1 : 0), train = static_cast<double>(rows(Split::train));
  double bytes = 0;
  for (const Split split : splits) bytes += sizeof(T) * numbers * static_cast<double>(rows(split));
  // The training rows are kept as doubles until their moments are known.
  if (kind != Kind::none) bytes += sizeof(double) * numbers * train;
  require_memory(
      bytes,
      fmt::format("{}: {} rows of {} columns need", description_.name, rows(Split::train), description_.dimension),
      "take fewer rows or columns");
  if (kind != Kind::whiten) return;
  // Each slab has moments, and each rank works on those of one at a time. Rank 0 merges and factors them.
  const double matrices = std::ceil(train / static_cast<double>(slab_)) + 2 * ranks + 4;
  require_memory(bytes + sizeof(double) * d * d * matrices,
                 fmt::format("{}: the covariance of {} columns needs", description_.name, description_.dimension),
                 "choose data.standardize = scale, or take fewer columns");
  require<DataError>(rows(Split::train) > description_.dimension,
                     "{}: {} rows for training have no covariance of {} columns that could be whitened; choose "
                     "data.standardize = scale",
                     description_.name, rows(Split::train), description_.dimension);
}

template <class T>
Index TrainingData<T>::slabs_of(Split split) const {
  return (rows(split) + slab_ - 1) / slab_;
}

template <class T>
typename TrainingData<T>::Slab TrainingData<T>::read(const data::RowReader& reader, Split split, Index number) const {
  const Index first = number * slab_, count = std::min(slab_, rows(split) - first);
  Slab slab{Matrix<double>(description_.dimension, count), Matrix<double>(description_.context_dimension(), count), {}};
  reader.read(split, first, slab.x.view());
  if (description_.context_dimension() > 0) reader.read_context(split, first, slab.context.view());
  if (description_.weighted) {
    slab.weights.resize(static_cast<std::size_t>(count));
    reader.read_weights(split, first, slab.weights);
    for (double& weight : slab.weights) weight /= largest_weight_[data::index_of(split)];
  }
  return slab;
}

template <class T>
void TrainingData<T>::measure_weights(const comm::Communicator& comm, const data::RowReader& reader) {
  for (const Split split : splits) {
    const auto what = fmt::format("{}: all weights of the {} rows", description_.name, split_name(split));
    largest_weight_[data::index_of(split)] = data::largest_weight(
        comm, rows(split), what,
        [&](Index first, std::span<double> weights) { reader.read_weights(split, first, weights); });
  }
}

template <class T>
void TrainingData<T>::standardize(const comm::Communicator& comm, const data::RowReader& reader, Kind kind) {
  const auto mine = samples_[data::index_of(Split::train)]->share(slabs_of(Split::train));
  std::vector<Slab> slabs;
  comm::agree(comm, [&] {
    for (Index i = mine.first; i < mine.last; ++i) slabs.push_back(read(reader, Split::train, i));
  });
  fit(comm, kind, slabs, mine.first);
  comm::agree(comm, [&] {
    for (Index i = mine.first; i < mine.last; ++i) {
      const Slab raw = std::move(slabs[i - mine.first]);
      store(Split::train, i, raw);
    }
  });
}

template <class T>
void TrainingData<T>::fit(const comm::Communicator& comm, Kind kind, const std::vector<Slab>& slabs, Index first) {
  const Index d = description_.dimension, c = description_.context_dimension();
  const Index count = slabs_of(Split::train);
  const auto variances = Moments::Second::variances;
  const auto second = kind == Kind::whiten ? Moments::Second::covariances : variances;
  comm::SharedArray<double> of_rows(comm, count * Moments::packed_size(d, second));
  comm::SharedArray<double> of_contexts(comm, c > 0 ? count * Moments::packed_size(c, variances) : 0);
  pack_moments(slabs, first, d, second, of_rows.data(), [](const Slab& slab) { return slab.x.view(); });
  if (c > 0) {
    pack_moments(slabs, first, c, variances, of_contexts.data(), [](const Slab& slab) { return slab.context.view(); });
  }
  of_rows.fence();
  of_contexts.fence();
  std::optional<data::Standardization> rows, contexts;
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    try {
      const auto& about = description_;
      auto kept = columns_of(about.spheres);
      kept.insert(kept.end(), about.periodic.begin(), about.periodic.end());
      rows.emplace(kind, merge_moments(d, second, of_rows.data()), about.feature_names, kept);
    } catch (const DataError& error) {
      // The moments do not know the name of the dataset, so it is added here.
      throw DataError(fmt::format("{}: {}", description_.name, error.what()));
    }
    if (c > 0) contexts = data::fit_context(merge_moments(c, variances, of_contexts.data()));
  });
  of_rows.release();
  of_contexts.release();
  standardization_ = broadcast(comm, rows, kind, d);
  if (c > 0) context_standardization_ = broadcast(comm, contexts, Kind::scale, c);
}

template <class T>
void TrainingData<T>::require_unit_vectors(const std::string& name, Split split, Index first,
                                           ConstMatrixView<double> x) const {
  for (const Sphere& sphere : description_.spheres) {
    std::vector<std::string> columns;
    for (const Index i : sphere) columns.push_back(description_.feature_names[i]);
    for (Index j = 0; j < x.cols(); ++j) {
      const double radius = radius_of<double>(sphere, x.column_span(j));
      require<DataError>(std::abs(radius - 1) <= unit_tolerance,
                         "{}: row {} (counted from 0) of {}: {} should be a unit vector, and its length is {}; divide "
                         "rows by their lengths, or import latitudes and longitudes with flow_data import --sphere",
                         name, first + j, split_name(split), join(columns), radius);
    }
  }
}

template <class T>
void TrainingData<T>::store(Split split, Index number, const Slab& slab) {
  const auto at = data::index_of(split);
  const Index first = number * slab_, count = slab.x.cols();
  const auto x = MatrixView<T>(samples_[at]->data().data(), description_.dimension, rows(split)).columns(first, count);
  require_unit_vectors(description_.name, split, first, slab.x);
  standardization_.forward<T>(slab.x, x);
  for (const Index i : description_.periodic) {
    for (Index j = 0; j < count; ++j) {
      largest_angle_ = std::max(largest_angle_, std::abs(slab.x(i, j)));
      x(i, j) = wrap_angle<T>(slab.x(i, j));
    }
  }
  if (context_standardization_) {
    const MatrixView<T> contexts(contexts_[at]->data().data(), description_.context_dimension(), rows(split));
    context_standardization_->forward<T>(slab.context, contexts.columns(first, count));
  }
  std::ranges::transform(slab.weights, weights_[at]->data().begin() + first,
                         [](double weight) { return static_cast<T>(weight); });
}

template <class T>
void TrainingData<T>::read_source(const comm::Communicator& comm, const data::RowReader& reader) {
  const PhaseScope scope(Phase::input_output);
  const auto& about = reader.description();
  comm::agree(comm, [&] {
    require<DataError>(about.dimension == description_.dimension,
                       "{}: the source has {} columns, and the rows of {} have {}", about.name, about.dimension,
                       description_.name, description_.dimension);
    require<DataError>(!about.weighted, "{}: the source has weights, and paths begin at each of its rows equally often",
                       about.name);
    double bytes = 0;
    for (const Split split : splits) bytes += sizeof(T) * static_cast<double>(about.dimension * reader.rows(split));
    require_memory(
        bytes, fmt::format("{}: {} rows of {} columns need", about.name, reader.rows(Split::train), about.dimension),
        "take fewer rows or columns");
  });
  for (const Split split : splits) {
    sources_[data::index_of(split)] =
        std::make_unique<comm::SharedArray<T>>(comm, about.dimension * reader.rows(split));
  }
  comm::agree(comm, [&] {
    for (const Split split : splits) {
      auto& array = *sources_[data::index_of(split)];
      const Index rows = reader.rows(split);
      const MatrixView<T> all(array.data().data(), about.dimension, rows);
      const auto mine = array.share((rows + slab_ - 1) / slab_);
      for (Index i = mine.first; i < mine.last; ++i) {
        Matrix<double> values(about.dimension, std::min(slab_, rows - i * slab_));
        reader.read(split, i * slab_, values.view());
        require_unit_vectors(about.name, split, i * slab_, values);
        const auto to = all.columns(i * slab_, values.cols());
        for (Index j = 0; j < values.cols(); ++j) {
          std::ranges::transform(values.view().column_span(j), to.column(j),
                                 [](double v) { return static_cast<T>(v); });
          for (const Index row : description_.periodic) to(row, j) = wrap_angle<T>(values(row, j));
        }
      }
    }
  });
  for (const auto& array : sources_) array->fence();
}

template <class T>
ConstMatrixView<T> TrainingData<T>::source(Split split) const {
  const auto& array = sources_[data::index_of(split)];
  const auto values = array ? std::as_const(*array).data() : std::span<const T>();
  return {values.data(), description_.dimension, std::ssize(values) / description_.dimension};
}

template <class T>
void TrainingData<T>::release() {
  for (const Split split : splits) {
    samples_[data::index_of(split)]->release();
    weights_[data::index_of(split)]->release();
    contexts_[data::index_of(split)]->release();
    if (sources_[data::index_of(split)]) sources_[data::index_of(split)]->release();
  }
}

template <class T>
flow::Domain TrainingData<T>::domain() const {
  return {.shape = description_.image_shape.value_or(Shape::vector(description_.dimension)),
          .periodic = description_.periodic,
          .spheres = description_.spheres,
          .context = description_.context_dimension()};
}

template <class T>
flow::Batch<T> TrainingData<T>::batch(Split split) const {
  const auto at = data::index_of(split);
  const Index n = rows(split);
  const auto& samples = std::as_const(*samples_[at]);
  const auto& contexts = std::as_const(*contexts_[at]);
  const auto& weights = std::as_const(*weights_[at]);
  return {.x = {samples.data().data(), description_.dimension, n},
          .context = {contexts.data().data(), description_.context_dimension(), n},
          .weight = weights.data()};
}

template class TrainingData<float>;
template class TrainingData<double>;

}  // namespace pushforward::train
