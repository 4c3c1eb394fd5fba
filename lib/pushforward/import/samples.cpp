#include <pushforward/import/samples.hpp>

#include <pushforward/core/angle.hpp>
#include <pushforward/core/error.hpp>
#include <pushforward/random/stream.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>
#include <unordered_set>

namespace pushforward::data {

namespace {

template <class V>
void keep_elements(std::vector<V>& elements, const std::vector<bool>& keep) {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (keep[i]) elements[kept++] = elements[i];
  }
  elements.resize(kept);
}

// Columns of data of which every value satisfies the predicate, given column and value.
template <class F>
std::vector<Index> columns_where(const Samples& samples, F&& holds) {
  std::vector<Index> columns;
  const auto x = samples.view();
  for (Index i = 0; i < samples.dimension(); ++i) {
    bool all = true;
    for (Index j = 0; all && j < x.cols(); ++j) all = holds(i, x(i, j));
    if (all) columns.push_back(i);
  }
  return columns;
}

}  // namespace

Index keep_rows(Samples& samples, const std::vector<bool>& keep) {
  const Index before = samples.rows();
  const auto x = samples.view();
  Index kept = 0;
  for (Index j = 0; j < before; ++j) {
    if (keep[j]) std::copy_n(x.column(j), x.rows(), x.column(kept++));
  }
  samples.values.resize(kept * x.rows());
  if (!samples.weights.empty()) keep_elements(samples.weights, keep);
  keep_elements(samples.origin, keep);
  keep_elements(samples.assigned, keep);
  return before - kept;
}

void keep_columns(Samples& samples, std::span<const Index> columns) {
  const auto x = samples.view();
  std::vector<double> values;
  values.reserve(columns.size() * samples.origin.size());
  for (Index j = 0; j < x.cols(); ++j) {
    for (const Index i : columns) values.push_back(x(i, j));
  }
  std::vector<std::string> names;
  for (const Index i : columns) names.push_back(samples.names[i]);
  samples.values = std::move(values);
  samples.names = std::move(names);
}

std::vector<bool> finite_rows(const Samples& samples) {
  const auto x = samples.view();
  std::vector<bool> finite(samples.origin.size());
  for (std::size_t j = 0; j < finite.size(); ++j) {
    const bool weight_is = samples.weights.empty() || std::isfinite(samples.weights[j]);
    finite[j] = weight_is && std::ranges::all_of(x.column_span(static_cast<Index>(j)),
                                                 [](double value) { return std::isfinite(value); });
  }
  return finite;
}

std::vector<bool> first_occurrences(const Samples& samples) {
  const auto x = samples.view();
  const auto weight = [&](Index j) { return samples.weights.empty() ? 1 : samples.weights[j]; };
  const auto hash = [&](Index j) {
    std::uint64_t h = 0;
    for (const double value : x.column_span(j)) {
      h = (h ^ std::bit_cast<std::uint64_t>(value + 0.0)) * 0x9e3779b97f4a7c15U;  // + 0.0: −0 is 0
      h ^= h >> 32;
    }
    return static_cast<std::size_t>(h);
  };
  const auto equal = [&](Index a, Index b) {
    return weight(a) == weight(b) && std::ranges::equal(x.column_span(a), x.column_span(b));
  };
  std::unordered_set<Index, decltype(hash), decltype(equal)> seen(samples.origin.size(), hash, equal);
  std::vector<bool> first(samples.origin.size());
  for (Index j = 0; j < x.cols(); ++j) first[j] = seen.insert(j).second;
  return first;
}

std::vector<Index> constant_columns(const Samples& samples) {
  const auto x = samples.view();
  return columns_where(samples, [&](Index i, double value) { return value == x(i, 0); });
}

std::vector<Index> integer_columns(const Samples& samples) {
  return columns_where(samples, [](Index, double value) { return value == std::floor(value); });
}

void dequantize(Samples& samples, Index column, double width, std::uint64_t seed) {
  const auto x = samples.view();
  for (Index j = 0; j < x.cols(); ++j) {
    random::Stream stream(seed, random::Purpose::dequantize, static_cast<std::uint64_t>(column),
                          static_cast<std::uint64_t>(samples.origin[j]));
    x(column, j) += width * stream.uniform();
  }
}

void rescale(Samples& samples, Index column, double shift, double divisor) {
  const auto x = samples.view();
  for (Index j = 0; j < x.cols(); ++j) x(column, j) = (x(column, j) + shift) / divisor;
}

