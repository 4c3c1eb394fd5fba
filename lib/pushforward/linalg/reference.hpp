#pragma once

// Plain loops that do what blas.hpp and lapack.hpp do, with sums in long double. The tests compare with them. They
// are slow, and only tests call them.

#include <pushforward/linalg/lapack.hpp>

namespace pushforward::linalg::reference {

/// c ← alpha · op(a) · op(b) + beta · c.
template <class T>
void gemm(Op op_a, Op op_b, T alpha, ConstMatrixView<T> a, ConstMatrixView<T> b, T beta, MatrixView<T> c);

/// log|det a| and the sign of det a, by Gaussian elimination with full pivoting. a: (d × d).
template <class T>
struct LogDet {
  double log_abs = 0;
  Sign sign = 1;
};
template <class T>
LogDet<T> log_det(ConstMatrixView<T> a);

/// a⁻¹ (d × d) by Gauss–Jordan elimination with full pivoting. Throws NumericalError when a is exactly singular.
template <class T>
Matrix<T> inverse(ConstMatrixView<T> a);

/// The largest singular value of a, by power iteration on aᵀa to stagnation.
template <class T>
double spectral_norm(ConstMatrixView<T> a);

}  // namespace pushforward::linalg::reference
