#include <pushforward/core/angle.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/maps/scalar_map.hpp>
#include <pushforward/maps/spline.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <xsimd/xsimd.hpp>

namespace pushforward::flow {

namespace {

// The parameters of some elements of an affine map and what follows from them, each an array: vectors fill up whatever
// the number of a sample's elements is.
template <class T>
struct AffineTile {
  using B = xsimd::batch<T>;
  static constexpr Index size = 512;
  using Array = std::array<T, static_cast<std::size_t>(size)>;

  // theta: (2 × at most size). exponent: ± c.
  void evaluate(ConstMatrixView<T> theta, T exponent) {
    for (Index k = 0; k < theta.cols(); ++k) {
      const T* const p = theta.column(k);
      shift[k] = p[0];
      tanh[k] = p[1];
    }
    const B limit(std::abs(exponent));
    for (Index k = 0; k < theta.cols(); k += static_cast<Index>(B::size)) {
      const B a = xsimd::tanh(B::load_aligned(tanh.data() + k) / limit);
      const B s = B(exponent) * a;
      a.store_aligned(tanh.data() + k);
      s.store_aligned(log_scale.data() + k);
      xsimd::exp(s).store_aligned(scale.data() + k);
    }
  }

  alignas(64) Array shift{}, tanh{}, log_scale{}, scale{};  // t, tanh(raw/c), ± s and its exponential
};

// f(first sample, samples, first row, rows, number of the first element) for tiles of whole samples, or of rows of one
// where it has too many: no sample's sum depends on where in the batch it is.
template <class F>
void for_each_tile(Index size, Index e, Index n, F f) {
  const Index samples = std::max<Index>(1, size / std::max<Index>(e, 1));
  for (Index i = 0; i < n; i += samples) {
    for (Index r = 0; r < e; r += size) f(i, std::min(samples, n - i), r, std::min(size, e - r), r + i * e);
  }
}

template <class T>
double sum_of(const T* values, Index n) {
  std::array<double, 4> parts{};
  Index k = 0;
  for (; k + 4 <= n; k += 4) {
    for (std::size_t p = 0; p < 4; ++p) parts[p] += static_cast<double>(values[k + static_cast<Index>(p)]);
  }
  for (; k < n; ++k) parts[0] += static_cast<double>(values[k]);
  return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

}  // namespace

template <class T>
void ScalarMap<T>::require_operands(ConstMatrixView<T> theta, ConstMatrixView<T> in, ConstMatrixView<T> out,
                                    std::size_t log_det) const {
  const Index e = in.rows(), n = in.cols(), m = parameters();
  require<ShapeError>(theta.rows() == m && theta.cols() == e * n && out.rows() == e && out.cols() == n &&
                          static_cast<Index>(log_det) == n,
                      "{} map: parameters ({} × {}), result ({} × {}) and {} log-dets do not fit elements ({} × {}) of "
                      "{} parameters each",
                      kind(), theta.rows(), theta.cols(), out.rows(), out.cols(), log_det, e, n, m);
}

template <class T>
void ScalarMap<T>::require_operands(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                                    std::size_t weight, ConstMatrixView<T> x_bar, ConstMatrixView<T> theta_bar) const {
  const Index n = x.cols();
  require_operands(theta, x, z_bar, static_cast<std::size_t>(n));
  require<ShapeError>(x_bar.rows() == x.rows() && x_bar.cols() == n && theta_bar.rows() == theta.rows() &&
                          theta_bar.cols() == theta.cols() && (weight == 0 || static_cast<Index>(weight) == n),
                      "{} map: gradients ({} × {}) and ({} × {}) and {} weights do not fit elements ({} × {}) and "
                      "parameters ({} × {})",
                      kind(), x_bar.rows(), x_bar.cols(), theta_bar.rows(), theta_bar.cols(), weight, x.rows(), n,
                      theta.rows(), theta.cols());
}

template <class T>
void AdditiveMap<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                             std::span<double> log_det) const {
  this->require_operands(theta, x, z, log_det.size());
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    for (Index r = 0; r < e; ++r) z(r, i) = x(r, i) + theta(0, r + i * e);
  }
}

template <class T>
void AdditiveMap<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  this->require_operands(theta, x, z_bar, weight.size(), x_bar, theta_bar);
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    for (Index r = 0; r < e; ++r) theta_bar(0, r + i * e) = x_bar(r, i) = z_bar(r, i);
  }
}

template <class T>
void AdditiveMap<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  this->require_operands(theta, z, x, log_det.size());
  const Index e = z.rows();
  for (Index i = 0; i < z.cols(); ++i) {
    for (Index r = 0; r < e; ++r) x(r, i) = z(r, i) - theta(0, r + i * e);
  }
}

OptionSet AffineMapOptions::declare() {
  OptionSet set;
  set.add("scale_limit", scale_limit, "bound on |log scale|", between(1e-3, 40));
  return set;
}

template <class T>
AffineMap<T>::AffineMap(const AffineMapOptions& options) : limit_(static_cast<T>(options.scale_limit)) {
  require<OptionError>(options.scale_limit > 0 && options.scale_limit <= 40,
                       "affine map: scale_limit = {} must be in (0, 40]", options.scale_limit);
}