void wrap_angles(Samples& samples, Index column, bool degrees) {
  const auto x = samples.view();
  for (Index j = 0; j < x.cols(); ++j) {
    const double angle = x(column, j);
    x(column, j) = wrap_angle<double>(degrees ? std::remainder(angle, 360) / 180 * std::numbers::pi : angle);
  }
}

void to_unit_vectors(Samples& samples, Index latitude, Index longitude,
                     const std::function<std::string(Index)>& place) {
  const auto radians = [](double degrees) { return degrees / 180 * std::numbers::pi; };
  const Index d = samples.dimension();
  std::vector<Index> order;
  for (Index i = 0; i < d; ++i) {
    if (i != latitude && i != longitude) order.push_back(i);
  }
  Samples wider{.names = {},
                .contexts = samples.contexts,
                .values = {},
                .weights = samples.weights,
                .origin = samples.origin,
                .assigned = samples.assigned};
  for (const Index i : order) wider.names.push_back(samples.names[i]);
  for (const std::string name : {"x", "y", "z"}) {
    require<OptionError>(std::ranges::find(wider.names, name) == wider.names.end(),
                         "--sphere: there is a column '{}' already, which is the name of a new one; leave it out with "
                         "--exclude, or rename it in the file",
                         name);
    wider.names.push_back(name);
  }
  const Index first = d - 2;
  wider.names.insert(wider.names.end(), samples.names.begin() + d, samples.names.end());
  wider.values.resize(static_cast<std::size_t>(wider.columns() * wider.rows()));
  const auto from = std::as_const(samples).view();
  const auto to = wider.view();
  for (Index j = 0; j < from.cols(); ++j) {
    const double phi = from(latitude, j), lambda = from(longitude, j);
    require<DataError>(std::abs(phi) <= 90,
                       "{}: the latitude in column {} is {}; latitudes are from -90 to 90 degrees, and come first in "
                       "--sphere LAT,LON",
                       place(j), samples.names[latitude], phi);
    require<DataError>(std::abs(lambda) <= 360,
                       "{}: the longitude in column {} is {}; longitudes are from -360 to 360 degrees", place(j),
                       samples.names[longitude], lambda);
    for (Index i = 0; i < first; ++i) to(i, j) = from(order[i], j);
    to(first, j) = std::cos(radians(phi)) * std::cos(radians(lambda));
    to(first + 1, j) = std::cos(radians(phi)) * std::sin(radians(lambda));
    to(first + 2, j) = std::sin(radians(phi));
    std::copy_n(from.column(j) + d, samples.contexts, to.column(j) + first + 3);
  }
  samples = std::move(wider);
}

Index one_hot(Samples& samples, Index column, Index classes, const std::function<std::string(Index)>& place,
              std::span<const std::string> class_names) {
  const Index before = samples.columns();
  const std::string name = samples.names[column];
  const auto x = samples.view();
  const Index most = classes > 0 ? classes : most_classes;
  Index count = classes;
  for (Index j = 0; j < x.cols(); ++j) {
    const double value = x(column, j);
    require<DataError>(value >= 0 && value < static_cast<double>(most) && value == std::floor(value),
                       "{}: {} in column {} is no class; classes are the integers from 0 to {}", place(j), value, name,
                       most - 1);
    count = std::max(count, static_cast<Index>(value) + 1);
  }

  Samples wider{.names = samples.names,
                .contexts = samples.contexts + count - 1,
                .values = {},
                .weights = samples.weights,
                .origin = samples.origin,
                .assigned = samples.assigned};
  const auto at = wider.names.erase(wider.names.begin() + column);
  std::vector<std::string> names;
  for (Index k = 0; k < count; ++k) {
    names.push_back(class_names.empty() ? fmt::format("{}={}", name, k) : fmt::format("{}={}", name, class_names[k]));
  }
  wider.names.insert(at, names.begin(), names.end());
  wider.values.assign(wider.columns() * wider.rows(), 0);
  const auto to = wider.view();
  for (Index j = 0; j < x.cols(); ++j) {
    std::copy_n(x.column(j), column, to.column(j));
    to(column + static_cast<Index>(x(column, j)), j) = 1;
    std::copy_n(x.column(j) + column + 1, before - column - 1, to.column(j) + column + count);
  }
  samples = std::move(wider);
  return count;
}

}  // namespace pushforward::data
