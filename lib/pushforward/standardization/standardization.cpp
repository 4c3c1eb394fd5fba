#include <pushforward/standardization/standardization.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/name_table.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/dataset/largest_weight.hpp>
#include <pushforward/dataset/row_reader.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/lapack.hpp>

#include <algorithm>
#include <array>
#include <cmath>

namespace pushforward::data {

namespace {

// A column counts as a linear combination of others when less than this part of its variance is its own.
constexpr double least_own_variance = 1e-12;

const NameTable<Standardization::Kind>& kinds() {
  static const NameTable<Standardization::Kind> table("standardization", {"none", "unit", "scale", "whiten"});
  return table;
}

Matrix<double> diagonal(Index d, double value) {
  Matrix<double> all(d, 1);
  all.fill(value);
  return all;
}

void refuse_constant_columns(const Moments& moments, std::span<const std::string> names) {
  std::vector<std::string> constant;
  for (Index i = 0; i < moments.dimension(); ++i) {
    if (moments.is_constant(i)) constant.push_back(names[i]);
  }
  require_no_constants(constant);
}

void require_weight(const Moments& moments) {
  require<DataError>(moments.total_weight() > 0, "standardization: no rows, or none with a positive weight");
}

Matrix<double> deviations(const std::vector<double>& variances) {
  Matrix<double> factor(std::ssize(variances), 1);
  std::ranges::transform(variances, factor.data(), [](double variance) { return std::sqrt(variance); });
  return factor;
}

// The diagonal of s · I, s the root mean square of the deviations of the other columns.
Matrix<double> common_deviation(const std::vector<double>& variances, std::span<const Index> kept) {
  const auto d = std::ssize(variances);
  double sum = 0, count = 0;
  for (Index i = 0; i < d; ++i) {
    if (std::ranges::find(kept, i) != kept.end()) continue;
    sum += variances[i];
    count += 1;
  }
  return diagonal(d, count > 0 ? std::sqrt(sum / count) : 1);
}

// The factor of the correlations, which is better conditioned than that of the covariance, times the deviations.
Matrix<double> cholesky_factor(const Moments& moments, std::span<const std::string> names) {
  const Index d = moments.dimension();
  const Matrix<double> covariance = moments.covariance(), scale = deviations(moments.variances());
  Matrix<double> correlation(d, d);
  for (Index j = 0; j < d; ++j) {
    for (Index i = j; i < d; ++i) correlation(i, j) = covariance(i, j) / (scale(i, 0) * scale(j, 0));
  }
  const auto factor_of = [&](Index size) {
    Matrix<double> factor(ConstMatrixView<double>(correlation).block(0, 0, size, size));
    const double last = linalg::cholesky(factor.view()) ? factor(size - 1, size - 1) : 0;
    return std::pair(std::move(factor), last * last > least_own_variance);
  };
  auto [factor, independent] = factor_of(d);
  for (Index i = 0; independent && i < d; ++i) independent = factor(i, i) * factor(i, i) > least_own_variance;
  if (!independent) {
    Index size = 1;
    while (size < d && factor_of(size).second) ++size;
    throw DataError(
        fmt::format("column {} is a linear combination of those before it, so there is nothing to whiten; "
                    "leave it out with flow_data import --exclude, or use data.standardize = scale",
                    names[size - 1]));
  }
  for (Index j = 0; j < d; ++j) {
    for (Index i = j; i < d; ++i) factor(i, j) *= scale(i, 0);
  }
  return factor;
}

}  // namespace

void require_no_constants(std::span<const std::string> constant) {
  require<DataError>(constant.empty(),
                     "constant in all training rows: {}. Such columns have no density; leave them out with flow_data "
                     "import --drop-constant or --exclude, or, integers, dequantize them by model.levels, with "
                     "data.standardize = \"none\"",
                     join_some(constant));
}

std::string_view kind_name(Standardization::Kind kind) {
  return kinds().name(kind);
}

Standardization::Kind parse_kind(std::string_view name) {
  return kinds().value(name);
}

Standardization::Standardization(Index dimension)
    : kind_(Kind::none), mean_(static_cast<std::size_t>(dimension)), factor_(diagonal(dimension, 1)) {}

Standardization::Standardization(Kind kind, std::vector<double> mean, Matrix<double> factor)
    : kind_(kind), mean_(std::move(mean)), factor_(std::move(factor)) {
  require<DataError>(factor_.rows() == dimension() && factor_.cols() == (is_diagonal() ? 1 : dimension()),
                     "standardization {}: a factor ({} × {}) for a mean of {} numbers", kind_name(kind), factor_.rows(),
                     factor_.cols(), dimension());
  for (Index i = 0; i < dimension(); ++i) {
    require<DataError>(std::isfinite(scale(i)) && scale(i) > 0 && std::isfinite(mean_[i]),
                       "standardization: column {} has mean {} and scale {}; finite and positive is wanted", i,
                       mean_[i], scale(i));
  }
}

Standardization::Standardization(Kind kind, const Moments& moments, std::span<const std::string> names,
                                 std::span<const Index> kept)
    : Standardization(moments.dimension()) {
  require_weight(moments);
  if (kind == Kind::none) return;
  if (kind == Kind::whiten && !kept.empty()) {
    std::vector<std::string> columns;
    for (const Index i : kept) columns.push_back(names[i]);
    throw OptionError(
        fmt::format("data.standardize = whiten mixes columns, but {} are angles or unit vectors, "
                    "which stay as they are; use scale",
                    join_some(columns)));
  }
  refuse_constant_columns(moments, names);
  kind_ = kind;
  if (kind == Kind::unit) {
    factor_ = common_deviation(moments.variances(), kept);
  } else {
    mean_ = moments.mean();
    factor_ = kind == Kind::scale ? deviations(moments.variances()) : cholesky_factor(moments, names);
  }
  for (const Index i : kept) {
    mean_[i] = 0;
    factor_(i, 0) = 1;
  }
}

double Standardization::log_det() const {
  double sum = 0;
  for (Index i = 0; i < dimension(); ++i) sum -= std::log(scale(i));
  return sum;
}

double Standardization::log_deviations() const {
  double sum = 0;
  for (Index i = 0; i < dimension(); ++i) {
    double variance = 0;  // on the diagonal of L Lᵀ
    for (Index k = 0; k < factor_.cols(); ++k) variance += factor_(i, k) * factor_(i, k);
    sum += 0.5 * std::log(variance);
  }
  return sum;
}

template <class T>
void Standardization::forward(ConstMatrixView<double> x, MatrixView<T> z) const {
  require<ShapeError>(x.rows() == dimension() && z.rows() == dimension() && x.cols() == z.cols(),
                      "standardization: x ({} × {}), z ({} × {}), d = {}", x.rows(), x.cols(), z.rows(), z.cols(),
                      dimension());
  Matrix<double> centered(x);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) centered(i, j) -= mean_[i];
  }
  if (kind_ == Kind::whiten) {
    linalg::solve_lower(linalg::Op::none, factor_, centered.view());
  } else {
    for (Index j = 0; j < x.cols(); ++j) {
      for (Index i = 0; i < x.rows(); ++i) centered(i, j) /= factor_(i, 0);
    }
  }
  for (Index j = 0; j < x.cols(); ++j) {
    std::transform(centered.view().column(j), centered.view().column(j) + x.rows(), z.column(j),
                   [](double v) { return static_cast<T>(v); });
  }
}

