#include <pushforward/core/angle.hpp>
#include <pushforward/core/softplus.hpp>
#include <pushforward/maps/spline.hpp>

#include <array>
#include <cmath>
#include <numbers>
#include <xsimd/xsimd.hpp>

namespace pushforward::flow {

namespace {

// Replaces the first `count` values with exp(x − shift). The length of the array is a multiple of a register's width.
template <class T, std::size_t size>
void exponentials(std::array<T, size>& x, Index count, T shift) {
  using B = xsimd::batch<T>;
  static_assert(size % B::size == 0);
  for (Index i = 0; i < count; i += static_cast<Index>(B::size)) {
    xsimd::exp(B::load_unaligned(x.data() + i) - B(shift)).store_unaligned(x.data() + i);
  }
}

}  // namespace

template <class T>
struct Spline<T>::Knots {
  std::array<T, max_bins> share;  // softmax of the raw lengths
  std::array<T, max_bins + 1> at;

  // Returns the bin that holds p, or the first bin if p is NaN.
  Index find(Index bins, T p) const {
    Index k = 0;
    for (Index j = 1; j < bins; ++j) k += at[j] <= p ? 1 : 0;
    return k;
  }
};

template <class T>
struct Spline<T>::Bin {
  struct Terms {
    T n, d, p;  // N, D, P
  };

  T x, w, y, h;   // the left knot, width and height
  T left, right;  // slopes d_k and d_{k+1}
  T s = h / w;

