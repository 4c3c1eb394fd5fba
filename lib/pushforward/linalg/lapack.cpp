#include <pushforward/linalg/fortran.hpp>
#include <pushforward/linalg/interleaved_lu.hpp>
#include <pushforward/linalg/lapack.hpp>

#include <cmath>
#include <limits>

namespace pushforward::linalg {

namespace {

using fortran::Integer;
using fortran::leading;
using fortran::narrow;

void require_legal(Integer info, const char* routine) {
  require<BugError>(info >= 0, "{}: argument {} is illegal; this is a bug in linalg", routine, -info);
}

template <class T, class F>
bool factor_cholesky(F&& potrf, MatrixView<T> a) {
  require<ShapeError>(a.rows() == a.cols(), "cholesky: a is ({} × {}), not square", a.rows(), a.cols());
  const Integer d = narrow(a.rows()), lda = leading(a.ld());
  Integer info = 0;
  potrf("L", &d, a.data(), &lda, &info);
  require_legal(info, "potrf");
  bool definite = info == 0;
  for (Index j = 0; j < a.cols(); ++j) {
    std::fill_n(a.column(j), j, T(0));
    definite = definite && a(j, j) > 0 && std::isfinite(a(j, j));  // OpenBLAS takes NaN for a pivot
  }
  return definite;
}

template <class T, class F>
std::vector<T> svd_values(F&& gesdd, ConstMatrixView<T> a) {
  const Index count = std::min(a.rows(), a.cols());
  std::vector<T> values(count);
  if (count == 0) return values;
  Matrix<T> copy(a);
  const Integer m = narrow(a.rows()), n = narrow(a.cols()), lda = leading(a.rows()), ldone = 1;
  std::vector<Integer> integers(8 * count);
  T best = 0, unused = 0;
  Integer length = -1, info = 0;
  gesdd("N", &m, &n, copy.data(), &lda, values.data(), &unused, &ldone, &unused, &ldone, &best, &length,
        integers.data(), &info);
  require_legal(info, "gesdd");
  length = static_cast<Integer>(best);
  std::vector<T> work(length);
  gesdd("N", &m, &n, copy.data(), &lda, values.data(), &unused, &ldone, &unused, &ldone, work.data(), &length,
        integers.data(), &info);
  // LAPACK 3.7 and later answer a NaN operand with info = -4, an infinite one with NaN values.
  const bool finite = std::all_of(values.begin(), values.end(), [](T value) { return std::isfinite(value); });
  require<NumericalError>(info == 0 && finite,
                          "singular_values: the SVD of a ({} × {}) matrix did not converge (info {}); "
                          "does it hold NaN or infinity?",
                          a.rows(), a.cols(), info);
  return values;
}

template <class T, class F>
T largest_eigenvalue(F&& geev, ConstMatrixView<T> a) {
  require<ShapeError>(a.rows() == a.cols(), "spectral_radius: a is ({} × {}), not square", a.rows(), a.cols());
  if (a.empty()) return 0;
  // geev does not come back from NaN in all versions.
  const auto finite = [&](Index j) {
    return std::all_of(a.column(j), a.column(j) + a.rows(), [](T value) { return std::isfinite(value); });
  };
  bool converged = true;
  for (Index j = 0; j < a.cols(); ++j) converged = converged && finite(j);
  Matrix<T> copy(a);
  const Integer d = narrow(a.rows()), one = 1;
  std::vector<T> real(d), imaginary(real.size());
  T best = 0, unused = 0;
  Integer length = -1, info = 0;
  geev("N", "N", &d, copy.data(), &d, real.data(), imaginary.data(), &unused, &one, &unused, &one, &best, &length,
       &info);
  require_legal(info, "geev");
  length = static_cast<Integer>(best);
  std::vector<T> work(length);
  if (converged) {
    geev("N", "N", &d, copy.data(), &d, real.data(), imaginary.data(), &unused, &one, &unused, &one, work.data(),
         &length, &info);
    require_legal(info, "geev");
    converged = info == 0;
  }
  require<NumericalError>(converged,
                          "spectral_radius: the eigenvalues of a ({} × {}) matrix were not found (info {}); does it "
                          "hold NaN or infinity?",
                          a.rows(), a.cols(), info);
  T radius = 0;
  for (std::size_t i = 0; i < real.size(); ++i) radius = std::max(radius, std::hypot(real[i], imaginary[i]));
  return radius;
}

template <class T>
void require_stack(const char* name, ConstMatrixView<T> a, std::size_t pivots, std::size_t count) {
  const Index d = a.rows();
  require<ShapeError>(
      d >= 1 && a.cols() == d * static_cast<Index>(count) && pivots == static_cast<std::size_t>(a.cols()),
      "{}: ({} × {}) is no stack of {} square matrices with {} pivots", name, a.rows(), a.cols(), count, pivots);
}

// One 2 × 2 matrix: the factors and pivots that getrf would give.
template <class T>
Integer factor_2x2(MatrixView<T> a, int* pivots) {
  const bool swap = std::abs(a(1, 0)) > std::abs(a(0, 0));
  pivots[0] = swap ? 2 : 1;
  pivots[1] = 2;
  if (swap) {
    std::swap(a(0, 0), a(1, 0));
    std::swap(a(0, 1), a(1, 1));
  }
  if (a(0, 0) == 0) return 1;
  a(1, 0) /= a(0, 0);
  a(1, 1) -= a(1, 0) * a(0, 1);
  return a(1, 1) == 0 ? 2 : 0;
}

template <class T, class F>
void factor_stack(F&& getrf, MatrixView<T> a, std::span<int> pivots, std::span<double> log_abs_det,
                  std::span<Sign> sign) {
  require_stack<T>("lu_log_det", a, pivots.size(), log_abs_det.size());
  require<ShapeError>(sign.size() == log_abs_det.size(), "lu_log_det: {} signs for {} matrices", sign.size(),
                      log_abs_det.size());
  const Index d = a.rows(), n = std::ssize(log_abs_det);
  // A 2 × 2 matrix takes longer to transpose into lanes than to factor.
  if (d <= interleaved_order && d != 2) return interleaved_factor(a, pivots, log_abs_det, sign);
  const Integer order = narrow(d), lda = leading(a.ld());
  for (Index i = 0; i < n; ++i) {
    const auto matrix = a.columns(i * d, d);
    int* const pivot = pivots.data() + i * d;
    Integer info = 0;
    if (d == 2) {
      info = factor_2x2(matrix, pivot);
    } else {
      getrf(&order, &order, matrix.data(), &lda, pivot, &info);
      require_legal(info, "getrf");
    }
    double log_det = 0;
    bool negative = false;
    for (Index j = 0; j < d; ++j) {
      const double u = matrix(j, j);
      log_det += std::log(std::abs(u));
      negative ^= (u < 0) ^ (pivot[j] != j + 1);
    }
    log_abs_det[i] = log_det;
    sign[i] = info != 0 || !std::isfinite(log_det) ? Sign(0) : negative ? Sign(-1) : Sign(1);
  }
}

template <class T, class F>
void invert_stack(F&& getrs, ConstMatrixView<T> lu, std::span<const int> pivots, std::span<const Sign> sign,
                  MatrixView<T> inverse_transpose) {
  require_stack<T>("lu_inverse_transpose", lu, pivots.size(), sign.size());
  require<ShapeError>(inverse_transpose.rows() == lu.rows() && inverse_transpose.cols() == lu.cols(),
                      "lu_inverse_transpose: ({} × {}) does not fit factors ({} × {})", inverse_transpose.rows(),
                      inverse_transpose.cols(), lu.rows(), lu.cols());
  const Index d = lu.rows(), n = std::ssize(sign);
  if (d <= interleaved_order && d != 2) return interleaved_inverse_transpose(lu, pivots, sign, inverse_transpose);
  const Integer order = narrow(d), lda = leading(lu.ld()), ldb = leading(inverse_transpose.ld());
  for (Index i = 0; i < n; ++i) {
    const auto factors = lu.columns(i * d, d);
    const auto out = inverse_transpose.columns(i * d, d);
    if (sign[i] == 0) {
      for (Index j = 0; j < d; ++j) std::fill_n(out.column(j), d, std::numeric_limits<T>::quiet_NaN());
      continue;
    }
    const int* const pivot = pivots.data() + i * d;
    if (d == 2) {
      // P a = l u, so a⁻ᵀ is the cofactor matrix over u₀₀u₁₁, its columns exchanged back with the rows of a.
      const T u00 = factors(0, 0), u01 = factors(0, 1), u11 = factors(1, 1), l10 = factors(1, 0);
      const Index first = pivot[0] - 1;
      const T scale = 1 / (u00 * u11), a11 = l10 * u01 + u11, a10 = l10 * u00;
      T* const top = out.data() + first;
      T* const bottom = out.data() + (1 - first);
      top[0] = a11 * scale;
      top[out.ld()] = -a10 * scale;
      bottom[0] = -u01 * scale;
      bottom[out.ld()] = u00 * scale;
      continue;
    }
    for (Index j = 0; j < d; ++j) {
      std::fill_n(out.column(j), d, T(0));
      out(j, j) = 1;
    }
    Integer info = 0;
    getrs("T", &order, &order, factors.data(), &lda, pivot, out.data(), &ldb, &info);
    require_legal(info, "getrs");
  }
}

template <class T, class F>
void solve_one(F&& getrs, ConstMatrixView<T> lu, std::span<const int> pivots, MatrixView<T> b) {
  require<ShapeError>(lu.rows() == lu.cols() && b.rows() == lu.rows() && std::ssize(pivots) == lu.rows(),
                      "lu_solve: factors ({} × {}), {} pivots and b ({} × {}) do not fit", lu.rows(), lu.cols(),
                      pivots.size(), b.rows(), b.cols());
  const Integer d = narrow(lu.rows()), k = narrow(b.cols()), lda = leading(lu.ld()), ldb = leading(b.ld());
  Integer info = 0;
  getrs("N", &d, &k, lu.data(), &lda, pivots.data(), b.data(), &ldb, &info);
  require_legal(info, "getrs");
}

}  // namespace

bool cholesky(MatrixView<double> a) {
  return factor_cholesky(fortran::dpotrf_, a);
}
bool cholesky(MatrixView<float> a) {
  return factor_cholesky(fortran::spotrf_, a);
}

std::vector<double> singular_values(ConstMatrixView<double> a) {
  return svd_values(fortran::dgesdd_, a);
}
std::vector<float> singular_values(ConstMatrixView<float> a) {
  return svd_values(fortran::sgesdd_, a);
}

double spectral_radius(ConstMatrixView<double> a) {
  return largest_eigenvalue(fortran::dgeev_, a);
}
float spectral_radius(ConstMatrixView<float> a) {
  return largest_eigenvalue(fortran::sgeev_, a);
}

void lu_log_det(MatrixView<double> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign) {
  factor_stack(fortran::dgetrf_, a, pivots, log_abs_det, sign);
}
void lu_log_det(MatrixView<float> a, std::span<int> pivots, std::span<double> log_abs_det, std::span<Sign> sign) {
  factor_stack(fortran::sgetrf_, a, pivots, log_abs_det, sign);
}

void lu_inverse_transpose(ConstMatrixView<double> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<double> inverse_transpose) {
  invert_stack(fortran::dgetrs_, lu, pivots, sign, inverse_transpose);
}
void lu_inverse_transpose(ConstMatrixView<float> lu, std::span<const int> pivots, std::span<const Sign> sign,
                          MatrixView<float> inverse_transpose) {
  invert_stack(fortran::sgetrs_, lu, pivots, sign, inverse_transpose);
}

void lu_solve(ConstMatrixView<double> lu, std::span<const int> pivots, MatrixView<double> b) {
  solve_one(fortran::dgetrs_, lu, pivots, b);
}
void lu_solve(ConstMatrixView<float> lu, std::span<const int> pivots, MatrixView<float> b) {
  solve_one(fortran::sgetrs_, lu, pivots, b);
}

}  // namespace pushforward::linalg
