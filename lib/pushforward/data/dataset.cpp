#include <pushforward/data/dataset.hpp>

#include <pushforward/base/error.hpp>
#include <pushforward/base/text.hpp>
#include <pushforward/data/location.hpp>
#include <pushforward/data/table.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::data {

namespace {

// Elements of a buffer for reading by slabs: 8 MB of doubles.
constexpr Index slab_elements = Index{1} << 20;

Index slab_rows(Index dimension) {
  return std::max(slab_elements / dimension, Index{1});
}

std::vector<std::string> dataset_names(const h5::Group& group) {
  std::vector<std::string> names;
  for (const auto& name : group.names()) {
    if (group.has_dataset(name)) names.push_back(name);
  }
  return names;
}

Rows open_array(const h5::Group& file, const std::string& path) {
  const auto name = path.substr(std::min(path.find_first_not_of('/'), path.size()));
  auto values = file.dataset(path);
  if (!file.has_dataset("weight/" + name)) return Rows(std::move(values));
  return Rows(std::move(values), file.dataset("weight/" + name));
}

}  // namespace

Rows::Rows(h5::Dataset values, std::optional<h5::Dataset> weights)
    : values_(std::move(values)), weights_(std::move(weights)) {
  const auto& shape = values_.shape();
  require<DataError>(shape.size() == 1 || shape.size() == 2,
                     "{}: has shape ({}); an array with one row per sample is wanted, (N, d) or (N)", where(),
                     fmt::join(shape, ", "));
  require<DataError>(values_.is_numeric(), "{}: holds no numbers", where());
  require<DataError>(count() > 0, "{}: has no rows", where());
  require<DataError>(dimension() > 0, "{}: has rows of no numbers (d = 0)", where());
  if (weighted()) {
    require<DataError>(weights_->shape() == std::vector{count()} && weights_->is_numeric(),
                       "{}: has shape ({}); one weight for each of the {} rows of {} is wanted", weights_->where(),
                       fmt::join(weights_->shape(), ", "), count(), where());
  }
}

template <class T>
void Rows::read(Index first, MatrixView<T> x) const {
  values_.read_rows(first, x);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) {
      if (!std::isfinite(x(i, j))) refuse_non_finite(first + j, i);
    }
  }
}

void Rows::refuse_non_finite(Index row, Index column) const {
  Index values = 0, rows = 0;
  Matrix<double> slab(dimension(), std::min(slab_rows(dimension()), count()));
  for (Index first = 0; first < count(); first += slab.cols()) {
    const auto part = slab.view().columns(0, std::min(slab.cols(), count() - first));
    values_.read_rows(first, part);
    for (Index j = 0; j < part.cols(); ++j) {
      const auto bad = std::ranges::count_if(part.column_span(j), [](double v) { return !std::isfinite(v); });
      values += bad;
      rows += bad > 0 ? 1 : 0;
    }
  }
  throw DataError(
      fmt::format("{}: row {}, column {} (counted from 0) is NaN, infinite or too large for this precision; {} such "
                  "values in {} of {} rows. Drop those rows with flow_data import --drop-nonfinite",
                  where(), row, column, std::max(values, Index{1}), std::max(rows, Index{1}), count()));
}

void Rows::read_weights(Index first, std::span<double> weights) const {
  if (!weighted()) {
    std::ranges::fill(weights, 1.0);
    return;
  }
  weights_->read_rows(first, MatrixView<double>(weights.data(), 1, static_cast<Index>(weights.size())));
  const auto bad = std::ranges::find_if(weights, [](double w) { return !(std::isfinite(w) && w >= 0); });
  require<DataError>(bad == weights.end(),
                     "{}: the weight of row {} (counted from 0) is {}; weights are finite and not negative",
                     weights_->where(), first + (bad - weights.begin()), bad == weights.end() ? 0 : *bad);
}

Rows open_rows(const std::string& location, Split split) {
  const auto [file, path] = parse_location(location);
  return open_array(h5::open_file(file), path.empty() ? std::string(split_name(split)) : path);
}

Dataset::Dataset(const std::string& location, const Division& division) {
  const auto [name, path] = parse_location(location);
  const auto file = h5::open_file(name);
  if (path.empty()) {
    open_splits(file);
  } else {
    open_divided(file, path, division);
  }
  if (file.has_attribute("entropy")) entropy_ = file.attribute<double>("entropy");
  if (file.has_dataset("feature_names")) feature_names_ = file.dataset("feature_names").read_strings();
  const bool named = static_cast<Index>(feature_names_.size()) == dimension_;
  require<DataError>(named || feature_names_.empty() || !path.empty(), "{}: {} feature names for rows of {} numbers",
                     name, feature_names_.size(), dimension_);
  if (!named) feature_names_ = default_names(dimension_);
}