  Terms terms(T u, T v) const {
    const T uu = u * u, uv = u * v, vv = v * v;
    return {s * uu + left * uv, s * (uu + vv) + (left + right) * uv, right * uu + 2 * s * uv + left * vv};
  }
  // log(s²·P/D²).
  double log_slope(const Terms& t) const {
    const T ratio = s / t.d;
    return static_cast<double>(std::log(ratio * ratio * t.p));
  }
  BinGradient reverse(T u, T v, T z_bar, T omega) const;
};

template <class T>
struct Spline<T>::BinGradient {
  T u, w, y, h, left, right;
};

// The gradient of z̄·z + ω·log ∂z/∂x, where u stands for x and v = 1 − u:
//     h̄ = z̄·N/D,   N̄ = z̄·h/D,   D̄ = −z̄·h·N/D² − 2ω/D,   P̄ = ω/P,   s̄ = 2ω/s + what N, D and P pass on.
template <class T>
auto Spline<T>::Bin::reverse(T u, T v, T z_bar, T omega) const -> BinGradient {
  const T uu = u * u, uv = u * v, vv = v * v;
  const auto [n, d, p] = terms(u, v);
  const T ratio = n / d;
  const T n_bar = z_bar * h / d;
  const T d_bar = -n_bar * ratio - 2 * omega / d;
  const T p_bar = omega / p;
  const T s_bar = 2 * omega / s + n_bar * uu + d_bar * (uu + vv) + 2 * p_bar * uv;
  const T u_bar =
      n_bar * (2 * s * u + left * v) + d_bar * (2 * s * u + (left + right) * v) + 2 * p_bar * (right * u + s * v);
  const T v_bar = n_bar * left * u + d_bar * (2 * s * v + (left + right) * u) + 2 * p_bar * (s * u + left * v);
  return {.u = u_bar - v_bar,
          .w = -s_bar * s / w - (u_bar - v_bar) * u / w,
          .y = z_bar,
          .h = z_bar * ratio + s_bar / w,
          .left = n_bar * uv + d_bar * uv + p_bar * vv,
          .right = d_bar * uv + p_bar * uu};
}

OptionSet SplineOptions::declare() {
  OptionSet set;
  set.add("bins", bins, "number of bins", between(2, 64))
      .add("bound", bound, "the map is the identity outside ±bound", more_than(0))
      .add("min_width", min_width, "least width of a bin, as a fraction of the whole", between(1e-5, 0.5))
      .add("min_height", min_height, "least height of a bin, as a fraction of the whole", between(1e-5, 0.5))
      .add("min_derivative", min_derivative, "least slope at a knot", strictly_between(0, 1));
  return set;
}

template <class T>
Spline<T>::Spline(const SplineOptions& options, SplineEnds ends)
    : bins_(options.bins),
      circular_(ends == SplineEnds::circular),
      bound_(circular_ ? std::numbers::pi_v<T> : static_cast<T>(options.bound)),
      min_width_(static_cast<T>(options.min_width)),
      min_height_(static_cast<T>(options.min_height)),
      min_slope_(static_cast<T>(options.min_derivative)),
      slope_offset_(static_cast<T>(std::log(std::expm1(1 - options.min_derivative)))) {
  require<OptionError>(bins_ >= 2 && bins_ <= max_bins, "{}: bins = {} must be from 2 to {}", kind(), bins_, max_bins);
  require<OptionError>(circular_ || (options.bound > 0 && std::isfinite(options.bound)),
                       "{}: bound = {} must be positive and finite", kind(), options.bound);
  // With a smaller minimum, rounding of sums in float could leave a bin without width.
  const double most = 1.0 / static_cast<double>(bins_);
  const auto part = [&](double value) { return value >= 1e-5 && value < most; };
  require<OptionError>(part(options.min_width) && part(options.min_height),
                       "{}: min_width = {} and min_height = {} must be at least 1e-05 and below 1/bins = {}", kind(),
                       options.min_width, options.min_height, most);
  require<OptionError>(options.min_derivative > 0 && options.min_derivative < 1,
                       "{}: min_derivative = {} must be in (0, 1)", kind(), options.min_derivative);
}

template <class T>
auto Spline<T>::knots(const T* raw, T min_part) const -> Knots {
  Knots knots;
  auto& share = knots.share;
  share.fill(T(0));
  std::copy_n(raw, bins_, share.data());
  exponentials(share, bins_, *std::max_element(raw, raw + bins_));
  T sum = 0;
  for (Index j = 0; j < bins_; ++j) sum += share[j];
  const T free = 1 - static_cast<T>(bins_) * min_part;
  knots.at[0] = -bound_;
  for (std::size_t j = 0; j < static_cast<std::size_t>(bins_); ++j) {
    share[j] /= sum;
    knots.at[j + 1] = knots.at[j] + 2 * bound_ * (min_part + free * share[j]);
  }
  knots.at[bins_] = bound_;
  return knots;
}

// With ℓ_j = 2B(min + free·p_j) the lengths and bin k beginning at −B + Σ_{j<k} ℓ_j, ℓ̄_j is left_bar for j < k and
// length_bar for j = k; through the softmax, raw̄_j = p_j·(p̄_j − Σ p·p̄).
template <class T>
void Spline<T>::reverse_knots(const Knots& knots, T min_part, Index k, T left_bar, T length_bar, T* raw_bar) const {
  const T factor = 2 * bound_ * (1 - static_cast<T>(bins_) * min_part);
  T before = 0;
  for (Index j = 0; j < k; ++j) before += knots.share[j];
  const T mean = before * left_bar + knots.share[k] * length_bar;
  for (Index j = 0; j < bins_; ++j) {
    const T bar = j < k ? left_bar : j == k ? length_bar : T(0);
    raw_bar[j] = factor * knots.share[j] * (bar - mean);
  }
}

// Returns the row of the raw slope of knot k among the parameters, or −1 if the slope is not a parameter.
template <class T>
Index Spline<T>::slope_row(Index k) const {
  if (circular_) return 2 * bins_ + k % bins_;
  return k == 0 || k == bins_ ? -1 : 2 * bins_ + k - 1;
}

template <class T>
T Spline<T>::slope(const T* theta, Index k) const {
  const Index row = slope_row(k);
  return row < 0 ? T(1) : min_slope_ + softplus(theta[row] + slope_offset_);
}

template <class T>
auto Spline<T>::bin(const T* theta, const Knots& x, const Knots& y, Index k) const -> Bin {
  const auto at = static_cast<std::size_t>(k);
  return {.x = x.at[at],
          .w = x.at[at + 1] - x.at[at],
          .y = y.at[at],
          .h = y.at[at + 1] - y.at[at],
          .left = slope(theta, k),
          .right = slope(theta, k + 1)};
}

// On a circle, takes x to [−π, π).
template <class T>
T Spline<T>::wrap(T x) const {
  return circular_ ? wrap_angle<T>(static_cast<double>(x)) : x;
}

template <class T>
void Spline<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                        std::span<double> log_det) const {
  this->require_operands(theta, x, z, log_det.size());
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    double sum = 0;
    for (Index r = 0; r < e; ++r) {
      const T* const p = theta.column(r + i * e);
      const T from = wrap(x(r, i) + shift(p));
      if (outside(from)) {
        z(r, i) = from;
        continue;
      }
      const Knots widths = knots(p, min_width_), heights = knots(p + bins_, min_height_);
      const Bin b = bin(p, widths, heights, widths.find(bins_, from));
      const T u = (from - b.x) / b.w;
      const auto t = b.terms(u, 1 - u);
      z(r, i) = wrap(b.y + b.h * (t.n / t.d));
      sum += b.log_slope(t);
    }
    log_det[i] += sum;
  }
}

