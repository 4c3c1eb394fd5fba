#pragma once

// Functions of the small upper Hessenberg matrices that Arnoldi's method makes. In double; no allocation.

#include <pushforward/linalg/matrix.hpp>

namespace pushforward::logdet {

/// e₁ᵀ log(I + H) e₁ for h (m × m) with ‖H‖ < 1, as ∫₀¹ e₁ᵀ H (I + tH)⁻¹ e₁ dt by Gauss–Legendre quadrature: error
/// about 1e-9 for a field of values within |λ| ≤ 0.97, less for smaller ones. work: at least m(m + 1).
double log_form(ConstMatrixView<double> h, std::span<double> work);

/// y (m), out, minimises ‖β e₁ − (I + H) y‖ for h ((m + 1) × m), I being the identity with a row of zeros below: GMRES.
/// work: at least (m + 1)².
void solve_shifted(ConstMatrixView<double> h, double beta, std::span<double> y, std::span<double> work);

}  // namespace pushforward::logdet
