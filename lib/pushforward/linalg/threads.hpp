#pragma once

// Threads inside BLAS. Ranks times threads should not exceed the cores: one thread per rank under MPI.

namespace pushforward::linalg {

/// Sets the number of threads of the BLAS library in this process, at least 1.
void set_blas_threads(int threads);

/// The number of threads that BLAS uses in this process.
int blas_threads();

/// The processor kernel that the BLAS library runs, e.g. "Haswell" or "SkylakeX".
const char* blas_core();

/// Measured rate of gemm in this process now, GFLOP/s, for square float or double matrices that fit the
/// second-level cache: best of some short runs, 50 ms in all.
template <class T>
double measure_gemm_rate();

extern template double measure_gemm_rate<float>();
extern template double measure_gemm_rate<double>();

}  // namespace pushforward::linalg
