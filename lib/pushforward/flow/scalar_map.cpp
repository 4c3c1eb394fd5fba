#include <pushforward/base/angle.hpp>
#include <pushforward/base/text.hpp>
#include <pushforward/flow/scalar_map.hpp>
#include <pushforward/flow/spline.hpp>

#include <cmath>

namespace pushforward::flow {

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

template <class T>
AffineMap<T>::AffineMap(double scale_limit) : limit_(static_cast<T>(scale_limit)) {
  require<OptionError>(scale_limit > 0 && scale_limit <= 40, "affine map: scale_limit = {} must be in (0, 40]",
                       scale_limit);
}

template <class T>
void AffineMap<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                           std::span<double> log_det) const {
  this->require_operands(theta, x, z, log_det.size());
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    double sum = 0;
    for (Index r = 0; r < e; ++r) {
      const T* const p = theta.column(r + i * e);
      const T s = limit_ * std::tanh(p[1] / limit_);
      z(r, i) = x(r, i) * std::exp(s) + p[0];
      sum += static_cast<double>(s);
    }
    log_det[static_cast<std::size_t>(i)] += sum;
  }
}

// With a = tanh(raw/c): s̄ = z̄·x·eˢ + w, ∂s/∂raw = 1 − a².
template <class T>
void AffineMap<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                           std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  this->require_operands(theta, x, z_bar, weight.size(), x_bar, theta_bar);
  const Index e = x.rows();
  for (Index i = 0; i < x.cols(); ++i) {
    const T w = weight.empty() ? T(1) : weight[static_cast<std::size_t>(i)];
    for (Index r = 0; r < e; ++r) {
      const T a = std::tanh(theta(1, r + i * e) / limit_);
      const T bar = z_bar(r, i), scaled = bar * std::exp(limit_ * a);
      T* const p_bar = theta_bar.column(r + i * e);
      p_bar[0] = bar;
      p_bar[1] = (scaled * x(r, i) + w) * (1 - a * a);
      x_bar(r, i) = scaled;
    }
  }
}

template <class T>
void AffineMap<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                           std::span<double> log_det) const {
  this->require_operands(theta, z, x, log_det.size());
  const Index e = z.rows();
  for (Index i = 0; i < z.cols(); ++i) {
    double sum = 0;
    for (Index r = 0; r < e; ++r) {
      const T* const p = theta.column(r + i * e);
      const T s = limit_ * std::tanh(p[1] / limit_);
      x(r, i) = (z(r, i) - p[0]) * std::exp(-s);
      sum += static_cast<double>(s);
    }
    log_det[static_cast<std::size_t>(i)] -= sum;
  }
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

const std::vector<std::string>& scalar_map_kinds() {
  static const std::vector<std::string> kinds{"additive", "affine", "spline", "circular_spline", "rotation"};
  return kinds;
}

template <class T>
std::unique_ptr<ScalarMap<T>> make_scalar_map(const ScalarMapOptions& options) {
  const auto& kinds = scalar_map_kinds();
  if (options.kind == "additive") return std::make_unique<AdditiveMap<T>>();
  if (options.kind == "affine") return std::make_unique<AffineMap<T>>(options.scale_limit);
  if (options.kind == "spline") return std::make_unique<Spline<T>>(SplineEnds::linear, options);
  if (options.kind == "rotation") return std::make_unique<RotationMap<T>>();
  require<OptionError>(options.kind == "circular_spline", "scalar map '{}' is unknown{}; there are {}", options.kind,
                       suggestion(options.kind, kinds), join(kinds));
  return std::make_unique<Spline<T>>(SplineEnds::circular, options);
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

}  // namespace pushforward::flow
