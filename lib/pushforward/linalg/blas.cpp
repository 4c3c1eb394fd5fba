#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/fortran.hpp>

namespace pushforward::linalg {

namespace {

using fortran::Integer;
using fortran::leading;
using fortran::narrow;

constexpr Integer one = 1;

template <class T, class F>
void checked_gemm(F&& call, Op op_a, Op op_b, T alpha, ConstMatrixView<T> a, ConstMatrixView<T> b, T beta,
                  MatrixView<T> c) {
  const Index m = op_a == Op::none ? a.rows() : a.cols(), k = op_a == Op::none ? a.cols() : a.rows();
  const Index kb = op_b == Op::none ? b.rows() : b.cols(), n = op_b == Op::none ? b.cols() : b.rows();
  require<ShapeError>(k == kb && m == c.rows() && n == c.cols(),
                      "gemm: op(a) ({} × {}) times op(b) ({} × {}) does not fit c ({} × {})", m, k, kb, n, c.rows(),
                      c.cols());
  if (m == 0 || n == 0) return;
  const char letter_a = static_cast<char>(op_a), letter_b = static_cast<char>(op_b);
  const Integer fm = narrow(m), fn = narrow(n), fk = narrow(k);
  const Integer lda = leading(a.ld()), ldb = leading(b.ld()), ldc = leading(c.ld());
  call(&letter_a, &letter_b, &fm, &fn, &fk, &alpha, a.data(), &lda, b.data(), &ldb, &beta, c.data(), &ldc);
}

template <class T, class F>
void checked_gemv(F&& call, Op op_a, T alpha, ConstMatrixView<T> a, std::span<const T> x, T beta, std::span<T> y) {
  const Index out = op_a == Op::none ? a.rows() : a.cols(), in = op_a == Op::none ? a.cols() : a.rows();
  require<ShapeError>(in == std::ssize(x) && out == std::ssize(y),
                      "gemv: op(a) ({} × {}) does not fit x ({}) and y ({})", out, in, x.size(), y.size());
  if (out == 0) return;
  if (in == 0) {  // BLAS returns without touching y
    for (T& value : y) value = beta == 0 ? T(0) : beta * value;
    return;
  }
  const char letter = static_cast<char>(op_a);
  const Integer m = narrow(a.rows()), n = narrow(a.cols()), lda = leading(a.ld());
  call(&letter, &m, &n, &alpha, a.data(), &lda, x.data(), &one, &beta, y.data(), &one);
}

template <class T, class F>
void checked_ger(F&& call, T alpha, std::span<const T> x, std::span<const T> y, MatrixView<T> a) {
  require<ShapeError>(std::ssize(x) == a.rows() && std::ssize(y) == a.cols(),
                      "ger: x ({}) and y ({}) do not fit a ({} × {})", x.size(), y.size(), a.rows(), a.cols());
  if (a.empty()) return;
  const Integer m = narrow(a.rows()), n = narrow(a.cols()), lda = leading(a.ld());
  call(&m, &n, &alpha, x.data(), &one, y.data(), &one, a.data(), &lda);
}

template <class T, class F>
T checked_dot(F&& call, std::span<const T> x, std::span<const T> y) {
  require<ShapeError>(x.size() == y.size(), "dot: x ({}) and y ({}) differ in size", x.size(), y.size());
  const Integer n = narrow(std::ssize(x));
  return call(&n, x.data(), &one, y.data(), &one);
}

template <class T, class F>
T checked_norm(F&& call, std::span<const T> x) {
  const Integer n = narrow(std::ssize(x));
  return call(&n, x.data(), &one);
}

// The part of a triangular matrix that is read, and how. `letter` is its name in messages.
struct Triangular {
  char letter;
  Triangle triangle;
  Op op;
  Diagonal diagonal;
};

template <class T, class F>
void checked_triangular(F&& call, const char* name, const Triangular& how, ConstMatrixView<T> a, MatrixView<T> b) {
  require<ShapeError>(a.rows() == a.cols() && a.cols() == b.rows(), "{}: {} ({} × {}) does not fit b ({} × {})", name,
                      how.letter, a.rows(), a.cols(), b.rows(), b.cols());
  if (b.empty()) return;
  const char triangle = static_cast<char>(how.triangle), op = static_cast<char>(how.op);
  const char diagonal = static_cast<char>(how.diagonal);
  const Integer m = narrow(b.rows()), n = narrow(b.cols()), lda = leading(a.ld()), ldb = leading(b.ld());
  const T alpha = 1;
  call("L", &triangle, &op, &diagonal, &m, &n, &alpha, a.data(), &lda, b.data(), &ldb);
}

constexpr Triangular lower(Op op) {
  return {'l', Triangle::lower, op, Diagonal::stored};
}

}  // namespace

void gemm(Op op_a, Op op_b, double alpha, ConstMatrixView<double> a, ConstMatrixView<double> b, double beta,
          MatrixView<double> c) {
  checked_gemm(fortran::dgemm_, op_a, op_b, alpha, a, b, beta, c);
}
void gemm(Op op_a, Op op_b, float alpha, ConstMatrixView<float> a, ConstMatrixView<float> b, float beta,
          MatrixView<float> c) {
  checked_gemm(fortran::sgemm_, op_a, op_b, alpha, a, b, beta, c);
}

void gemv(Op op_a, double alpha, ConstMatrixView<double> a, std::span<const double> x, double beta,
          std::span<double> y) {
  checked_gemv(fortran::dgemv_, op_a, alpha, a, x, beta, y);
}
void gemv(Op op_a, float alpha, ConstMatrixView<float> a, std::span<const float> x, float beta, std::span<float> y) {
  checked_gemv(fortran::sgemv_, op_a, alpha, a, x, beta, y);
}

void ger(double alpha, std::span<const double> x, std::span<const double> y, MatrixView<double> a) {
  checked_ger(fortran::dger_, alpha, x, y, a);
}
void ger(float alpha, std::span<const float> x, std::span<const float> y, MatrixView<float> a) {
  checked_ger(fortran::sger_, alpha, x, y, a);
}

double dot(std::span<const double> x, std::span<const double> y) {
  return checked_dot(fortran::ddot_, x, y);
}
float dot(std::span<const float> x, std::span<const float> y) {
  return checked_dot(fortran::sdot_, x, y);
}

double norm2(std::span<const double> x) {
  return checked_norm(fortran::dnrm2_, x);
}
float norm2(std::span<const float> x) {
  return checked_norm(fortran::snrm2_, x);
}

void solve_lower(Op op_l, ConstMatrixView<double> l, MatrixView<double> b) {
  checked_triangular(fortran::dtrsm_, "solve_lower", lower(op_l), l, b);
}
void solve_lower(Op op_l, ConstMatrixView<float> l, MatrixView<float> b) {
  checked_triangular(fortran::strsm_, "solve_lower", lower(op_l), l, b);
}

void multiply_lower(ConstMatrixView<double> l, MatrixView<double> b) {
  checked_triangular(fortran::dtrmm_, "multiply_lower", lower(Op::none), l, b);
}
void multiply_lower(ConstMatrixView<float> l, MatrixView<float> b) {
  checked_triangular(fortran::strmm_, "multiply_lower", lower(Op::none), l, b);
}

void multiply_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<double> a,
                         MatrixView<double> b) {
  checked_triangular(fortran::dtrmm_, "multiply_triangular", {'a', triangle, op_a, diagonal}, a, b);
}
void multiply_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<float> a, MatrixView<float> b) {
  checked_triangular(fortran::strmm_, "multiply_triangular", {'a', triangle, op_a, diagonal}, a, b);
}

void solve_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<double> a, MatrixView<double> b) {
  checked_triangular(fortran::dtrsm_, "solve_triangular", {'a', triangle, op_a, diagonal}, a, b);
}
void solve_triangular(Triangle triangle, Op op_a, Diagonal diagonal, ConstMatrixView<float> a, MatrixView<float> b) {
  checked_triangular(fortran::strsm_, "solve_triangular", {'a', triangle, op_a, diagonal}, a, b);
}

}  // namespace pushforward::linalg
