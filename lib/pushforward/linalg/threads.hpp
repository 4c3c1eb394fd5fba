#pragma once

// Threads inside BLAS. There should be no more threads on all ranks than cores: with MPI, one thread per rank.

namespace pushforward::linalg {

/// Sets the number of threads of the BLAS library in this process, at least 1.
void set_blas_threads(int threads);

/// The number of threads that BLAS uses in this process.
int blas_threads();

/// The processor kernel that the BLAS library runs, e.g. "Haswell" or "SkylakeX".
const char* blas_core();

/// Measures the rate of gemm in this process now, in GFLOP/s, for square matrices of float or double that fit the
/// second-level cache. It is the best of some short runs, 50 ms in all.
template <class T>
double measure_gemm_rate();

extern template double measure_gemm_rate<float>();
extern template double measure_gemm_rate<double>();

}  // namespace pushforward::linalg
