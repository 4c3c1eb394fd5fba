#pragma once

// Increasing invertible maps of one variable, z = τ(x; θ), whose m parameters θ a network gives for each element: what
// coupling and autoregressive transforms are made of (a "transformer" in [Papamakarios et al. 2021]). Their kinds are
// those of ScalarMapKind::registry() (scalar_map.cpp). A kind is a map of the line and, for some, a map of the circle
// onto itself, which angles take:
//
//   kind      line                                                             circle
//   additive  z = x + t                                  [Dinh et al. 2015]    rotation: z = x + t, wrapped to [−π, π)
//   affine    z = x·eˢ + t, s = c·tanh(raw/c)            [Dinh et al. 2017]    none
//   spline    rational-quadratic on [−B, B], the         [Durkan et al. 2019]  circular_spline: a shift, then a
//             identity outside                                                 spline [Rezende et al. 2020]
//
// With θ = 0 each is the identity, to rounding.

#include <pushforward/core/registry.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <optional>

namespace pushforward::flow {

/// z = τ(x; θ) for each of e elements of n samples. The parameters of element (r, i) of x are column r + i·e of theta
/// (m × e·n): what a network with m·e outputs gives (m·e × n), seen in another shape. No array need be contiguous.
/// An element of x or z that is not finite leaves a value that is not, and touches no other sample. All throw
/// ShapeError when sizes do not fit each other. No allocation.
template <class T>
class ScalarMap {
 public:
  virtual ~ScalarMap() = default;

  /// For messages: "affine", "circular_spline".
  virtual std::string_view kind() const = 0;
  /// m, of one element.
  virtual Index parameters() const = 0;

  /// theta: (m × e·n) in. x: (e × n) in. z: (e × n) out, may be x. log_det: (n), Σ log ∂z/∂x over a sample's elements
  /// is added, nats.
  virtual void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                       std::span<double> log_det) const = 0;

  /// Gradient of Σᵢ z̄ᵢ·zᵢ + Σᵢ wᵢ·log_detᵢ. theta: (m × e·n), x and z_bar: (e × n) in. weight: (n) in, or empty when
  /// all are 1. x_bar: (e × n) out, may be z_bar. theta_bar: (m × e·n) out, must not alias theta.
  virtual void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                       std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const = 0;

  /// theta: (m × e·n) in. z: (e × n) in. x: (e × n) out, may be z. log_det: (n), Σ log ∂x/∂z over a sample's elements
  /// is added, nats.
  virtual void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                       std::span<double> log_det) const = 0;

 protected:
  /// Check the operands of forward() and inverse(), and those of reverse(). Throw ShapeError.
  void require_operands(ConstMatrixView<T> theta, ConstMatrixView<T> in, ConstMatrixView<T> out,
                        std::size_t log_det) const;
  void require_operands(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::size_t weight,
                        ConstMatrixView<T> x_bar, ConstMatrixView<T> theta_bar) const;
};

struct AdditiveMapOptions {
  static constexpr const char* kind = "additive";
  static constexpr const char* help = "z = x + t, a rotation of angles [Dinh et al. 2015]";

  OptionSet declare() { return {}; }
};

/// z = x + t. θ = (t).
template <class T>
class AdditiveMap final : public ScalarMap<T> {
 public:
  std::string_view kind() const override { return "additive"; }
  Index parameters() const override { return 1; }
  void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
               std::span<double> log_det) const override;
  void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, MatrixView<T> theta_bar) const override;
  void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
               std::span<double> log_det) const override;
};

struct AffineMapOptions {
  static constexpr const char* kind = "affine";
  static constexpr const char* help = "z = x·eˢ + t [Dinh et al. 2017]";
  double scale_limit = 3;  ///< c: bound on |log ∂z/∂x|, in (0, 40], so that eᶜ is a float

  OptionSet declare();
};

/// z = x·eˢ + t, s = c·tanh(raw/c): |s| never exceeds c, and for small ones s = raw. θ = (t, raw).
template <class T>
class AffineMap final : public ScalarMap<T> {
 public:
  /// Throws OptionError.
  explicit AffineMap(const AffineMapOptions& options);

  std::string_view kind() const override { return "affine"; }
  Index parameters() const override { return 2; }
  void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
               std::span<double> log_det) const override;
  void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, MatrixView<T> theta_bar) const override;
  void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
               std::span<double> log_det) const override;

 private:
  T limit_;
};

/// z = x + t of an angle, z and x on [−π, π). θ = (t).
template <class T>
class RotationMap final : public ScalarMap<T> {
 public:
  std::string_view kind() const override { return "rotation"; }
  Index parameters() const override { return 1; }
  void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
               std::span<double> log_det) const override;
  void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, MatrixView<T> theta_bar) const override;
  void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
               std::span<double> log_det) const override;
};

/// A kind of scalar map.
struct ScalarMapKind : Kind {
  static Registry<ScalarMapKind>& registry();
  static constexpr const char* default_kind = "affine";

  Maker<ScalarMap, const KindOptions&> line;
  std::optional<Maker<ScalarMap, const KindOptions&>> circle{};  ///< none: the kind has no map of angles
};

/// A maker of Map<T>(const Struct&), or of Map<T>() if it takes no options.
template <class Struct, template <class> class Map>
Maker<ScalarMap, const KindOptions&> scalar_map_maker() {
  return []<class T>(const KindOptions& options) -> std::unique_ptr<ScalarMap<T>> {
    if constexpr (std::is_constructible_v<Map<T>, const Struct&>) {
      return std::make_unique<Map<T>>(options.as<Struct>());
    } else {
      return std::make_unique<Map<T>>();
    }
  };
}

/// A choice of a scalar map with its options.
using ScalarMapOptions = Choice<ScalarMapKind>;

/// The map of the line. Throws OptionError with a suggestion if there is no such kind, and for values out of range.
template <class T>
std::unique_ptr<ScalarMap<T>> make_scalar_map(const ScalarMapOptions& options);
/// The map of the circle. Throws OptionError, naming the value that is an angle, also if the kind has none.
template <class T>
std::unique_ptr<ScalarMap<T>> make_circle_map(const ScalarMapOptions& options, Index value = 0);

extern template class ScalarMap<float>;
extern template class ScalarMap<double>;
extern template class AdditiveMap<float>;
extern template class AdditiveMap<double>;
extern template class AffineMap<float>;
extern template class AffineMap<double>;
extern template class RotationMap<float>;
extern template class RotationMap<double>;
extern template std::unique_ptr<ScalarMap<float>> make_scalar_map(const ScalarMapOptions&);
extern template std::unique_ptr<ScalarMap<double>> make_scalar_map(const ScalarMapOptions&);
extern template std::unique_ptr<ScalarMap<float>> make_circle_map(const ScalarMapOptions&, Index);
extern template std::unique_ptr<ScalarMap<double>> make_circle_map(const ScalarMapOptions&, Index);

}  // namespace pushforward::flow