template <class T>
void Standardization::inverse(ConstMatrixView<T> z, MatrixView<double> x) const {
  require<ShapeError>(x.rows() == dimension() && z.rows() == dimension() && x.cols() == z.cols(),
                      "standardization: z ({} × {}), x ({} × {}), d = {}", z.rows(), z.cols(), x.rows(), x.cols(),
                      dimension());
  for (Index j = 0; j < x.cols(); ++j) std::copy_n(z.column(j), x.rows(), x.column(j));
  if (kind_ == Kind::whiten) {
    linalg::multiply_lower(factor_, x);
  } else {
    for (Index j = 0; j < x.cols(); ++j) {
      for (Index i = 0; i < x.rows(); ++i) x(i, j) *= factor_(i, 0);
    }
  }
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) x(i, j) += mean_[i];
  }
}

namespace {

// Moments over the training rows of the d numbers that read(first row, columns) gives of each.
template <class Read>
Moments moments_of(const RowReader& reader, Index d, Read&& read) {
  constexpr Index slab_rows = 8192;
  const Index rows = reader.rows(Split::train);
  const double largest =
      largest_weight(0, rows, [&](Index first, std::span<double> w) { reader.read_weights(Split::train, first, w); });
  require<DataError>(largest > 0, "standardization: no rows, or none with a positive weight");
  Moments moments(d, Moments::Second::variances);
  Matrix<double> slab(d, std::min(slab_rows, rows));
  std::vector<double> weights(slab.cols());
  for (Index first = 0; first < rows; first += slab.cols()) {
    const Index count = std::min(slab.cols(), rows - first);
    const auto x = slab.view().columns(0, count);
    const auto w = std::span(weights).first(count);
    read(first, x);
    reader.read_weights(Split::train, first, w);
    for (double& weight : w) weight /= largest;
    moments.add(x, w);
  }
  return moments;
}

}  // namespace

Moments training_moments(const RowReader& rows) {
  return moments_of(rows, rows.description().dimension,
                    [&](Index first, MatrixView<double> x) { rows.read(Split::train, first, x); });
}

Moments context_moments(const RowReader& rows) {
  return moments_of(rows, rows.description().context_dimension(),
                    [&](Index first, MatrixView<double> c) { rows.read_context(Split::train, first, c); });
}

Standardization fit_context(const Moments& moments) {
  require_weight(moments);
  auto factor = deviations(moments.variances());
  for (Index i = 0; i < factor.rows(); ++i) {
    if (moments.is_constant(i)) factor(i, 0) = 1;
  }
  return {Standardization::Kind::scale, moments.mean(), std::move(factor)};
}

template void Standardization::forward(ConstMatrixView<double>, MatrixView<double>) const;
template void Standardization::forward(ConstMatrixView<double>, MatrixView<float>) const;
template void Standardization::inverse(ConstMatrixView<double>, MatrixView<double>) const;
template void Standardization::inverse(ConstMatrixView<float>, MatrixView<double>) const;

}  // namespace pushforward::data
