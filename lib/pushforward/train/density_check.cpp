#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/standardization/moments.hpp>
#include <pushforward/train/density_check.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

namespace {

// A column with no more distinct values than this is taken for one that is not continuous, if there are ten times as
// many rows, and enough of them.
constexpr Index few_values = 20, rows_per_value = 10, least_rows = 100;
// A share of the rows that have the same value in a column, beyond which there is a doubt, and the rows that are looked
// at for it.
constexpr double large_share = 0.05;
constexpr Index sample_rows = 4096;
// The part of a column's variance that others do not explain: below the first there is no density. Numbers that were
// rounded to float leave about 1e-14.
constexpr double no_own_variance = 1e-11, little_own_variance = 1e-6;
constexpr Index most_columns = 512;

std::string listed(const std::vector<std::string>& names) {
  return (names.size() == 1 ? "column " : "columns ") + join_some(names);
}

// Whether a column has at most few_values distinct values.
template <class T>
bool has_few_values(ConstMatrixView<T> x, Index column) {
  std::vector<T> found;
  for (Index j = 0; j < x.cols(); ++j) {
    const T value = x(column, j);
    const auto place = std::ranges::lower_bound(found, value);
    if (place != found.end() && *place == value) continue;
    if (std::ssize(found) == few_values) return false;
    found.insert(place, value);
  }
  return x.cols() >= std::max(least_rows, rows_per_value * std::ssize(found));
}

// The share of the rows that have the most frequent value of a column.
template <class T>
double largest_share(ConstMatrixView<T> x, Index column) {
  const Index n = std::min(sample_rows, x.cols());
  std::vector<T> values;
  for (Index j = 0; j < n; ++j) values.push_back(x(column, j * x.cols() / n));
  std::ranges::sort(values);
  Index longest = 0, run = 0;
  for (std::size_t j = 0; j < values.size(); ++j) {
    run = j > 0 && values[j] == values[j - 1] ? run + 1 : 1;
    longest = std::max(longest, run);
  }
  return longest < 10 ? 0 : static_cast<double>(longest) / static_cast<double>(n);
}

// The part of each column's variance that the contexts and the columns before it do not explain, by the Cholesky factor
// of the correlations. Curved columns, and columns that nearly depend on others, explain nothing. x: (d × n).
// context: (c × n), or empty. Returns d numbers.
template <class T>
std::vector<double> own_variances(ConstMatrixView<T> x, ConstMatrixView<T> context, const std::vector<Index>& curved) {
  const Index c = context.rows(), all = c + x.rows(), n = std::min(x.cols(), 20 * all + 1000);
  Matrix<double> sample(all, n);
  for (Index j = 0; j < n; ++j) {
    const Index row = j * x.cols() / n;
    for (Index i = 0; i < c; ++i) sample(i, j) = static_cast<double>(context(i, row));
    for (Index i = c; i < all; ++i) sample(i, j) = static_cast<double>(x(i - c, row));
  }
  data::Moments moments(all);
  moments.add(sample, {});
  const auto covariance = moments.covariance();
  Matrix<double> factor(all, all);
  std::vector<double> own(static_cast<std::size_t>(all), 1);
  std::vector<Index> independent;
  for (Index i = 0; i < all; ++i) {
    if (std::ranges::find(curved, i - c) != curved.end() || covariance(i, i) == 0) continue;
    double left = 1;
    for (const Index k : independent) {
      double value = covariance(i, k) / std::sqrt(covariance(i, i) * covariance(k, k));
      for (const Index m : independent) {
        if (m == k) break;
        value -= factor(i, m) * factor(k, m);
      }
      factor(i, k) = value / factor(k, k);
      left -= factor(i, k) * factor(i, k);
    }
    own[i] = left;
    if (left < little_own_variance) continue;
    factor(i, i) = std::sqrt(left);
    independent.push_back(i);
  }
  return {own.begin() + c, own.end()};
}

// The columns that depend on others exactly, and nearly.
struct Dependent {
  std::vector<Index> exactly, nearly;
};

template <class T>
Dependent dependent_columns(ConstMatrixView<T> x, ConstMatrixView<T> context, const std::vector<Index>& curved) {
  Dependent found;
  const Index all = x.rows() + context.rows();
  if (x.cols() <= all + 1 || all > most_columns) return found;
  const auto own = own_variances<T>(x, context, curved);
  for (Index i = 0; i < x.rows(); ++i) {
    const double part = own[static_cast<std::size_t>(i)];
    if (part < little_own_variance) (part < no_own_variance ? found.exactly : found.nearly).push_back(i);
  }
  return found;
}

}  // namespace

