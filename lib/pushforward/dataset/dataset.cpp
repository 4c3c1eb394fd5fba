#include <pushforward/dataset/dataset.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/foreign_arrays.hpp>
#include <pushforward/dataset/location.hpp>
#include <pushforward/table/table.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::data {

namespace {

Index slab_rows(Index slab_elements, Index dimension) {
  return std::max(slab_elements / dimension, Index{1});
}

std::vector<std::string> dataset_names(const h5::Group& group) {
  std::vector<std::string> names;
  for (const auto& name : group.names()) {
    if (group.has_dataset(name)) names.push_back(name);
  }
  return names;
}

void refuse_reversed_axes(const h5::Group& file, const std::string& path) {
  const auto writer = writer_of_reversed_axes(file, path);
  const auto array = file.dataset(path);
  require<DataError>(writer.empty() || array.shape().size() != 2,
                     "{}: is an array that {} wrote, with columns for rows; flow_data import reads it as {} shows it",
                     array.where(), writer, writer);
}

Rows open_array(const h5::Group& file, const std::string& path, Index slab_elements) {
  const auto name = path.substr(std::min(path.find_first_not_of('/'), path.size()));
  const auto beside = [&](const std::string& folder) {
    return file.has_dataset(folder + name) ? std::optional(file.dataset(folder + name)) : std::nullopt;
  };
  const auto names = [&](const char* of) {
    return file.has_dataset(of) ? file.dataset(of).read_strings() : std::vector<std::string>();
  };
  Rows rows(file.dataset(path), beside("weight/"), beside("context/"), {names("feature_names"), names("context_names")},
            slab_elements);
  refuse_reversed_axes(file, path);
  if (beside("context/")) refuse_reversed_axes(file, "context/" + name);
  return rows;
}

// Anybody's file may have any attributes; a file with one of our formats is a dataset or a mistake.
void require_dataset(const h5::Group& file, const std::string& name) {
  const auto format = file.has_text("format") ? file.attribute<std::string>("format") : "";
  if (!format.starts_with("pushforward")) return;
  require<DataError>(format == dataset_format || format == "pushforward-dataset",
                     "{}: is a file of format '{}', not a dataset; name the array to be used, as FILE:/NAME, or make a "
                     "dataset with flow_data",
                     name, format);
  const Index version = file.has_attribute("format_version") ? file.attribute<Index>("format_version") : 1;
  require<DataError>(version <= dataset_format_version, "{}: has format version {}; this program reads up to {}", name,
                     version, dataset_format_version);
}

// Attributes of other programs may say that the numbers mean something else. The import applies them.
void require_plain(const h5::Dataset& array) {
  std::vector<std::string> names;
  for (const std::string name :
       {"scale_factor", "add_offset", "_FillValue", "missing_value", "valid_min", "valid_max", "valid_range"}) {
    if (!array.has_numbers(name)) continue;
    const auto values = array.attribute<std::vector<double>>(name);
    const double nothing = name == "scale_factor" ? 1 : 0;
    const bool has_effect = name == "scale_factor" || name == "add_offset"
                                ? std::ranges::any_of(values, [&](double v) { return v != nothing; })
                                : !std::ranges::all_of(values, [](double v) { return std::isnan(v); });
    if (has_effect) names.push_back(name);
  }
  if (array.has_text("_Unsigned")) names.emplace_back("_Unsigned");
  require<DataError>(names.empty(),
                     "{}: its attributes say that the numbers mean something else: {}. flow_data import applies them",
                     array.where(), join(names));
}

void require_rows(const h5::Dataset& array) {
  const auto& shape = array.shape();
  require<DataError>(shape.size() == 1 || shape.size() == 2,
                     "{}: has shape ({}); an array with one row per sample is wanted, (N, d) or (N)", array.where(),
                     fmt::join(shape, ", "));
  require<DataError>(array.is_numeric(), "{}: holds no numbers{}", array.where(),
                     array.is_record() ? " but records; flow_data import makes columns of them" : "");
  require_plain(array);
  require<DataError>(shape[0] > 0, "{}: has no rows", array.where());
  require<DataError>(shape.back() > 0, "{}: has rows of no numbers (d = 0)", array.where());
}

[[noreturn]] void refuse_non_finite(const h5::Dataset& array, Index width, Index row, Index column, Index most) {
  const Index count = array.shape()[0];
  Index values = 0, rows = 0;
  Matrix<double> slab(width, std::min(most, count));
  for (Index first = 0; first < count; first += slab.cols()) {
    const auto part = slab.view().columns(0, std::min(slab.cols(), count - first));
    array.read_rows(first, part);
    for (Index j = 0; j < part.cols(); ++j) {
      const auto bad = std::ranges::count_if(part.column_span(j), [](double v) { return !std::isfinite(v); });
      values += bad;
      rows += bad > 0 ? 1 : 0;
    }
  }
  throw DataError(
      fmt::format("{}: row {}, column {} (counted from 0) is NaN, infinite or too large for this precision; {} such "
                  "values in {} of {} rows. Drop those rows with flow_data import --drop-nonfinite",
                  array.where(), row, column, std::max(values, Index{1}), std::max(rows, Index{1}), count));
}

template <class T>
void read_finite(const h5::Dataset& array, Index first, MatrixView<T> x, Index slab_elements) {
  array.read_rows(first, x);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) {
      if (!std::isfinite(x(i, j))) {
        refuse_non_finite(array, x.rows(), first + j, i, slab_rows(slab_elements, x.rows()));
      }
    }
  }
}

}  // namespace