void Dataset::open_splits(const h5::Group& file) {
  if (!file.has_dataset(split_name(Split::train))) {
    const auto names = dataset_names(file);
    throw DataError(
        fmt::format("{}: no dataset 'train' in it; name the array to be used, as FILE:/NAME, or make a "
                    "dataset with flow_data import; there is {}",
                    file.where(), names.empty() ? "no dataset" : join(names)));
  }
  for (const Split split : splits) {
    const std::string name(split_name(split));
    if (!file.has_dataset(name)) continue;
    const auto& rows = sources_.emplace_back(open_array(file, name));
    if (split == Split::train) dimension_ = rows.dimension();
    require<DataError>(rows.dimension() == dimension_, "{}: rows of {} numbers, where {} has rows of {}", rows.where(),
                       rows.dimension(), sources_.front().where(), dimension_);
    parts_[index_of(split)] = {sources_.size() - 1, rows.count(), {}};
  }
}

void Dataset::open_divided(const h5::Group& file, const std::string& path, const Division& division) {
  require<OptionError>(division.fractions[index_of(Split::train)] > 0, "{}: the fraction of rows to train on is 0",
                       file.where());
  const auto& rows = sources_.emplace_back(open_array(file, path));
  dimension_ = rows.dimension();
  const auto assigned = divide(rows.count(), division.fractions, division.seed);
  for (std::size_t row = 0; row < assigned.size(); ++row) {
    auto& part = parts_[index_of(assigned[row])];
    part.members.push_back(static_cast<Index>(row));
    ++part.count;
  }
}

bool Dataset::weighted() const {
  return std::ranges::any_of(sources_, &Rows::weighted);
}

const Dataset::Part& Dataset::part(Split split, Index first, Index count) const {
  const auto& part = parts_[index_of(split)];
  require<ShapeError>(first >= 0 && count >= 0 && first + count <= part.count, "rows [{}, {}) of the {} of split {}",
                      first, first + count, part.count, split_name(split));
  return part;
}

template <class F>
void Dataset::for_runs(const Part& part, Index first, Index count, F&& f) const {
  if (part.members.empty()) {
    f(first, count, std::span<const Index>());
    return;
  }
  const auto wanted = std::span(part.members).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  const Index most = slab_rows(dimension_);
  for (std::size_t at = 0; at < wanted.size();) {
    const auto end =
        std::lower_bound(wanted.begin() + static_cast<std::ptrdiff_t>(at), wanted.end(), wanted[at] + most);
    const auto run = wanted.subspan(at, static_cast<std::size_t>(end - wanted.begin()) - at);
    f(run.front(), run.back() + 1 - run.front(), run);
    at += run.size();
  }
}

template <class T>
void Dataset::read(Split split, Index first, MatrixView<T> x) const {
  const auto& from = part(split, first, x.cols());
  if (x.cols() == 0) return;
  Index place = 0;
  for_runs(from, first, x.cols(), [&](Index row, Index count, std::span<const Index> picked) {
    if (picked.empty()) {
      sources_[from.source].read(row, x);
      return;
    }
    Matrix<T> slab(dimension_, count);
    sources_[from.source].read(row, slab.view());
    for (const Index member : picked) std::copy_n(slab.view().column(member - row), dimension_, x.column(place++));
  });
}

void Dataset::read_weights(Split split, Index first, std::span<double> weights) const {
  const auto& from = part(split, first, static_cast<Index>(weights.size()));
  if (weights.empty()) return;
  std::size_t place = 0;
  for_runs(from, first, static_cast<Index>(weights.size()), [&](Index row, Index count, std::span<const Index> picked) {
    if (picked.empty()) {
      sources_[from.source].read_weights(row, weights);
      return;
    }
    std::vector<double> slab(static_cast<std::size_t>(count));
    sources_[from.source].read_weights(row, slab);
    for (const Index member : picked) weights[place++] = slab[static_cast<std::size_t>(member - row)];
  });
}

template void Rows::read(Index, MatrixView<double>) const;
template void Rows::read(Index, MatrixView<float>) const;
template void Dataset::read(Split, Index, MatrixView<double>) const;
template void Dataset::read(Split, Index, MatrixView<float>) const;

}  // namespace pushforward::data
