#pragma once

// LU of many small matrices at once, as many as a vector register has lanes. Element (r, c) of all of these matrices
// is in one register, so that each step of the elimination is one vector instruction for all of them. A call of
// LAPACK on one small matrix spends most of its time on bookkeeping. Internal to linalg; lapack.hpp has the
// interface.

#include <pushforward/linalg/lapack.hpp>

namespace pushforward::linalg {

/// The largest order of a matrix for which these functions are meant.
inline constexpr Index interleaved_order = 64;

/// Does what lu_log_det does, for matrices of order at most interleaved_order. Factors and pivots are those of
/// getrf, up to rounding. The result for a matrix does not depend on the other matrices, to the last bit. No
/// allocation; 1 MB of stack.
template <class T>
void interleaved_factor(MatrixView<T> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);

/// Does what lu_inverse_transpose does, for such matrices: a⁻ᵀ = Pᵀ L⁻ᵀ U⁻ᵀ for a = PᵀLU, with triangular solves,
/// 4/3 d³.
template <class T>
void interleaved_inverse_transpose(ConstMatrixView<T> lu, std::span<const int> pivots, std::span<const Sign> sign,
                                   MatrixView<T> inverse_transpose);

extern template void interleaved_factor(MatrixView<float>, std::span<int>, std::span<double>, std::span<Sign>);
extern template void interleaved_factor(MatrixView<double>, std::span<int>, std::span<double>, std::span<Sign>);
extern template void interleaved_inverse_transpose(ConstMatrixView<float>, std::span<const int>, std::span<const Sign>,
                                                   MatrixView<float>);
extern template void interleaved_inverse_transpose(ConstMatrixView<double>, std::span<const int>, std::span<const Sign>,
                                                   MatrixView<double>);

}  // namespace pushforward::linalg