Rows::Rows(h5::Dataset values, std::optional<h5::Dataset> weights, std::optional<h5::Dataset> contexts,
           ColumnNames names, Index slab_elements)
    : values_(std::move(values)),
      weights_(std::move(weights)),
      contexts_(std::move(contexts)),
      names_(std::move(names)),
      slab_elements_(slab_elements) {
  require<OptionError>(slab_elements >= 1, "{}: slabs of {} elements; at least 1 is possible", where(), slab_elements);
  require_rows(values_);
  if (weighted()) {
    require<DataError>(weights_->shape() == std::vector{count()} && weights_->is_numeric(),
                       "{}: has shape ({}); one weight for each of the {} rows of {} is wanted", weights_->where(),
                       fmt::join(weights_->shape(), ", "), count(), where());
  }
  if (contexts_) {
    require_rows(*contexts_);
    require<DataError>(contexts_->shape()[0] == count(),
                       "{}: {} rows; one context for each of the {} rows of {} is "
                       "wanted",
                       contexts_->where(), contexts_->shape()[0], count(), where());
  }
}

template <class T>
void Rows::read(Index first, MatrixView<T> x) const {
  read_finite(values_, first, x, slab_elements_);
}

template <class T>
void Rows::read_context(Index first, MatrixView<T> context) const {
  require<ShapeError>(context.rows() == context_dimension(), "contexts of {} into ({} × {}), where c = {}", where(),
                      context.rows(), context.cols(), context_dimension());
  if (contexts_) read_finite(*contexts_, first, context, slab_elements_);
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
  const auto root = h5::open_file(file);
  if (path.empty()) require_dataset(root, file);
  return open_array(root, path.empty() ? std::string(split_name(split)) : path, default_slab_elements);
}

Dataset::Dataset(const std::string& location, const Division& division, Index slab_elements)
    : slab_elements_(slab_elements) {
  const auto [name, path] = parse_location(location);
  const auto file = h5::open_file(name);
  if (path.empty()) {
    require_dataset(file, name);
    open_splits(file);
    read_image_shape(file);
    read_periodic(file);
    read_spheres(file);
  } else {
    open_divided(file, path, division);
  }
  if (file.has_attribute("entropy")) description_.entropy = file.attribute<double>("entropy");
  read_names(name, !path.empty());
  description_.name = location;
  for (const Split split : splits) description_.rows[index_of(split)] = parts_[index_of(split)].count;
  description_.weighted = std::ranges::any_of(sources_, &Rows::weighted);
}

void Dataset::read_names(const std::string& name, bool divided) {
  const auto of_width = [&](const std::vector<std::string>& names, Index d, char letter, std::string_view of,
                            std::string_view what) {
    const bool named = static_cast<Index>(names.size()) == d;
    require<DataError>(named || names.empty() || divided, "{}: {} {} names for {} of {} numbers", name, names.size(),
                       of, what, d);
    return named ? names : default_names(d, letter);
  };
  const auto& names = sources_.front().names();
  description_.feature_names = of_width(names.features, description_.dimension, 'x', "feature", "rows");
  description_.context_names =
      of_width(names.contexts, sources_.front().context_dimension(), 'c', "context", "contexts");
}

void Dataset::read_image_shape(const h5::Group& file) {
  if (!file.has_attribute("image_shape")) return;
  const auto extents = file.attribute<std::vector<double>>("image_shape");
  const auto is_extent = [&](double v) {
    return v >= 1 && v <= static_cast<double>(description_.dimension) && v == std::floor(v);
  };
  const bool valid = extents.size() == 3 && std::ranges::all_of(extents, is_extent) &&
                     extents[0] * extents[1] * extents[2] == static_cast<double>(description_.dimension);
  require<DataError>(valid,
                     "{}: attribute image_shape is ({}); height, width and channels are wanted, whose product is the "
                     "number of columns, {}",
                     file.where(), fmt::join(extents, ", "), description_.dimension);
  description_.image_shape = {static_cast<Index>(extents[0]), static_cast<Index>(extents[1]),
                              static_cast<Index>(extents[2])};
}

