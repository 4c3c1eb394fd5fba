#include <pushforward/linalg/reference.hpp>

#include <cmath>
#include <limits>
#include <utility>
#include <vector>

namespace pushforward::linalg::reference {

namespace {

using Real = long double;

template <class T>
T element(Op op, ConstMatrixView<T> a, Index i, Index j) {
  return op == Op::none ? a(i, j) : a(j, i);
}

// Gauss–Jordan with full pivoting on a copy in long double; a becomes its inverse unless it is singular.
template <class T>
struct Elimination {
  explicit Elimination(ConstMatrixView<T> from) : d(from.rows()), a(static_cast<std::size_t>(d * d)) {
    require<ShapeError>(from.rows() == from.cols(), "reference: ({} × {}) is not square", from.rows(), from.cols());
    for (Index j = 0; j < d; ++j) {
      for (Index i = 0; i < d; ++i) at(i, j) = from(i, j);
    }
    std::vector<std::pair<Index, Index>> exchanged;
    for (Index k = 0; k < d; ++k) {
      Index row = k, col = k;
      for (Index j = k; j < d; ++j) {
        for (Index i = k; i < d; ++i) {
          if (std::abs(at(i, j)) > std::abs(at(row, col))) row = i, col = j;
        }
      }
      exchange_rows(k, row);
      exchange_columns(k, col);
      exchanged.emplace_back(row, col);
      if (row != k) sign = static_cast<Sign>(-sign);
      if (col != k) sign = static_cast<Sign>(-sign);
      const Real pivot = at(k, k);
      if (!(std::abs(pivot) > 0)) {
        sign = 0;
        log_abs = -std::numeric_limits<Real>::infinity();
        return;
      }
      if (pivot < 0) sign = static_cast<Sign>(-sign);
      log_abs += std::log(std::abs(pivot));
      eliminate(k, pivot);
    }
    for (Index k = d - 1; k >= 0; --k) {
      exchange_rows(k, exchanged[k].second);
      exchange_columns(k, exchanged[k].first);
    }
  }

  Real& at(Index i, Index j) { return a[i + j * d]; }

  void exchange_rows(Index p, Index q) {
    for (Index j = 0; p != q && j < d; ++j) std::swap(at(p, j), at(q, j));
  }
  void exchange_columns(Index p, Index q) {
    for (Index i = 0; p != q && i < d; ++i) std::swap(at(i, p), at(i, q));
  }

  void eliminate(Index k, Real pivot) {
    at(k, k) = 1;
    for (Index j = 0; j < d; ++j) at(k, j) /= pivot;
    for (Index i = 0; i < d; ++i) {
      if (i == k) continue;
      const Real factor = std::exchange(at(i, k), Real(0));
      for (Index j = 0; j < d; ++j) at(i, j) -= factor * at(k, j);
    }
  }

  Index d;
  std::vector<Real> a;
  Real log_abs = 0;
  Sign sign = 1;
};

}  // namespace

template <class T>
void gemm(Op op_a, Op op_b, T alpha, ConstMatrixView<T> a, ConstMatrixView<T> b, T beta, MatrixView<T> c) {
  const Index inner = op_a == Op::none ? a.cols() : a.rows();
  for (Index j = 0; j < c.cols(); ++j) {
    for (Index i = 0; i < c.rows(); ++i) {
      Real sum = 0;
      for (Index k = 0; k < inner; ++k) sum += Real(element(op_a, a, i, k)) * Real(element(op_b, b, k, j));
      c(i, j) = static_cast<T>(alpha * sum + (beta == 0 ? Real(0) : Real(beta) * Real(c(i, j))));
    }
  }
}

template <class T>
LogDet<T> log_det(ConstMatrixView<T> a) {
  const Elimination<T> e(a);
  return {static_cast<double>(e.log_abs), e.sign};
}

template <class T>
Matrix<T> inverse(ConstMatrixView<T> a) {
  Elimination<T> e(a);
  require<NumericalError>(e.sign != 0, "reference::inverse: the ({} × {}) matrix is singular", a.rows(), a.cols());
  Matrix<T> out(e.d, e.d);
  for (Index j = 0; j < e.d; ++j) {
    for (Index i = 0; i < e.d; ++i) out(i, j) = static_cast<T>(e.at(i, j));
  }
  return out;
}

template <class T>
double spectral_norm(ConstMatrixView<T> a) {
  std::vector<Real> v(a.cols()), u(static_cast<std::size_t>(a.rows()));
  for (std::size_t j = 0; j < v.size(); ++j) v[j] = 1 + Real(0.01) * static_cast<Real>(j % 7);
  Real sigma = 0;
  for (int iteration = 0; iteration < 100000; ++iteration) {
    Real length = 0;
    for (const Real x : v) length += x * x;
    length = std::sqrt(length);
    if (!(length > 0)) return 0;
    for (std::size_t i = 0; i < u.size(); ++i) {
      u[i] = 0;
      for (std::size_t j = 0; j < v.size(); ++j) u[i] += Real(a(Index(i), Index(j))) * v[j] / length;
    }
    for (std::size_t j = 0; j < v.size(); ++j) {
      v[j] = 0;
      for (std::size_t i = 0; i < u.size(); ++i) v[j] += Real(a(Index(i), Index(j))) * u[i];
    }
    Real norm = 0;
    for (const Real x : u) norm += x * x;
    const Real previous = std::exchange(sigma, std::sqrt(norm));
    if (std::abs(sigma - previous) <= 4 * std::numeric_limits<Real>::epsilon() * sigma) break;
  }
  return static_cast<double>(sigma);
}

template void gemm(Op, Op, float, ConstMatrixView<float>, ConstMatrixView<float>, float, MatrixView<float>);
template void gemm(Op, Op, double, ConstMatrixView<double>, ConstMatrixView<double>, double, MatrixView<double>);
template LogDet<float> log_det(ConstMatrixView<float>);
template LogDet<double> log_det(ConstMatrixView<double>);
template Matrix<float> inverse(ConstMatrixView<float>);
template Matrix<double> inverse(ConstMatrixView<double>);
template double spectral_norm(ConstMatrixView<float>);
template double spectral_norm(ConstMatrixView<double>);

}  // namespace pushforward::linalg::reference
