#pragma once

// LAPACK on views, for float and double: factorizations, and functions that use them. A singular or indefinite matrix
// is an outcome that the caller sees; an illegal argument is our bug (BugError).

#include <pushforward/linalg/blas.hpp>

#include <cstdint>
#include <vector>

namespace pushforward::linalg {

/// Replaces a symmetric a (d × d) with its lower Cholesky factor l, a = l · lᵀ. Only the lower triangle is read, and
/// the strict upper triangle is set to zero. Returns false if a is not positive definite or not finite; a is
/// undefined then.
[[nodiscard]] bool cholesky(MatrixView<double> a);
[[nodiscard]] bool cholesky(MatrixView<float> a);

/// Returns the singular values of a (m × n), largest first. Allocates. Throws NumericalError if the SVD does not
/// converge, as for non-finite input.
std::vector<double> singular_values(ConstMatrixView<double> a);
std::vector<float> singular_values(ConstMatrixView<float> a);

/// Returns the largest modulus of an eigenvalue of a (d × d), 0 for d = 0. Allocates. Throws NumericalError if the
/// QR algorithm does not converge, as for non-finite input.
double spectral_radius(ConstMatrixView<double> a);
float spectral_radius(ConstMatrixView<float> a);

/// The sign of a determinant. It is 0 if a pivot of the LU is exactly zero or not finite.
using Sign = std::int8_t;

/// Computes the log-determinants of n square matrices by LU with partial pivoting.
/// a: (d × d·n) in, matrix i in columns [i·d, (i+1)·d); its LU factors out.
/// pivots: (d·n) out, as getrf returns them. log_abs_det: (n) out, nats, summed in double. sign: (n) out.
/// A singular or non-finite matrix has sign 0 and log_abs_det −∞ or NaN; the others are not affected.
/// Cost: 2/3 d³ per matrix; no allocation.
void lu_log_det(MatrixView<double> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);
void lu_log_det(MatrixView<float> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);

/// Computes inverse transposes from the factors of lu_log_det. inverse_transpose: (d × d·n) out, a⁻ᵀ of each matrix,
/// NaN if its sign is 0; it must not alias lu.
void lu_inverse_transpose(ConstMatrixView<double> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<double> inverse_transpose);
void lu_inverse_transpose(ConstMatrixView<float> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<float> inverse_transpose);

/// Solves b ← a⁻¹ b with the factors of one matrix. b: (d × k) in, out. The matrix must not be singular.
void lu_solve(ConstMatrixView<double> lu, std::span<const int> pivots, MatrixView<double> b);
void lu_solve(ConstMatrixView<float> lu, std::span<const int> pivots, MatrixView<float> b);

}  // namespace pushforward::linalg