template <class T>
DensityFindings check_density(const flow::Batch<T>& rows, const std::vector<std::string>& names,
                              const std::vector<Index>& curved) {
  std::vector<std::string> few, shared;
  const Index d = rows.x.rows();
  for (Index i = 0; i < d; ++i) {
    if (has_few_values(rows.x, i)) {
      few.push_back(names[i]);
    } else if (largest_share(rows.x, i) > large_share) {
      shared.push_back(names[i]);
    }
  }
  const auto alone = dependent_columns<T>(rows.x, {}, curved);
  const auto given = rows.context.empty() ? Dependent() : dependent_columns<T>(rows.x, rows.context, curved);
  const auto names_of = [&](const std::vector<Index>& columns, std::initializer_list<const std::vector<Index>*> but) {
    std::vector<std::string> list;
    for (const Index i : columns) {
      const auto has = [i](const std::vector<Index>* others) { return std::ranges::find(*others, i) != others->end(); };
      if (std::ranges::none_of(but, has)) list.push_back(names[i]);
    }
    return list;
  };
  const auto dependent = names_of(alone.exactly, {}), nearly = names_of(alone.nearly, {&given.exactly});
  const auto determined = names_of(given.exactly, {&alone.exactly});
  const auto nearly_determined = names_of(given.nearly, {&alone.exactly, &alone.nearly});
  DensityFindings findings;
  if (!dependent.empty()) {
    findings.refusals.push_back(fmt::format(
        "{}: a linear combination of other columns, so the rows have no density; leave one of them out with "
        "flow_data import --exclude",
        listed(dependent)));
  }
  if (!determined.empty()) {
    findings.refusals.push_back(fmt::format(
        "{}: the contexts, or contexts and other columns, determine it as a linear combination, so the rows have no "
        "density given the context; leave it out with flow_data import --exclude, or make it a context only with "
        "--context",
        listed(determined)));
  }
  if (!few.empty()) {
    findings.refusals.push_back(
        fmt::format("{}: at most {} distinct values, so the rows have no density; dequantize with flow_data import "
                    "--dequantize or model.levels, make a context of it with --context, or leave it out with --exclude",
                    listed(few), few_values));
  }
  if (!nearly.empty()) {
    findings.doubts.push_back(
        fmt::format("{}: nearly a linear combination of other columns, so the NLL depends on how far training goes; "
                    "leave one out, or use data.standardize = whiten",
                    listed(nearly)));
  }
  if (!nearly_determined.empty()) {
    findings.doubts.push_back(fmt::format(
        "{}: nearly a linear combination of contexts and other columns, so the NLL depends on how far training goes; "
        "leave it out, or make it a context only",
        listed(nearly_determined)));
  }
  if (!shared.empty()) {
    findings.doubts.push_back(
        fmt::format("{}: one value is that of more than {:.0f} % of the rows, where a density has no bound; dequantize "
                    "it, make a context of it, or leave it out",
                    listed(shared), 100 * large_share));
  }
  return findings;
}

template DensityFindings check_density(const flow::Batch<float>&, const std::vector<std::string>&,
                                       const std::vector<Index>&);
template DensityFindings check_density(const flow::Batch<double>&, const std::vector<std::string>&,
                                       const std::vector<Index>&);

}  // namespace pushforward::train
