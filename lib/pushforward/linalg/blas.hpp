#pragma once

// BLAS on views, for float and double: thin overloads on the Fortran symbols. Sizes are checked here (ShapeError) and
// narrowed to the Fortran integer; empty operands are legal. No function allocates.

#include <pushforward/linalg/matrix.hpp>

namespace pushforward::linalg {

/// The letter BLAS takes for an operand.
enum class Op : char { none = 'N', transpose = 'T' };
/// Which half of a matrix is read; the other is not.
enum class Triangle : char { lower = 'L', upper = 'U' };
/// Whether the diagonal of a triangular matrix is read or taken to be 1.
enum class Diagonal : char { stored = 'N', unit = 'U' };

/// c ← alpha · op(a) · op(b) + beta · c. With beta = 0, c is only written. c must not alias a or b.
void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView<double> a, ConstMatrixView<double> b, double beta,
          MatrixView<double> c);
void gemm(Op op_a, Op op_b, float alpha, ConstMatrixView<float> a, ConstMatrixView<float> b, float beta,
          MatrixView<float> c);

/// y ← alpha · op(a) · x + beta · y. With beta = 0, y is only written.
void gemv(Op op_a, double alpha, ConstMatrixView<double> a, std::span<const double> x, double beta,
          std::span<double> y);
void gemv(Op op_a, float alpha, ConstMatrixView<float> a, std::span<const float> x, float beta, std::span<float> y);

/// a ← a + alpha · x · yᵀ.
void ger(double alpha, std::span<const double> x, std::span<const double> y, MatrixView<double> a);
void ger(float alpha, std::span<const float> x, std::span<const float> y, MatrixView<float> a);

/// Σ xᵢ yᵢ.
double dot(std::span<const double> x, std::span<const double> y);
float dot(std::span<const float> x, std::span<const float> y);

/// √Σ xᵢ², without overflow.
double norm2(std::span<const double> x);
float norm2(std::span<const float> x);

/// b ← op(l)⁻¹ · b with l lower triangular; its upper part is not read.
void solve_lower(Op op_l, ConstMatrixView<double> l, MatrixView<double> b);
void solve_lower(Op op_l, ConstMatrixView<float> l, MatrixView<float> b);

/// b ← l · b with l lower triangular; its upper part is not read.
void multiply_lower(ConstMatrixView<double> l, MatrixView<double> b);
void multiply_lower(ConstMatrixView<float> l, MatrixView<float> b);

/// b ← op(a) · b with a triangular.
void multiply_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<double> a,
                         MatrixView<double> b);
void multiply_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<float> a, MatrixView<float> b);

/// b ← op(a)⁻¹ · b with a triangular.
void solve_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<double> a, MatrixView<double> b);
void solve_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<float> a, MatrixView<float> b);

/// Floating-point operations of a (m × k)·(k × n) product.
constexpr double gemm_flops(Index m, Index n, Index k) {
  return 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

}  // namespace pushforward::linalg
