#pragma once

namespace pushforward::ode {

/// The weights of penalties that keep the paths of training short and its fields smooth (runge_kutta.hpp).
struct Penalty {
  double kinetic_energy = 0;  ///< λ_K
  double jacobian_norm = 0;   ///< λ_J

  bool empty() const { return kinetic_energy == 0 && jacobian_norm == 0; }
};

}  // namespace pushforward::ode
