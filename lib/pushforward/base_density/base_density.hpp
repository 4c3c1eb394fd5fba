#pragma once

// Base densities p₀ of latents z in ℝᵈ, with parameters in the flow's flat buffer. Their kinds are those of
// BaseKind::registry() (base_kinds.cpp).
//
// Rows that are angles are uniform on [−π, π] for every kind, rows that are a unit vector are uniform on their sphere,
// per unit of area, and the kind is the density of the remaining rows. A kind without location and scale leaves them to
// the flow's transforms.

#include <pushforward/core/registry.hpp>
#include <pushforward/core/sphere.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/random/stream.hpp>

#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace pushforward::flow {

/// Where a base density stands in a flow.
struct BasePlace {
  nn::ParameterLayout& layout;    ///< a kind adds its parameters to it, below `base/`
  Index dimension;                ///< d ≥ 1
  std::vector<Index> periodic{};  ///< rows that are angles, in [−π, π]
  std::uint64_t seed = 0;         ///< of initial parameters
  std::vector<Sphere> spheres{};  ///< rows that are unit vectors
};

template <class T>
class BaseDensity {
 public:
  /// Throws ShapeError for a dimension below 1, OptionError for periodic rows that are not rows, each once,
  /// and for spheres as check_spheres() does.
  explicit BaseDensity(const BasePlace& place);
  virtual ~BaseDensity() = default;

  Index dimension() const { return dimension_; }
  /// The rows that are angles.
  const std::vector<Index>& periodic() const { return periodic_; }

  /// The rows that are unit vectors.
  const std::vector<Sphere>& spheres() const { return spheres_; }

  /// The closed interval outside of which p₀ is 0, of the kind's rows.
  virtual std::pair<double, double> support() const {
    return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  }
  /// The rows that are no angles and of no sphere: those that the kind is a density of.
  const std::vector<Index>& rows() const { return rows_; }

  /// Initial parameters, in the flow's flat buffer.
  virtual void initialize(std::span<T> /*parameters*/) const {}
  /// To be called whenever the parameters have changed.
  virtual void prepare(std::span<const T> /*parameters*/) {}

  /// z: (d × n) in. log_prob: (n), log p₀(zᵢ) is added, nats: −∞ outside of the support, NaN where zᵢ has one. The
  /// support's boundary, rounded to T, belongs to it, and unit vectors are unit vectors to unit_tolerance. No
  /// allocation.
  void log_prob(ConstMatrixView<T> z, std::span<double> log_prob) const;

  /// Gradient of Σᵢ wᵢ log p₀(zᵢ). z: (d × n) in. weight: (n) in, or empty when all are 1. z_bar: (d × n) out, may be
  /// z. gradient: the flow's flat buffer, added to. Where log p₀ is not finite the gradient means nothing. No
  /// allocation.
  void reverse(ConstMatrixView<T> z, std::span<const T> weight, MatrixView<T> z_bar, std::span<T> gradient) const;

  /// z: (d) out, one draw, a function of the stream only.
  void draw(random::Stream& stream, std::span<double> z) const;

 protected:
  /// Throws OptionError if no row is left to the kind. Kinds with parameters call it.
  void require_rows(std::string_view kind) const;

 private:
  // The same of the kind's rows of one sample, which is a column of d values. reverse_one writes those rows of z_bar,
  // which may be z.
  virtual double log_prob_one(const T* z) const = 0;
  virtual void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const = 0;
  virtual void draw_one(random::Stream& stream, std::span<double> z) const = 0;

  Index dimension_;
  std::vector<Index> periodic_;
  std::vector<Sphere> spheres_;
  double log_uniform_ = 0;  // log-density of the angles and of the unit vectors
  std::vector<Index> rows_;
};

/// A kind of base density.
struct BaseKind : Kind {
  static Registry<BaseKind>& registry();
  static constexpr const char* default_kind = "standard_normal";

  bool is_bounded = false;  ///< whether p₀ is 0 outside of a bounded interval of each row
  Maker<BaseDensity, const BasePlace&, const KindOptions&> maker;
};

/// The kind that a class makes: Density<T>(const BasePlace&, const Struct&), or Density<T>(const BasePlace&) if it has
/// no options.
template <class Struct, template <class> class Density>
BaseKind base_kind(bool is_bounded = false) {
  return {kind_of<Struct>(), is_bounded,
          []<class T>(const BasePlace& place, const KindOptions& options) -> std::unique_ptr<BaseDensity<T>> {
            if constexpr (std::is_constructible_v<Density<T>, const BasePlace&, const Struct&>) {
              return std::make_unique<Density<T>>(place, options.as<Struct>());
            } else {
              return std::make_unique<Density<T>>(place);
            }
          }};
}

/// A choice of a base density with its options.
using BaseOptions = Choice<BaseKind>;

/// The base density that these options describe. Throws OptionError, with a suggestion if there is no such kind, and
/// for values out of range.
template <class T>
std::unique_ptr<BaseDensity<T>> make_base(const BaseOptions& options, const BasePlace& place);

extern template class BaseDensity<float>;
extern template class BaseDensity<double>;
extern template std::unique_ptr<BaseDensity<float>> make_base(const BaseOptions&, const BasePlace&);
extern template std::unique_ptr<BaseDensity<double>> make_base(const BaseOptions&, const BasePlace&);

}  // namespace pushforward::flow
