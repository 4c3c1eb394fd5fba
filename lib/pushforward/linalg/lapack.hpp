#pragma once

// LAPACK on views, for float and double: factorizations and what follows from them. A singular or indefinite matrix is
// an outcome that the caller sees; an illegal argument is our bug (BugError).

#include <pushforward/linalg/blas.hpp>

#include <cstdint>
#include <vector>

namespace pushforward::linalg {

/// Lower Cholesky factor in place: a = l · lᵀ, a (d × d) symmetric, of which only the lower triangle is read; the
/// strict upper triangle is set to zero. Returns false, a then undefined, when a is not positive definite or not
/// finite.
[[nodiscard]] bool cholesky(MatrixView<double> a);
[[nodiscard]] bool cholesky(MatrixView<float> a);

/// Singular values of a (m × n), largest first; a is not changed. Allocates. Throws NumericalError when the SVD does
/// not converge (non-finite input).
std::vector<double> singular_values(ConstMatrixView<double> a);
std::vector<float> singular_values(ConstMatrixView<float> a);

/// Largest modulus of an eigenvalue of a (d × d), 0 for d = 0; a is not changed. Allocates. Throws NumericalError when
/// the QR algorithm does not converge (non-finite input).
double spectral_radius(ConstMatrixView<double> a);
float spectral_radius(ConstMatrixView<float> a);

/// Sign of a determinant: of an LU with an exactly zero or a non-finite pivot it is 0.
using Sign = std::int8_t;

/// Log-determinants of n square matrices by LU with partial pivoting.
/// a: (d × d·n) in, matrix i in columns [i·d, (i+1)·d); its LU factors out.
/// pivots: (d·n) out, as getrf returns them. log_abs_det: (n) out, nats, summed in double. sign: (n) out.
/// A singular or non-finite matrix has sign 0 and log_abs_det −∞ or NaN; the others are not affected.
/// Cost: 2/3 d³ per matrix; no allocation.
void lu_log_det(MatrixView<double> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);
void lu_log_det(MatrixView<float> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);

/// Inverse transposes from the factors of lu_log_det: inverse_transpose: (d × d·n) out, a⁻ᵀ of each matrix; it must not
/// alias lu. Matrices whose sign is 0 get NaN.
void lu_inverse_transpose(ConstMatrixView<double> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<double> inverse_transpose);
void lu_inverse_transpose(ConstMatrixView<float> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<float> inverse_transpose);

/// b ← a⁻¹ b for one matrix from its factors. b: (d × k) in, out. The matrix must not be singular.
void lu_solve(ConstMatrixView<double> lu, std::span<const int> pivots, MatrixView<double> b);
void lu_solve(ConstMatrixView<float> lu, std::span<const int> pivots, MatrixView<float> b);

}  // namespace pushforward::linalg
