#pragma once

// Paths of flow matching from a point x₀ to a row x₁,
//
//   x_t = α(t) x₀ + β(t) x₁ + γ(t) ε,   ẋ_t = α̇(t) x₀ + β̇(t) x₁ + γ̇(t) ε,   0 < t < 1,
//
// with ε standard normal, and the densities q(t) from which their times are drawn. A time is t(u), where u is uniform
// on (0, 1) and t is the inverse of the cumulative distribution of q, so stratified u give stratified times. The loss
// at a time is divided by q(t). Therefore the mean of the loss does not depend on q.
//
//   linear               α = 1 − t, β = t, γ = σ               [Lipman et al. 2023; Liu et al. 2023]; no singularity
//   trigonometric        α = cos(πt/2), β = sin(πt/2), γ = σ   [Albergo & Vanden-Eijnden 2023]; no singularity
//   variance_preserving  β = exp(−T(1 − t)/2), α = √(1 − β²), γ = σ, T(s) = 0.1 s + 9.95 s²
//                        [Song et al. 2021; Lipman et al. 2023]; α̇ grows as (1 − t)^(−1/2) at t = 1, and the same power
//                        is q: t = 1 − (1 − u)². At t = 0 a row still counts for β = 0.0066.
//   bridge               α = 1 − t, β = t, γ = σ√(t(1 − t))    Brownian bridge [Tong et al. 2024]; γ̇ grows as t^(−1/2)
//                        and (1 − t)^(−1/2) at the ends, and q is the arcsine density 1/(π√(t(1 − t)))
//
// If x₀ is standard normal and independent of x₁, x_t has the law of β x₁ + s ε with s² = α² + γ², and the velocity
// determines the score by D = s²β̇ − βsṡ (ode/diffusion.hpp). With
// σ = 0 on the first three paths:
//
//   linear               D = 1 − t
//   trigonometric        D = (π/2) cos(πt/2)
//   variance_preserving  D = β̇ = (0.05 + 9.95 (1 − t)) β
//   bridge               D = 1 − t + σ²t/2
//
// σ is a number that the user chooses. Where a rate is singular, the mean square of its term is infinite. The loss then
// leaves out the square of this term, which does not depend on the field. So the gradient stays the same, the loss has
// a mean, and it may be negative.

#include <pushforward/core/registry.hpp>
#include <pushforward/core/sphere.hpp>
#include <pushforward/linalg/matrix.hpp>
#include <pushforward/ode/diffusion.hpp>

namespace pushforward::train {

/// A time of a path, the coefficients there and their derivatives.
struct PathPoint {
  double t = 0;
  double alpha = 0, beta = 0, gamma = 0;
  double alpha_rate = 0, beta_rate = 0, gamma_rate = 0;
  double weight = 1;  ///< 1/q(t), which stays finite when it is multiplied by a rate
};

/// The term of a velocity whose mean square is infinite.
enum class Singular { none, latent, noise };

/// A kind of paths.
struct Path {
  static Registry<Path>& registry();

  std::string name;
  std::string help;
  bool is_straight = false;  ///< α = 1 − t and β = t, so that geodesics may take its place
  bool needs_noise = false;  ///< whether σ = 0 makes another path of it
  Singular singular = Singular::none;
  PathPoint (*at)(double u, double sigma) = nullptr;  ///< the point t(u), 0 < u < 1
  /// β, β̇ and D = s²β̇ − βsṡ at a time, with s² = α² + γ² and 0 ≤ t ≤ 1, as far as x₀ is standard normal
  ode::MarginalPoint (*marginal)(double t, double sigma) = nullptr;
};

/// The point of a pair on a path, in views of d values each.
template <class T>
struct PathSample {
  std::span<T> x;         ///< x_t, out
  std::span<T> velocity;  ///< ẋ_t without its singular term, out
  std::span<T> singular;  ///< the singular term of ẋ_t, out; 0 if there is none
};

/// Returns the angle between two vectors over the columns of a sphere, θ = atan2(|a|b| − b (a·b)/|b||, a·b). It is
/// accurate where the inverse cosine is not. a, b: (d) in.
template <class T>
double angle_between(const Sphere& sphere, std::span<const double> a, std::span<const T> b);

/// Whether x₀ and x₁ are so close to antipodes, on one of the spheres, that rounding decides the way between them.
template <class T>
bool are_antipodes(std::span<const Sphere> spheres, std::span<const double> x0, std::span<const T> x1);

/// Rows of x whose straight paths are geodesics.
struct CurvedRows {
  std::span<const Index> periodic{};  ///< angles: x_t = x₀ + t·wrap(x₁ − x₀) + γε
  /// unit vectors: x_t = (sin((1 − t)θ) x₀ + sin(tθ) x₁)/sin θ, with the angle θ between x₀ and x₁, and no noise
  std::span<const Sphere> spheres{};
};

/// Writes the point of the pair (x₀, x₁) at a time. x0, x1, noise: (d) in; noise: ε, or empty for 0. x₀ and x₁ are no
/// antipodes.
template <class T>
void set_point(const Path& path, const PathPoint& at, std::span<const double> x0, std::span<const T> x1,
               std::span<const double> noise, const CurvedRows& curved, const PathSample<T>& sample);

extern template void set_point(const Path&, const PathPoint&, std::span<const double>, std::span<const float>,
                               std::span<const double>, const CurvedRows&, const PathSample<float>&);
extern template double angle_between(const Sphere&, std::span<const double>, std::span<const float>);
extern template bool are_antipodes(std::span<const Sphere>, std::span<const double>, std::span<const float>);
extern template void set_point(const Path&, const PathPoint&, std::span<const double>, std::span<const double>,
                               std::span<const double>, const CurvedRows&, const PathSample<double>&);
extern template double angle_between(const Sphere&, std::span<const double>, std::span<const double>);
extern template bool are_antipodes(std::span<const Sphere>, std::span<const double>, std::span<const double>);

}  // namespace pushforward::train
