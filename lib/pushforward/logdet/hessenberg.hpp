#pragma once

// Functions of the small upper Hessenberg matrices that Arnoldi's method makes. In double; no allocation.

#include <pushforward/linalg/matrix.hpp>

namespace pushforward::logdet {

/// e₁ᵀ log(I + H) e₁ for h (m × m) with ‖H‖ < 1, as ∫₀¹ e₁ᵀ H (I + tH)⁻¹ e₁ dt by Gauss–Legendre quadrature:
/// error below 1e-10 for ‖H‖ ≤ 0.96, 1e-9 for 0.97. work: at least log_form_work(m). Cost: 8, 16 or 32 solutions of a
/// Hessenberg system, for ‖H‖ in the Frobenius norm to 0.61, to 0.87, or beyond.
double log_form(ConstMatrixView<double> h, std::span<double> work);
Index log_form_work(Index m);

/// Finds the y (m), out, that minimizes ‖β e₁ − (I + H) y‖ for h ((m + 1) × m), as GMRES does. I is the identity
/// with a row of zeros below. Returns the minimum. work: at least (m + 1)².
double solve_shifted(ConstMatrixView<double> h, double beta, std::span<double> y, std::span<double> work);

}  // namespace pushforward::logdet
