#include <pushforward/transforms/dequantize.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// The cell of [0, 1) that z lies in.
template <class T>
double cell(T z, double levels) {
  return std::floor(static_cast<double>(z) * levels);
}

// (x + u)/levels in T, kept from being rounded into the neighbor's cell.
template <class T>
T into_cell(double x, double u, double levels) {
  T z = static_cast<T>((x + u) / levels);
  while (cell(z, levels) > x) z = std::nextafter(z, T(0));
  while (cell(z, levels) < x) z = std::nextafter(z, T(1));
  return z;
}

}  // namespace

OptionSet DequantizeOptions::declare() {
  OptionSet set;
  set.add("levels", levels, "values are integers from 0 to levels - 1", at_least(2));
  return set;
}

template <class T>
Dequantize<T>::Dequantize(nn::ParameterLayout&, const std::string& name, const Shape& shape,
                          const DequantizeOptions& options)
    : shape_(shape), options_(options) {
  // In each cell there must be numbers of T.
  constexpr Index most = Index{1} << (std::numeric_limits<T>::digits - 2);
  require<OptionError>(options.levels >= 2 && options.levels <= most, "dequantize {}: levels = {} must be from 2 to {}",
                       name, options.levels, most);
}

template <class T>
std::pair<double, double> Dequantize<T>::support(Index) const {
  return {-1, static_cast<double>(options_.levels)};
}

template <class T>
bool Dequantize<T>::admits(Index, double x) const {
  return x >= 0 && x < static_cast<double>(options_.levels) && x == std::floor(x);
}

template <class T>
std::string Dequantize<T>::admitted(Index) const {
  return fmt::format("integers from 0 to {}", options_.levels - 1);
}

template <class T>
std::unique_ptr<TransformState<T>> Dequantize<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void Dequantize<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                            std::span<Status> status) const {
  const auto x = batch.x;
  const auto levels = static_cast<double>(options_.levels);
  const double change = -static_cast<double>(x.rows()) * std::log(levels);
  for (Index j = 0; j < x.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    bool excluded = false;
    for (Index i = 0; i < x.rows(); ++i) {
      const auto value = static_cast<double>(x(i, j));
      const bool admitted = admits(i, value);
      z(i, j) = std::numeric_limits<T>::quiet_NaN();
      if (admitted) {
        auto stream = batch.draws.stream(random::Purpose::dequantize_draw, j, i);
        z(i, j) = into_cell<T>(value, stream.uniform(), levels);
      }
      excluded = excluded || !admitted;
    }
    log_det[at] = excluded ? -infinity : log_det[at] + change;
    if (excluded && status[at] == Status::ok) status[at] = Status::outside_support;
  }
}

template <class T>
void Dequantize<T>::reverse(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> z_bar, std::span<const T>,
                            MatrixView<T> x_bar, std::span<T>) const {
  for (Index j = 0; j < z_bar.cols(); ++j) {
    for (Index i = 0; i < z_bar.rows(); ++i) x_bar(i, j) = z_bar(i, j) / static_cast<T>(options_.levels);
  }
}

template <class T>
void Dequantize<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                            std::span<Status>, const InverseOptions&) const {
  const auto z = batch.x;
  const auto levels = static_cast<double>(options_.levels);
  for (Index j = 0; j < z.cols(); ++j) {
    for (Index i = 0; i < z.rows(); ++i) {
      x(i, j) = static_cast<T>(std::clamp(cell(z(i, j), levels), 0.0, levels - 1));
    }
  }
  for (double& value : log_det) value += static_cast<double>(z.rows()) * std::log(levels);
}

template <class T>
void Dequantize<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> b,
                                     MatrixView<T> lambda) const {
  for (Index j = 0; j < b.cols(); ++j) {
    for (Index i = 0; i < b.rows(); ++i) lambda(i, j) = b(i, j) * static_cast<T>(options_.levels);
  }
}

template class Dequantize<float>;
template class Dequantize<double>;

}  // namespace pushforward::flow
