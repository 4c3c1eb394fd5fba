#include <pushforward/core/softplus.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/maps/monotone_root.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/transforms/planar.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
struct PlanarState final : TransformState<T> {
  std::span<double> u_bar;  // (d), scratch
};

template <class T>
double dot_with(std::span<const double> a, const T* x) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * static_cast<double>(x[i]);
  return sum;
}

}  // namespace

template <class T>
Planar<T>::Planar(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                  const PlanarOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(shape),
      options_(options),
      seed_(seed),
      key_(key),
      u_offset_(nn::add_vector(layout, name + "/u", shape.size())),
      w_offset_(nn::add_vector(layout, name + "/w", shape.size())),
      b_offset_(nn::add_vector(layout, name + "/b", 1)),
      u_(static_cast<std::size_t>(shape.size())),
      w_(u_.size()),
      u_hat_(u_.size()) {}

template <class T>
void Planar<T>::initialize(std::span<T> parameters) const {
  // The root of m: m(log(e − 1)) = 0.
  static const double root = std::log(std::expm1(1));
  random::Stream stream(seed_, random::Purpose::parameters, 0, key_);
  std::vector<double> w(w_.size());
  for (double& value : w) value = stream.normal() / std::sqrt(static_cast<double>(w.size()));
  const double square = dot_with(w, w.data());
  for (std::size_t i = 0; i < w.size(); ++i) {
    nn::part_of(parameters, w_offset_, shape_.size())[i] = static_cast<T>(w[i]);
    nn::part_of(parameters, u_offset_, shape_.size())[i] = static_cast<T>(root * w[i] / square);
  }
  parameters[b_offset_] = 0;
}

template <class T>
void Planar<T>::prepare(std::span<const T> parameters, Normalization) {
  std::ranges::copy(nn::part_of(parameters, u_offset_, shape_.size()), u_.begin());
  std::ranges::copy(nn::part_of(parameters, w_offset_, shape_.size()), w_.begin());
  b_ = static_cast<double>(parameters[b_offset_]);
  square_ = dot_with(w_, w_.data());
  product_ = dot_with(w_, u_.data());
  softplus_ = softplus(product_);
  for (std::size_t i = 0; i < u_.size(); ++i) u_hat_[i] = u_[i] + (softplus_ - 1 - product_) / square_ * w_[i];
}

// The determinant is 1 + (1 − t²)(s − 1) = t² + (1 − t²)s with s = 1 + wᵀû > 0. The latter sum has positive terms only.
template <class T>
typename Planar<T>::Point Planar<T>::point(double a) const {
  const double t = std::tanh(a), e = std::exp(-2 * std::abs(a)), slope = 4 * e / ((1 + e) * (1 + e));
  return {t, slope, t * t + slope * softplus_};
}

template <class T>
double Planar<T>::log_det_of(double determinant, Status& status) const {
  if (!std::isfinite(u_hat_[0]) && status == Status::ok) status = Status::not_finite;  // w = 0
  return std::log(determinant);
}

template <class T>
std::unique_ptr<TransformState<T>> Planar<T>::plan(linalg::Workspace&, linalg::Workspace& scratch, Index,
                                                   Pass pass) const {
  auto state = std::make_unique<PlanarState<T>>();
  if (pass == Pass::gradient) state->u_bar = scratch.take<double>(shape_.size());
  return state;
}

template <class T>
void Planar<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                        std::span<Status> status) const {
  const auto x = batch.x;
  for (Index j = 0; j < x.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const Point p = point(dot_with(w_, x.column(j)) + b_);
    for (Index i = 0; i < x.rows(); ++i) {
      z(i, j) = static_cast<T>(static_cast<double>(x(i, j)) + u_hat_[i] * p.tanh);
    }
    log_det[at] += log_det_of(p.determinant, status[at]);
  }
}

