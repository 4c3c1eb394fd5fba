#include <pushforward/flow/actnorm.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
struct ActNormState final : TransformState<T> {
  ConstMatrixView<T> x;
};

}  // namespace

template <class T>
ActNorm<T>::ActNorm(nn::ParameterLayout& layout, const std::string& name, Index d)
    : d_(d), scale_(static_cast<std::size_t>(d), T(1)), shift_(static_cast<std::size_t>(d), T(0)) {
  const auto offset = [&](Index block) { return layout.blocks()[static_cast<std::size_t>(block)].offset; };
  log_scale_offset_ = offset(layout.add(name + "/log_scale", d));
  shift_offset_ = offset(layout.add(name + "/shift", d));
}

template <class T>
void ActNorm<T>::initialise(std::span<T> parameters) const {
  std::fill_n(parameters.data() + log_scale_offset_, d_, T(0));
  std::fill_n(parameters.data() + shift_offset_, d_, T(0));
}

template <class T>
void ActNorm<T>::initialise_from_data(std::span<T> parameters, ConstMatrixView<T> x) const {
  const auto n = static_cast<double>(x.cols());
  for (Index i = 0; i < d_; ++i) {
    double mean = 0, square = 0;
    for (Index j = 0; j < x.cols(); ++j) mean += static_cast<double>(x(i, j)) / n;
    for (Index j = 0; j < x.cols(); ++j) square += std::pow(static_cast<double>(x(i, j)) - mean, 2) / n;
    // Of a constant column, the rounding of the mean alone would be left.
    bool constant = true;
    for (Index j = 1; j < x.cols(); ++j) constant = constant && x(i, j) == x(i, 0);
    parameters[static_cast<std::size_t>(shift_offset_ + i)] = static_cast<T>(mean);
    parameters[static_cast<std::size_t>(log_scale_offset_ + i)] =
        constant ? T(0) : static_cast<T>(-0.5 * std::log(square));
  }
}

template <class T>
void ActNorm<T>::prepare(std::span<const T> parameters, Normalization) {
  log_det_ = 0;
  for (Index i = 0; i < d_; ++i) {
    const T log_scale = parameters[static_cast<std::size_t>(log_scale_offset_ + i)];
    scale_[static_cast<std::size_t>(i)] = std::exp(log_scale);
    shift_[static_cast<std::size_t>(i)] = parameters[static_cast<std::size_t>(shift_offset_ + i)];
    log_det_ += static_cast<double>(log_scale);
  }
}

template <class T>
std::unique_ptr<TransformState<T>> ActNorm<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Purpose) const {
  return std::make_unique<ActNormState<T>>();
}

template <class T>
void ActNorm<T>::forward(TransformState<T>& state, ConstMatrixView<T> x, MatrixView<T> z, std::span<double> log_det,
                         std::span<Status>) const {
  static_cast<ActNormState<T>&>(state).x = x;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < d_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      z(i, j) = scale_[at] * (x(i, j) - shift_[at]);
    }
  }
  for (double& value : log_det) value += log_det_;
}

template <class T>
void ActNorm<T>::reverse(TransformState<T>& state, ConstMatrixView<T> z_bar, std::span<const T> weight,
                         MatrixView<T> x_bar, std::span<T> gradient) const {
  const auto x = static_cast<ActNormState<T>&>(state).x;
  T* const log_scale_gradient = gradient.data() + log_scale_offset_;
  T* const shift_gradient = gradient.data() + shift_offset_;
  T total_weight = static_cast<T>(x.cols());
  if (!weight.empty()) {
    total_weight = 0;
    for (const T w : weight) total_weight += w;
  }
  for (Index i = 0; i < d_; ++i) log_scale_gradient[i] += total_weight;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < d_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const T bar = scale_[at] * z_bar(i, j);
      x_bar(i, j) = bar;
      log_scale_gradient[i] += bar * (x(i, j) - shift_[at]);
      shift_gradient[i] -= bar;
    }
  }
}

template <class T>
void ActNorm<T>::inverse(TransformState<T>&, ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_det,
                         std::span<Status>, const InverseOptions&) const {
  for (Index j = 0; j < z.cols(); ++j) {
    for (Index i = 0; i < d_; ++i) {
      const auto at = static_cast<std::size_t>(i);
      x(i, j) = z(i, j) / scale_[at] + shift_[at];
    }
  }
  for (double& value : log_det) value -= log_det_;
}

template class ActNorm<float>;
template class ActNorm<double>;

}  // namespace pushforward::flow
