#pragma once

// LU of many small matrices at once, as many as a vector register has lanes: element (r, c) of all of them stands in
// one register, so that each step of the elimination is one vector instruction for all. What LAPACK takes for a call on
// one small matrix goes into bookkeeping mostly. Internal to linalg; lapack.hpp has the interface.

#include <pushforward/linalg/lapack.hpp>

namespace pushforward::linalg {

/// The largest order that these are for.
inline constexpr Index interleaved_order = 64;

/// As lu_log_det, of order at most interleaved_order: the factors and pivots that getrf gives, up to rounding. What
/// becomes of a matrix does not depend on the others, to the last bit. No allocation; 1 MB of stack.
template <class T>
void interleaved_factor(MatrixView<T> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign);

/// As lu_inverse_transpose, likewise: a⁻ᵀ = Pᵀ L⁻ᵀ U⁻ᵀ for a = PᵀLU, by triangular solves, 4/3 d³.
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