void Dataset::read_periodic(const h5::Group& file) {
  if (!file.has_attribute("periodic")) return;
  const auto marks = file.attribute<std::vector<double>>("periodic");
  require<DataError>(static_cast<Index>(marks.size()) == description_.dimension,
                     "{}: attribute periodic has {} numbers; one, 0 or 1, for each of the {} columns is wanted",
                     file.where(), marks.size(), description_.dimension);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    require<DataError>(marks[i] == 0 || marks[i] == 1,
                       "{}: attribute periodic is {} for column {} (counted from 0); "
                       "0 or 1 is wanted",
                       file.where(), marks[i], i);
    if (marks[i] == 1) description_.periodic.push_back(static_cast<Index>(i));
  }
}

void Dataset::read_spheres(const h5::Group& file) {
  if (!file.has_attribute("spheres")) return;
  const auto marks = file.attribute<std::vector<double>>("spheres");
  require<DataError>(static_cast<Index>(marks.size()) == description_.dimension,
                     "{}: attribute spheres has {} numbers; one for each of the {} columns is wanted", file.where(),
                     marks.size(), description_.dimension);
  try {
    description_.spheres = spheres_of(marks);
    check_spheres(description_.spheres, description_.periodic, description_.dimension);
  } catch (const Error& error) {
    throw DataError(fmt::format("{}: attribute spheres: {}", file.where(), error.what()));
  }
}

void Dataset::open_splits(const h5::Group& file) {
  if (!file.has_dataset(split_name(Split::train))) {
    const auto names = dataset_names(file);
    throw DataError(
        fmt::format("{}: no dataset 'train' in it; name the array to be used, as FILE:/NAME, or make a "
                    "dataset with flow_data import; there is {}",
                    file.where(), names.empty() ? "no dataset" : join_some(names)));
  }
  for (const Split split : splits) {
    const std::string name(split_name(split));
    if (!file.has_dataset(name)) continue;
    const auto& rows = sources_.emplace_back(open_array(file, name, slab_elements_));
    if (split == Split::train) description_.dimension = rows.dimension();
    require<DataError>(rows.dimension() == description_.dimension, "{}: rows of {} numbers, where {} has rows of {}",
                       rows.where(), rows.dimension(), sources_.front().where(), description_.dimension);
    require<DataError>(rows.context_dimension() == sources_.front().context_dimension(),
                       "{}: contexts of {} numbers, where {} has contexts of {}", rows.where(),
                       rows.context_dimension(), sources_.front().where(), sources_.front().context_dimension());
    parts_[index_of(split)] = {sources_.size() - 1, rows.count(), {}};
  }
}

void Dataset::open_divided(const h5::Group& file, const std::string& path, const Division& division) {
  require<OptionError>(division.fractions[index_of(Split::train)] > 0, "{}: the fraction of rows to train on is 0",
                       file.where());
  const auto& rows = sources_.emplace_back(open_array(file, path, slab_elements_));
  description_.dimension = rows.dimension();
  const auto assigned = divide(rows.count(), division.fractions, division.seed);
  for (std::size_t row = 0; row < assigned.size(); ++row) {
    auto& part = parts_[index_of(assigned[row])];
    part.members.push_back(static_cast<Index>(row));
    ++part.count;
  }
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
  const auto wanted = std::span(part.members).subspan(first, count);
  const Index most = slab_rows(slab_elements_, description_.dimension);
  for (std::size_t at = 0; at < wanted.size();) {
    const auto end =
        std::lower_bound(wanted.begin() + static_cast<std::ptrdiff_t>(at), wanted.end(), wanted[at] + most);
    const auto run = wanted.subspan(at, static_cast<std::size_t>(end - wanted.begin()) - at);
    f(run.front(), run.back() + 1 - run.front(), run);
    at += run.size();
  }
}

template <class Read>
void Dataset::read_columns(Split split, Index first, MatrixView<double> x, Read&& read) const {
  const auto& from = part(split, first, x.cols());
  if (x.cols() == 0) return;
  Index place = 0;
  for_runs(from, first, x.cols(), [&](Index row, Index count, std::span<const Index> picked) {
    if (picked.empty()) {
      read(sources_[from.source], row, x);
      return;
    }
    Matrix<double> slab(x.rows(), count);
    read(sources_[from.source], row, slab.view());
    for (const Index member : picked) std::copy_n(slab.view().column(member - row), x.rows(), x.column(place++));
  });
}

void Dataset::read(Split split, Index first, MatrixView<double> x) const {
  read_columns(split, first, x, [](const Rows& rows, Index row, MatrixView<double> to) { rows.read(row, to); });
}

void Dataset::read_context(Split split, Index first, MatrixView<double> context) const {
  read_columns(split, first, context,
               [](const Rows& rows, Index row, MatrixView<double> to) { rows.read_context(row, to); });
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
    std::vector<double> slab(count);
    sources_[from.source].read_weights(row, slab);
    for (const Index member : picked) weights[place++] = slab[member - row];
  });
}

template void Rows::read(Index, MatrixView<double>) const;
template void Rows::read(Index, MatrixView<float>) const;
template void Rows::read_context(Index, MatrixView<double>) const;
template void Rows::read_context(Index, MatrixView<float>) const;

}  // namespace pushforward::data
