#pragma once

// Monotone rational-quadratic splines [Gregory & Delbourgo 1982; Durkan et al. 2019], on an interval with linear tails
// or on a circle [Rezende et al. 2020].
//
// K bins divide [−B, B] on both axes; knot k is (x_k, y_k) with slope d_k. Within a bin of width w, height h and s =
// h/w, at u = (x − x_k)/w and v = 1 − u,
//
//     z = y_k + h·N/D,   ∂z/∂x = s²·P/D²,
//     N = s·u² + d_k·uv,   D = s·(u² + v²) + (d_k + d_{k+1})·uv,   P = d_{k+1}·u² + 2s·uv + d_k·v²,
//
// which are the paper's (4) and (5), written as sums of products that are not negative, so that nothing cancels.
//
// θ = (K widths, K heights, slopes[, shift]), all raw:
//     width_k / 2B = min_width + (1 − K·min_width)·softmax(raw)_k, heights alike,
//     d = min_derivative + softplus(raw + o), o such that d = 1 at raw = 0.
// On an interval, θ has the K − 1 slopes of the inner knots. The slopes at ±B are 1. Outside the interval z = x, and θ
// is not used. On the circle [−π, π), θ has K slopes, those of knots 0 to K − 1, and knot K has the slope of knot 0.
// There x is first shifted by the last parameter. It is wrapped to [−π, π) before and after the spline.

#include <pushforward/maps/scalar_map.hpp>

namespace pushforward::flow {

struct SplineOptions {
  static constexpr const char* kind = "spline";
  static constexpr const char* help = "rational-quadratic spline, circular for angles [Durkan et al. 2019]";
  Index bins = 8;                ///< 2 to 64
  double bound = 3;              ///< B > 0; outside [−B, B] it is the identity. Not read on a circle
  double min_width = 1e-3;       ///< least width of a bin as a part of the whole, 1e-5 to 1/bins
  double min_height = 1e-3;      ///< least height of a bin likewise
  double min_derivative = 1e-3;  ///< least slope at a knot, in (0, 1)

  OptionSet declare();
};

enum class SplineEnds { linear, circular };

template <class T>
class Spline : public ScalarMap<T> {
 public:
  static constexpr Index max_bins = 64;

  /// Throws OptionError.
  explicit Spline(const SplineOptions& options, SplineEnds ends = SplineEnds::linear);

  std::string_view kind() const override { return circular_ ? "circular_spline" : "spline"; }
  /// 3K − 1, or 3K + 1 on a circle.
  Index parameters() const override { return circular_ ? 3 * bins_ + 1 : 3 * bins_ - 1; }
  void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
               std::span<double> log_det) const override;
  void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, MatrixView<T> theta_bar) const override;
  /// Solves a quadratic in closed form.
  void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
               std::span<double> log_det) const override;

 private:
  struct Knots;  // of one axis
  struct Bin;    // the one in which a point lies
  struct BinGradient;

  Knots knots(const T* raw, T min_part) const;
  void reverse_knots(const Knots& knots, T min_part, Index k, T left_bar, T length_bar, T* raw_bar) const;
  Bin bin(const T* theta, const Knots& x, const Knots& y, Index k) const;
  bool outside(T x) const { return !circular_ && (x <= -bound_ || x >= bound_); }
  T shift(const T* theta) const { return circular_ ? theta[3 * bins_] : T(0); }
  T wrap(T x) const;
  Index slope_row(Index k) const;
  T slope(const T* theta, Index k) const;

  Index bins_;
  bool circular_;
  T bound_, min_width_, min_height_, min_slope_, slope_offset_;
};

/// A spline of angles.
template <class T>
class CircularSpline final : public Spline<T> {
 public:
  explicit CircularSpline(const SplineOptions& options) : Spline<T>(options, SplineEnds::circular) {}
};

extern template class Spline<float>;
extern template class Spline<double>;

}  // namespace pushforward::flow