// Let c = wᵀû, t = tanh a, h = 1 − t² and λ = 1 + hc. A sample has ā = h·z̄ᵀû − 2thc·w/λ and x̄ = z̄ + ā w, where w/λ is
// the weight of the log-det over λ. The sums over samples are û̄ = Σ t z̄, c̄ = Σ (w/λ)h, w̄ = Σ ā x and b̄ = Σ ā. Let
// τ = wᵀu, ν = ‖w‖² and γ = û̄ᵀw/ν, the derivative along m(τ) − τ. Then
//     τ̄ = −γ + σ(τ)(c̄ + γ),   ū = û̄ + τ̄ w,   w̄ += τ̄ u + (m(τ) − τ)(û̄ − 2γ w)/ν.
template <class T>
void Planar<T>::reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                        std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  const auto u_bar = static_cast<PlanarState<T>&>(state).u_bar;
  const bool parameters = !gradient.empty();
  const auto part_of = [&](Index offset) {
    return parameters ? nn::part_of(gradient, offset, shape_.size()) : std::span<T>();
  };
  const auto u_gradient = part_of(u_offset_), w_gradient = part_of(w_offset_);
  const double c = softplus_ - 1;
  double c_bar = 0, b_bar = 0;
  std::ranges::fill(u_bar, 0.0);
  for (Index j = 0; j < z_bar.cols(); ++j) {
    const Point p = point(dot_with(w_, x.column(j)) + b_);
    const double scaled = static_cast<double>(weight_of(weight, j)) / p.determinant;
    const double a_bar = p.slope * (dot_with(u_hat_, z_bar.column(j)) - 2 * p.tanh * c * scaled);
    for (std::size_t i = 0; i < w_.size(); ++i) {
      const auto row = static_cast<Index>(i);
      const auto bar = static_cast<double>(z_bar(row, j));
      x_bar(row, j) = static_cast<T>(bar + a_bar * w_[i]);
      if (!parameters) continue;
      w_gradient[i] += static_cast<T>(a_bar * static_cast<double>(x(row, j)));
      u_bar[i] += p.tanh * bar;
    }
    c_bar += scaled * p.slope;
    b_bar += a_bar;
  }
  if (!parameters) return;
  const double gamma = dot_with(w_, u_bar.data()) / square_;
  const double product_bar = -gamma + (c_bar + gamma) / (1 + std::exp(-product_));
  for (std::size_t i = 0; i < w_.size(); ++i) {
    u_gradient[i] += static_cast<T>(u_bar[i] + product_bar * w_[i]);
    w_gradient[i] += static_cast<T>(product_bar * u_[i] + (c - product_) * (u_bar[i] - 2 * gamma * w_[i]) / square_);
  }
  gradient[b_offset_] += static_cast<T>(b_bar);
}

// wᵀz = wᵀx + wᵀû tanh(wᵀx + b). With a = wᵀx + b and s = 1 + wᵀû, a is the root of (a − tanh a) + s·tanh a = wᵀz + b.
// The left-hand side increases, and a is within |s − 1| of the right-hand side. Then x = z − û tanh a.
template <class T>
void Planar<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                        std::span<Status> status, const InverseOptions&) const {
  const auto z = batch.x;
  const double reach = std::abs(softplus_ - 1);
  for (Index j = 0; j < z.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const double target = dot_with(w_, z.column(j)) + b_;
    const auto f = [&](double a) {
      const Point p = point(a);
      return ValueAndSlope{a - p.tanh + softplus_ * p.tanh - target, p.determinant};
    };
    const Point p = point(monotone_root(f, target - reach, target + reach));
    for (Index i = 0; i < z.rows(); ++i) {
      x(i, j) = static_cast<T>(static_cast<double>(z(i, j)) - u_hat_[i] * p.tanh);
    }
    log_det[at] -= log_det_of(p.determinant, status[at]);
  }
}

// Jᵀ = I + h w ûᵀ, whose inverse is I − h w ûᵀ/(1 + h wᵀû) [Sherman & Morrison 1950].
template <class T>
void Planar<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T> x, ConstMatrixView<T> b,
                                 MatrixView<T> lambda) const {
  for (Index j = 0; j < x.cols(); ++j) {
    const Point p = point(dot_with(w_, x.column(j)) + b_);
    const double along = p.slope * dot_with(u_hat_, b.column(j)) / p.determinant;
    for (Index i = 0; i < x.rows(); ++i) lambda(i, j) = static_cast<T>(static_cast<double>(b(i, j)) - along * w_[i]);
  }
}

template class Planar<float>;
template class Planar<double>;

}  // namespace pushforward::flow
