#pragma once

// The definitions of the toy densities (toy.hpp). Each of them draws a sample from a stream and evaluates its
// density.

#include <pushforward/random/stream.hpp>
#include <pushforward/toys/toy.hpp>

#include <functional>
#include <vector>

namespace pushforward::data::detail {

class ToyDefinition {
 public:
  virtual ~ToyDefinition() = default;
  virtual Point draw(random::Stream& stream) const = 0;
  virtual double log_density(Point x) const = 0;
};

/// x = c_k(u) + b + σ ε: k uniform over the components, u uniform on (0, 1) along the curve c_k, b uniform on the box
/// [−h, h]² (h may be 0), ε standard normal. With K the density of b + σ ε along one axis,
///   p(x) = 1/m Σ_k ∫₀¹ K(x₁ − c_k(u)₁) K(x₂ − c_k(u)₂) du,
/// the integral by Gauss–Legendre in √u, in which all the curves are smooth. The error of n nodes is of the order
/// exp(−2 (π σ n / l)²) for curves of length l; 768 nodes leave 1e-9 for the thinnest.
class Curves : public ToyDefinition {
 public:
  using Curve = std::function<Point(int component, double u)>;
  Curves(int components, double sigma, double half_box, Curve curve);

  Point draw(random::Stream& stream) const override;
  double log_density(Point x) const override;

 private:
  struct Node {
    Point at;
    double weight;
  };
  double kernel(double t) const;

  int components_;
  double sigma_;
  double half_box_;
  Curve curve_;
  std::vector<Node> nodes_;
};

/// Uniform on the eight black squares, of side 2, of [−4, 4]²: p = 1/32.
class Checkerboard : public ToyDefinition {
 public:
  Point draw(random::Stream& stream) const override;
  double log_density(Point x) const override;
};

/// Five arms: r = 1 + 0.3 ε₁, s = 0.1 ε₂, and (r, s) turned clockwise by α = 2πk/5 + ¼ eʳ, times 2. With x/2 = ρ e^{iφ}
/// and r + i s = ρ e^{iψ}, φ = ψ − α(ρ cos ψ): for given x every root ψ and every k contribute
///   p(x) = ¼ · ⅕ Σ_k Σ_ψ N(r; 1, 0.3) N(s; 0, 0.1) / |∂φ/∂ψ|,   ∂φ/∂ψ = 1 + ¼ eʳ s.
class Pinwheel : public ToyDefinition {
 public:
  Point draw(random::Stream& stream) const override;
  double log_density(Point x) const override;
};

}  // namespace pushforward::data::detail
