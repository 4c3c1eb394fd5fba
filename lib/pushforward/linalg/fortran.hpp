#pragma once

// The Fortran symbols of BLAS and LAPACK that we call. Internal to linalg.

#include <pushforward/core/error.hpp>
#include <pushforward/core/index.hpp>

#include <algorithm>
#include <limits>

namespace pushforward::linalg::fortran {

using Integer = int;

inline Integer narrow(Index n) {
  require<ShapeError>(n >= 0 && n <= std::numeric_limits<Integer>::max(),
                      "linalg: size {} is beyond the range of the Fortran integer", n);
  return static_cast<Integer>(n);
}

// LAPACK and BLAS want leading dimensions of at least 1, also for empty matrices.
inline Integer leading(Index ld) {
  return narrow(std::max<Index>(1, ld));
}

extern "C" {
void dgemm_(const char*, const char*, const Integer*, const Integer*, const Integer*, const double*, const double*,
            const Integer*, const double*, const Integer*, const double*, double*, const Integer*);
void sgemm_(const char*, const char*, const Integer*, const Integer*, const Integer*, const float*, const float*,
            const Integer*, const float*, const Integer*, const float*, float*, const Integer*);
void dgemv_(const char*, const Integer*, const Integer*, const double*, const double*, const Integer*, const double*,
            const Integer*, const double*, double*, const Integer*);
void sgemv_(const char*, const Integer*, const Integer*, const float*, const float*, const Integer*, const float*,
            const Integer*, const float*, float*, const Integer*);
void dger_(const Integer*, const Integer*, const double*, const double*, const Integer*, const double*, const Integer*,
           double*, const Integer*);
void sger_(const Integer*, const Integer*, const float*, const float*, const Integer*, const float*, const Integer*,
           float*, const Integer*);
double ddot_(const Integer*, const double*, const Integer*, const double*, const Integer*);
float sdot_(const Integer*, const float*, const Integer*, const float*, const Integer*);
double dnrm2_(const Integer*, const double*, const Integer*);
float snrm2_(const Integer*, const float*, const Integer*);
void dtrsm_(const char*, const char*, const char*, const char*, const Integer*, const Integer*, const double*,
            const double*, const Integer*, double*, const Integer*);
void strsm_(const char*, const char*, const char*, const char*, const Integer*, const Integer*, const float*,
            const float*, const Integer*, float*, const Integer*);
void dtrmm_(const char*, const char*, const char*, const char*, const Integer*, const Integer*, const double*,
            const double*, const Integer*, double*, const Integer*);
void strmm_(const char*, const char*, const char*, const char*, const Integer*, const Integer*, const float*,
            const float*, const Integer*, float*, const Integer*);
void dgetrf_(const Integer*, const Integer*, double*, const Integer*, Integer*, Integer*);
void sgetrf_(const Integer*, const Integer*, float*, const Integer*, Integer*, Integer*);
void dgetrs_(const char*, const Integer*, const Integer*, const double*, const Integer*, const Integer*, double*,
             const Integer*, Integer*);
void sgetrs_(const char*, const Integer*, const Integer*, const float*, const Integer*, const Integer*, float*,
             const Integer*, Integer*);
void dgesdd_(const char*, const Integer*, const Integer*, double*, const Integer*, double*, double*, const Integer*,
             double*, const Integer*, double*, const Integer*, Integer*, Integer*);
void sgesdd_(const char*, const Integer*, const Integer*, float*, const Integer*, float*, float*, const Integer*,
             float*, const Integer*, float*, const Integer*, Integer*, Integer*);
void dgeev_(const char*, const char*, const Integer*, double*, const Integer*, double*, double*, double*,
            const Integer*, double*, const Integer*, double*, const Integer*, Integer*);
void sgeev_(const char*, const char*, const Integer*, float*, const Integer*, float*, float*, float*, const Integer*,
            float*, const Integer*, float*, const Integer*, Integer*);
void dpotrf_(const char*, const Integer*, double*, const Integer*, Integer*);
void spotrf_(const char*, const Integer*, float*, const Integer*, Integer*);
}

}  // namespace pushforward::linalg::fortran