template <class T>
void AffineMap<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                           std::span<double> log_det) const {
  this->require_operands(theta, x, z, log_det.size());
  AffineTile<T> tile;
  for_each_tile(tile.size, x.rows(), x.cols(), [&](Index i, Index samples, Index r, Index rows, Index first) {
    tile.evaluate(theta.columns(first, rows * samples), limit_);
    for (Index j = 0; j < samples; ++j) {
      const T* const in = x.column(i + j) + r;
      T* const out = z.column(i + j) + r;
      const T *const scale = tile.scale.data() + j * rows, *const shift = tile.shift.data() + j * rows;
#pragma GCC ivdep
      for (Index k = 0; k < rows; ++k) out[k] = in[k] * scale[k] + shift[k];
      log_det[i + j] += sum_of(tile.log_scale.data() + j * rows, rows);
    }
  });
}

// With a = tanh(raw/c): s̄ = z̄·x·eˢ + w, ∂s/∂raw = 1 − a².
template <class T>
void AffineMap<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                           std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  this->require_operands(theta, x, z_bar, weight.size(), x_bar, theta_bar);
  AffineTile<T> tile;
  for_each_tile(tile.size, x.rows(), x.cols(), [&](Index i, Index samples, Index r, Index rows, Index first) {
    tile.evaluate(theta.columns(first, rows * samples), limit_);
    for (Index j = 0; j < samples; ++j) {
      const T w = weight_of(weight, i + j);
      const T *const in = x.column(i + j) + r, *const bar = z_bar.column(i + j) + r;
      T* const out = x_bar.column(i + j) + r;
      const T *const scale = tile.scale.data() + j * rows, *const tanh = tile.tanh.data() + j * rows;
      const auto to = theta_bar.columns(first + j * rows, rows);
#pragma GCC ivdep
      for (Index k = 0; k < rows; ++k) {
        const T a = tanh[k], b = bar[k], scaled = b * scale[k];
        to(0, k) = b;
        to(1, k) = (scaled * in[k] + w) * (1 - a * a);
        out[k] = scaled;
      }
    }
  });
}

template <class T>
void AffineMap<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                           std::span<double> log_det) const {
  this->require_operands(theta, z, x, log_det.size());
  AffineTile<T> tile;
  for_each_tile(tile.size, z.rows(), z.cols(), [&](Index i, Index samples, Index r, Index rows, Index first) {
    tile.evaluate(theta.columns(first, rows * samples), -limit_);
    for (Index j = 0; j < samples; ++j) {
      const T* const in = z.column(i + j) + r;
      T* const out = x.column(i + j) + r;
      const T *const scale = tile.scale.data() + j * rows, *const shift = tile.shift.data() + j * rows;
#pragma GCC ivdep
      for (Index k = 0; k < rows; ++k) out[k] = (in[k] - shift[k]) * scale[k];
      log_det[i + j] += sum_of(tile.log_scale.data() + j * rows, rows);
    }
  });
}

template <class T>
void RotationMap<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                             std::span<double> log_det) const {
  this->require_operands(theta, x, z, log_det.size());
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    for (Index r = 0; r < e; ++r) z(r, i) = wrap_angle<T>(static_cast<double>(x(r, i) + theta(0, r + i * e)));
  }
}

template <class T>
void RotationMap<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  AdditiveMap<T>().reverse(theta, x, z_bar, weight, x_bar, theta_bar);
}

template <class T>
void RotationMap<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  this->require_operands(theta, z, x, log_det.size());
  const Index e = z.rows();
  for (Index i = 0; i < z.cols(); ++i) {
    for (Index r = 0; r < e; ++r) x(r, i) = wrap_angle<T>(static_cast<double>(z(r, i) - theta(0, r + i * e)));
  }
}

Registry<ScalarMapKind>& ScalarMapKind::registry() {
  static Registry<ScalarMapKind> kinds(
      "scalar map", {{kind_of<AdditiveMapOptions>(), scalar_map_maker<AdditiveMapOptions, AdditiveMap>(),
                      scalar_map_maker<AdditiveMapOptions, RotationMap>()},
                     {kind_of<AffineMapOptions>(), scalar_map_maker<AffineMapOptions, AffineMap>()},
                     {kind_of<SplineOptions>(), scalar_map_maker<SplineOptions, Spline>(),
                      scalar_map_maker<SplineOptions, CircularSpline>()}});
  return kinds;
}

template <class T>
std::unique_ptr<ScalarMap<T>> make_scalar_map(const ScalarMapOptions& options) {
  return options.chosen().line.template make<T>(options.options());
}

template <class T>
std::unique_ptr<ScalarMap<T>> make_circle_map(const ScalarMapOptions& options, Index value) {
  const ScalarMapKind& kind = options.chosen();
  std::vector<std::string> round;
  for (const auto& k : ScalarMapKind::registry().all()) {
    if (k.circle) round.push_back("'" + k.name + "'");
  }
  require<OptionError>(kind.circle.has_value(), "map = '{}' of value {}, which is an angle: takes {}", kind.name, value,
                       join(round, " or "));
  return kind.circle->template make<T>(options.options());
}

template class ScalarMap<float>;
template class ScalarMap<double>;
template class AdditiveMap<float>;
template class AdditiveMap<double>;
template class AffineMap<float>;
template class AffineMap<double>;
template class RotationMap<float>;
template class RotationMap<double>;
template std::unique_ptr<ScalarMap<float>> make_scalar_map(const ScalarMapOptions&);
template std::unique_ptr<ScalarMap<double>> make_scalar_map(const ScalarMapOptions&);
template std::unique_ptr<ScalarMap<float>> make_circle_map(const ScalarMapOptions&, Index);
template std::unique_ptr<ScalarMap<double>> make_circle_map(const ScalarMapOptions&, Index);

}  // namespace pushforward::flow
