#pragma once

// Explicit Runge–Kutta methods. A step of length h for dx/dt = v(x, t) is
//
//   Xᵢ = x + h Σⱼ<ᵢ aᵢⱼ kⱼ,   kᵢ = v(Xᵢ, t + cᵢh),   x ← x + hΦ(x),   Φ(x) = Σᵢ bᵢ kᵢ.

#include <pushforward/core/registry.hpp>

namespace pushforward::ode {

/// The coefficients of a method.
struct Tableau {
  static Registry<Tableau>& registry();

  std::string name;
  std::string help;  ///< its stages and its order, one line
  Index order = 0;
  std::vector<std::vector<double>> a;  ///< row i has the i coefficients aᵢⱼ, j < i
  std::vector<double> b, c;            ///< one for each stage

  Index stages() const { return std::ssize(b); }
  /// Returns a bound on the Lipschitz constant of hΦ, from one of h·v in x. With hl of h·v, stage i has
  /// Lᵢ ≤ hl (1 + Σⱼ|aᵢⱼ| Lⱼ), and hΦ has Σᵢ|bᵢ| Lᵢ.
  double increment_lipschitz(double hl) const;
};

/// The method with which limits are computed: it has the highest order.
inline constexpr const char* finest_solver = "dop853";

}  // namespace pushforward::ode
