#include <pushforward/core/softplus.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/transforms/radial.hpp>

#include <cmath>

namespace pushforward::flow {

template <class T>
Radial<T>::Radial(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                  const RadialOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(shape),
      options_(options),
      seed_(seed),
      key_(key),
      center_offset_(nn::add_vector(layout, name + "/center", shape.size())),
      log_alpha_offset_(nn::add_vector(layout, name + "/log_alpha", 1)),
      beta_offset_(nn::add_vector(layout, name + "/beta", 1)),
      center_(static_cast<std::size_t>(shape.size())) {}

template <class T>
void Radial<T>::initialize(std::span<T> parameters) const {
  random::Stream stream(seed_, random::Purpose::parameters, 0, key_);
  for (T& value : nn::part_of(parameters, center_offset_, shape_.size())) value = static_cast<T>(stream.normal());
  parameters[log_alpha_offset_] = 0;
  parameters[beta_offset_] = static_cast<T>(std::log(std::expm1(1)));
}

template <class T>
void Radial<T>::prepare(std::span<const T> parameters, Normalization) {
  std::ranges::copy(nn::part_of(parameters, center_offset_, shape_.size()), center_.begin());
  alpha_ = std::exp(static_cast<double>(parameters[log_alpha_offset_]));
  beta_ = static_cast<double>(parameters[beta_offset_]);
  softplus_ = softplus(beta_);
}

template <class T>
double Radial<T>::distance(const T* x) const {
  double square = 0;
  for (std::size_t i = 0; i < center_.size(); ++i) square += std::pow(static_cast<double>(x[i]) - center_[i], 2);
  return std::sqrt(square);
}

template <class T>
double Radial<T>::log_det_at(double r) const {
  const double sum = alpha_ + r;
  return static_cast<double>(shape_.size() - 1) * std::log((r + softplus_) / sum) +
         std::log((r * r + 2 * alpha_ * r + alpha_ * softplus_) / (sum * sum));
}

template <class T>
std::unique_ptr<TransformState<T>> Radial<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void Radial<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                        std::span<Status>) const {
  const auto x = batch.x;
  for (Index j = 0; j < x.cols(); ++j) {
    const double r = distance(x.column(j)), pull = (softplus_ - alpha_) / (alpha_ + r);
    for (Index i = 0; i < x.rows(); ++i) {
      const auto value = static_cast<double>(x(i, j));
      z(i, j) = static_cast<T>(value + pull * (value - center_[i]));
    }
    log_det[j] += log_det_at(r);
  }
}

// Let δ = x − x₀, g = (r² + 2αr + αs)/(α + r)² and w the weight of the log-det. Then q̄ = z̄ᵀδ + (d − 1)w/q. r̄, s̄ and ᾱ
// follow from the derivatives along r, s and α,
//     ∂q = ((α − s)/(α + r)², 1/(α + r), −(r + s)/(α + r)²),
//     ∂log g = (2(r + α)/n − 2/(α + r), α/n, (2r + s)/n − 2/(α + r)),   n = r² + 2αr + αs.
// Then δ̄ = q z̄ + r̄ δ/r = x̄ and x̄₀ = Σ (z̄ − δ̄).
template <class T>
void Radial<T>::reverse(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
                        MatrixView<T> x_bar, std::span<T> gradient) const {
  const bool parameters = !gradient.empty();
  const auto center_gradient = parameters ? nn::part_of(gradient, center_offset_, shape_.size()) : std::span<T>();
  double s_bar = 0, alpha_bar = 0;
  for (Index j = 0; j < x.cols(); ++j) {
    const auto w = static_cast<double>(weight_of(weight, j));
    const double r = distance(x.column(j)), s = softplus_, sum = alpha_ + r, q = (r + s) / sum;
    const double n = r * r + 2 * alpha_ * r + alpha_ * s;
    double q_bar = w * static_cast<double>(shape_.size() - 1) / q;
    for (std::size_t i = 0; i < center_.size(); ++i) {
      const auto row = static_cast<Index>(i);
      q_bar += static_cast<double>(z_bar(row, j)) * (static_cast<double>(x(row, j)) - center_[i]);
    }
    const double r_bar = q_bar * (alpha_ - s) / (sum * sum) + w * (2 * sum / n - 2 / sum);
    s_bar += q_bar / sum + w * alpha_ / n;
    alpha_bar += -q_bar * q / sum + w * ((2 * r + s) / n - 2 / sum);
    for (std::size_t i = 0; i < center_.size(); ++i) {
      const auto row = static_cast<Index>(i);
      const auto bar = static_cast<double>(z_bar(row, j));
      const double delta_bar = q * bar + (r > 0 ? r_bar * (static_cast<double>(x(row, j)) - center_[i]) / r : 0);
      x_bar(row, j) = static_cast<T>(delta_bar);
      if (parameters) center_gradient[i] += static_cast<T>(bar - delta_bar);
    }
  }
  if (!parameters) return;
  gradient[log_alpha_offset_] += static_cast<T>(alpha_ * alpha_bar);
  gradient[beta_offset_] += static_cast<T>(s_bar / (1 + std::exp(-beta_)));
}

// ρ = ‖z − x₀‖ = r(r + s)/(α + r), so r² + (s − ρ)r − αρ = 0. One root is not negative. It is computed in the form in
// which nothing cancels. Then x = x₀ + (z − x₀)/q.
template <class T>
void Radial<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                        std::span<Status>, const InverseOptions&) const {
  const auto z = batch.x;
  for (Index j = 0; j < z.cols(); ++j) {
    const double rho = distance(z.column(j)), p = rho - softplus_;
    const double root = std::sqrt(p * p + 4 * alpha_ * rho);
    const double r = p > 0 ? (p + root) / 2 : 2 * alpha_ * rho / (root - p);
    const double shrink = (alpha_ + r) / (r + softplus_);
    for (Index i = 0; i < z.rows(); ++i) {
      const double center = center_[i];
      x(i, j) = static_cast<T>(center + shrink * (static_cast<double>(z(i, j)) - center));
    }
    log_det[j] -= log_det_at(r);
  }
}

// J is symmetric. It is q across δ = x − x₀ and g = (r² + 2αr + αs)/(α + r)² along it.
template <class T>
void Radial<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> b,
                                 MatrixView<T> lambda) const {
  for (Index j = 0; j < x.cols(); ++j) {
    const double r = distance(x.column(j)), sum = alpha_ + r, q = (r + softplus_) / sum;
    const double g = (r * r + 2 * alpha_ * r + alpha_ * softplus_) / (sum * sum);
    const auto delta = [&](Index i) { return static_cast<double>(x(i, j)) - center_[i]; };
    double along = 0;
    for (Index i = 0; i < x.rows(); ++i) along += delta(i) * static_cast<double>(b(i, j));
    const double factor = r > 0 ? (1 / g - 1 / q) * along / (r * r) : 0;
    for (Index i = 0; i < x.rows(); ++i) {
      lambda(i, j) = static_cast<T>(static_cast<double>(b(i, j)) / q + factor * delta(i));
    }
  }
}

template class Radial<float>;
template class Radial<double>;

}  // namespace pushforward::flow