template <class T>
void Spline<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                        std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  this->require_operands(theta, x, z_bar, weight.size(), x_bar, theta_bar);
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    const T omega = weight.empty() ? T(1) : weight[i];
    for (Index r = 0; r < e; ++r) {
      const T* const p = theta.column(r + i * e);
      T* const p_bar = theta_bar.column(r + i * e);
      std::fill_n(p_bar, parameters(), T(0));
      const T from = wrap(x(r, i) + shift(p));
      if (outside(from)) {
        x_bar(r, i) = z_bar(r, i);
        continue;
      }
      const Knots widths = knots(p, min_width_), heights = knots(p + bins_, min_height_);
      const Index k = widths.find(bins_, from);
      const Bin b = bin(p, widths, heights, k);
      const T u = (from - b.x) / b.w;
      const BinGradient bar = b.reverse(u, 1 - u, z_bar(r, i), omega);
      const T from_bar = bar.u / b.w;
      reverse_knots(widths, min_width_, k, -from_bar, bar.w, p_bar);
      reverse_knots(heights, min_height_, k, bar.y, bar.h, p_bar + bins_);
      // softplus′ is the logistic function.
      for (const auto& [knot, slope_bar] : {std::pair(k, bar.left), std::pair(k + 1, bar.right)}) {
        const Index row = slope_row(knot);
        if (row >= 0) p_bar[row] += slope_bar / (1 + std::exp(-(p[row] + slope_offset_)));
      }
      if (circular_) p_bar[3 * bins_] = from_bar;
      x_bar(r, i) = from_bar;
    }
  }
}

// With η = (z − y_k)/h, N = η·D in terms of u and v = 1 − u reads
//     a·u² + b·uv − c·v² = 0,   a = (1 − η)s ≥ 0,   b = (1 − η)d_k − η·d_{k+1},   c = ηs ≥ 0:
// b² + 4ac is a sum of terms that are not negative, and the root u/v ≥ 0 is 2c/(b + q) or (q − b)/2a, q = √(b² + 4ac),
// of which the one is taken whose sum does not cancel.
template <class T>
void Spline<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                        std::span<double> log_det) const {
  this->require_operands(theta, z, x, log_det.size());
  const Index e = z.rows();
  for (Index i = 0; i < z.cols(); ++i) {
    double sum = 0;
    for (Index r = 0; r < e; ++r) {
      const T* const p = theta.column(r + i * e);
      const T from = wrap(z(r, i));
      if (outside(from)) {
        x(r, i) = from;
        continue;
      }
      const Knots widths = knots(p, min_width_), heights = knots(p + bins_, min_height_);
      const Bin b = bin(p, widths, heights, heights.find(bins_, from));
      const T eta = (from - b.y) / b.h;
      const T a = (1 - eta) * b.s, middle = (1 - eta) * b.left - eta * b.right, c = eta * b.s;
      const T q = std::sqrt(middle * middle + 4 * a * c);
      const T up = middle < 0 ? q - middle : 2 * c, down = middle < 0 ? 2 * a : q + middle;
      const T u = up / (up + down), v = down / (up + down);
      x(r, i) = wrap(b.x + b.w * u - shift(p));
      sum += b.log_slope(b.terms(u, v));
    }
    log_det[i] -= sum;
  }
}

template class Spline<float>;
template class Spline<double>;

}  // namespace pushforward::flow
