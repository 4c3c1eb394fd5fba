#include <pushforward/core/interval.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/transforms/elementwise.hpp>

#include <cmath>
#include <numeric>

namespace pushforward::flow {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// Returns whether u is outside an open interval. NaN is not.
bool outside(std::pair<double, double> interval, double u) {
  return (std::isfinite(interval.first) && u <= interval.first) ||
         (std::isfinite(interval.second) && u >= interval.second);
}

Function checked_function(const std::string& name, const ElementwiseOptions& o) {
  require<OptionError>(o.scale > 0 && std::isfinite(o.scale) && std::isfinite(o.shift),
                       "elementwise {}: scale = {} must be positive, and shift = {} finite", name, o.scale, o.shift);
  require<OptionError>(o.slope > 0 && std::isfinite(o.slope), "elementwise {}: slope = {} must be positive", name,
                       o.slope);
  require<OptionError>(o.margin >= 0 && o.margin < 0.5,
                       "elementwise {}: margin = {} must be at least 0 and less than 0.5", name, o.margin);
  require<OptionError>(o.slope == ElementwiseOptions().slope || o.function == "leaky",
                       "elementwise {}: slope = {} with function = '{}': it belongs to leaky", name, o.slope,
                       o.function);
  require<OptionError>(o.margin == 0 || o.function == "logit" || o.function == "sigmoid",
                       "elementwise {}: margin = {} with function = '{}': it belongs to logit and sigmoid", name,
                       o.margin, o.function);
  return function_of(o.function);
}

std::vector<Index> checked_rows(const std::string& name, std::vector<Index> columns, Index d) {
  if (columns.empty()) {
    columns.resize(d);
    std::iota(columns.begin(), columns.end(), Index{0});
  }
  std::sort(columns.begin(), columns.end());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    require<OptionError>(columns[i] >= 0 && columns[i] < d && (i == 0 || columns[i] != columns[i - 1]),
                         "elementwise {}: column {} is not one of 0 to {}, or is there twice", name, columns[i], d - 1);
  }
  return columns;
}

}  // namespace

Domain ElementwiseOptions::output(const Domain& at) const {
  for (const Index column : columns) {
    const bool is_angle = std::find(at.periodic.begin(), at.periodic.end(), column) != at.periodic.end();
    require<OptionError>(!is_angle, "value {} is an angle, which takes no elementwise function", column);
  }
  if (columns.empty()) require_no_angles(at);
  return at;
}

Bounds ElementwiseOptions::bounds() const {
  const ScalarFunction f(function_of(function), slope, margin);
  if (is_bounded(f.inverse().domain())) return Bounds::makes;
  return is_bounded(f.domain()) ? Bounds::removes : Bounds::keeps;
}

OptionSet ElementwiseOptions::declare() {
  OptionSet set;
  set.add("function", function, "z = f((x - shift)/scale)", one_of(function_names()))
      .add("columns", columns, "columns that it is applied to, from 0; empty: all", at_least(0))
      .add("shift", shift, "number that is subtracted first")
      .add("scale", scale, "number that the result is divided by", more_than(0))
      .add("slope", slope, "leaky: slope below 0", more_than(0))
      .add("margin", margin, "logit and sigmoid: margin of logit(margin + (1 - 2 margin) u)", from_to_below(0, 0.5))
      .only_with("slope", "function", {"leaky"})
      .only_with("margin", "function", {"logit", "sigmoid"});
  return set;
}

template <class T>
Elementwise<T>::Elementwise(nn::ParameterLayout&, const std::string& name, const Shape& shape,
                            const ElementwiseOptions& options)
    : shape_(shape),
      options_(options),
      function_(checked_function(name, options), options.slope, options.margin),
      inverse_(function_.inverse()),
      rows_(checked_rows(name, options.columns, shape.size())) {}

template <class T>
std::pair<double, double> Elementwise<T>::support(Index row) const {
  if (!std::binary_search(rows_.begin(), rows_.end(), row)) return {-infinity, infinity};
  const auto [low, high] = function_.domain();
  return {options_.shift + options_.scale * low, options_.shift + options_.scale * high};
}

template <class T>
std::unique_ptr<TransformState<T>> Elementwise<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void Elementwise<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                             std::span<Status> status) const {
  const auto x = batch.x;
  copy_samples<T>(x, z);
  const auto domain = function_.domain();
  const double log_scale = std::log(options_.scale);
  for (Index j = 0; j < x.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    bool excluded = false;
    double sum = 0;
    for (const Index i : rows_) {
      const double u = (static_cast<double>(x(i, j)) - options_.shift) / options_.scale;
      const auto [value, log_slope] =
          outside(domain, u) ? ScalarFunction::Value{std::nan(""), -infinity} : function_(u);
      z(i, j) = static_cast<T>(value);
      excluded = excluded || log_slope == -infinity;
      sum += log_slope - log_scale;
    }
    log_det[at] = excluded ? -infinity : log_det[at] + sum;
    if (excluded && status[at] == Status::ok) status[at] = Status::outside_support;
  }
}

template <class T>
void Elementwise<T>::reverse(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, std::span<T>) const {
  copy_samples<T>(z_bar, x_bar);
  for (Index j = 0; j < x.cols(); ++j) {
    const auto w = static_cast<double>(weight_of(weight, j));
    for (const Index i : rows_) {
      const double u = (static_cast<double>(x(i, j)) - options_.shift) / options_.scale;
      const double u_bar =
          static_cast<double>(z_bar(i, j)) * std::exp(function_(u).log_slope) + w * function_.log_slope_derivative(u);
      x_bar(i, j) = static_cast<T>(u_bar / options_.scale);
    }
  }
}

template <class T>
void Elementwise<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                             std::span<Status> status, const InverseOptions&) const {
  const auto z = batch.x;
  copy_samples<T>(z, x);
  const auto range = inverse_.domain();
  const double log_scale = std::log(options_.scale);
  for (Index j = 0; j < z.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    bool excluded = false;
    double sum = 0;
    for (const Index i : rows_) {
      const auto v = static_cast<double>(z(i, j));
      const auto [value, log_slope] = outside(range, v) ? ScalarFunction::Value{std::nan(""), infinity} : inverse_(v);
      x(i, j) = static_cast<T>(options_.shift + options_.scale * value);
      excluded = excluded || log_slope == infinity;
      sum += log_slope + log_scale;
    }
    log_det[at] = excluded ? infinity : log_det[at] + sum;
    if (excluded && status[at] == Status::ok) status[at] = Status::outside_support;
  }
}

template <class T>
void Elementwise<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> b,
                                      MatrixView<T> lambda) const {
  copy_samples<T>(b, lambda);
  for (Index j = 0; j < x.cols(); ++j) {
    for (const Index i : rows_) {
      const double u = (static_cast<double>(x(i, j)) - options_.shift) / options_.scale;
      const double slope = std::exp(function_(u).log_slope) / options_.scale;
      lambda(i, j) = static_cast<T>(static_cast<double>(b(i, j)) / slope);
    }
  }
}

template class Elementwise<float>;
template class Elementwise<double>;

}  // namespace pushforward::flow
