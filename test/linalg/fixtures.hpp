#pragma once

// Matrices for tests: random ones that are the same in both precisions, some whose determinant is known in closed form,
// and arrays within poisoned padding.

#include <pushforward/linalg/reference.hpp>
#include <pushforward/random/stream.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include <boost/mpl/list.hpp>

#include <cmath>
#include <functional>
#include <limits>
#include <vector>

namespace pushforward::test {

using Precisions = boost::mpl::list<float, double>;

template <class T>
constexpr T nan_of = std::numeric_limits<T>::quiet_NaN();

/// The constant γₖ = k·u/(1 − k·u) of rounding error bounds, u the unit roundoff of T [Higham 2002, Lemma 3.1].
template <class T>
double gamma(Index k) {
  const double ku = static_cast<double>(k) * 0.5 * static_cast<double>(std::numeric_limits<T>::epsilon());
  return ku / (1 - ku);
}

/// Independent N(0, scale²), rounded to float in both precisions.
template <class T>
Matrix<T> random_matrix(Index rows, Index cols, std::uint64_t seed, double scale = 1) {
  random::Stream stream(seed, random::Purpose::check);
  Matrix<T> a(rows, cols);
  for (T& value : a.span()) value = static_cast<T>(static_cast<float>(scale * stream.normal()));
  return a;
}
template <class T>
std::vector<T> random_vector(Index n, std::uint64_t seed, double scale = 1) {
  const auto a = random_matrix<T>(n, 1, seed, scale);
  return {a.span().begin(), a.span().end()};
}

/// a(i, j) = f(i, j).
template <class T, class F>
Matrix<T> matrix_of(Index rows, Index cols, F&& f) {
  Matrix<T> a(rows, cols);
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) a(i, j) = static_cast<T>(f(i, j));
  }
  return a;
}

template <class T>
Matrix<T> magnitudes(ConstMatrixView<T> a) {
  return matrix_of<T>(a.rows(), a.cols(), [&](Index i, Index j) { return std::abs(a(i, j)); });
}

template <class T>
Matrix<T> transposed(ConstMatrixView<T> a) {
  return matrix_of<T>(a.cols(), a.rows(), [&](Index i, Index j) { return a(j, i); });
}

/// op(a)·b in T, accumulated in long double.
template <class T>
Matrix<T> product(ConstMatrixView<T> a, ConstMatrixView<T> b, linalg::Op op_a = linalg::Op::none) {
  Matrix<T> c(op_a == linalg::Op::none ? a.rows() : a.cols(), b.cols());
  linalg::reference::gemm<T>(op_a, linalg::Op::none, T(1), a, b, T(0), c);
  return c;
}

template <class T>
double frobenius(ConstMatrixView<T> a) {
  double square = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (const T value : a.column_span(j)) square += static_cast<double>(value) * static_cast<double>(value);
  }
  return std::sqrt(square);
}

/// A matrix whose determinant is known: |det| = exp(log_abs), sign as given; 0 when it is exactly singular.
struct KnownMatrix {
  const char* name;
  std::function<double(Index, Index)> element;
  double log_abs;
  linalg::Sign sign;
};

inline std::vector<KnownMatrix> known_matrices(Index d) {
  const auto size = static_cast<double>(d);
  const auto sign = [](bool negative) { return static_cast<linalg::Sign>(negative ? -1 : 1); };
  std::vector<KnownMatrix> all{
      {"second differences", [](Index i, Index j) { return i == j                 ? 2.0
                                                           : std::abs(i - j) == 1 ? -1.0
                                                                                  : 0.0; },
       std::log(size + 1), 1},
      {"rho to the |i - j| [Kac, Murdock, Szego 1953]",
       [](Index i, Index j) { return std::pow(0.5, std::abs(static_cast<double>(i - j))); },
       (size - 1) * std::log(0.75), 1},
      {"a cycle, pivoted at every step", [d](Index i, Index j) { return i == (j + 1) % d ? 1.0 : 0.0; }, 0,
       sign(d % 2 == 0)},
      {"2 (ones) - I", [](Index i, Index j) { return i == j ? 1.0 : 2.0; }, std::log(2 * size - 1), sign(d % 2 == 0)},
      {"-3 I", [](Index i, Index j) { return i == j ? -3.0 : 0.0; }, size * std::log(3.0), sign(d % 2 == 1)}};
  const double infinity = std::numeric_limits<double>::infinity();
  if (d == 1) {
    all.push_back({"zero", [](Index, Index) { return 0.0; }, -infinity, 0});
  } else {
    all.push_back({"ones", [](Index, Index) { return 1.0; }, -infinity, 0});
  }
  return all;
}

/// A (rows × cols) view with ld = rows + 3 in storage that is NaN everywhere else.
template <class T>
class Padded {
 public:
  Padded(Index rows, Index cols) : rows_(rows), cols_(cols), storage_(rows + padding, cols) {
    storage_.fill(nan_of<T>);
  }
  explicit Padded(ConstMatrixView<T> from) : Padded(from.rows(), from.cols()) {
    for (Index j = 0; j < cols_; ++j) std::copy_n(from.column(j), rows_, view().column(j));
  }

  MatrixView<T> view() { return {storage_.data(), rows_, cols_, rows_ + padding}; }
  ConstMatrixView<T> view() const { return {storage_.data(), rows_, cols_, rows_ + padding}; }
  operator MatrixView<T>() { return view(); }
  operator ConstMatrixView<T>() const { return view(); }

  bool padding_untouched() const {
    for (Index j = 0; j < cols_; ++j) {
      for (Index i = rows_; i < rows_ + padding; ++i) {
        if (!std::isnan(storage_(i, j))) return false;
      }
    }
    return true;
  }

 private:
  static constexpr Index padding = 3;
  Index rows_, cols_;
  Matrix<T> storage_;
};

/// True when every |actual − expected| is at most `bound` of the same element; NaN fails.
template <class T>
Verdict elementwise_within(ConstMatrixView<T> actual, ConstMatrixView<T> expected, ConstMatrixView<T> bound) {
  for (Index j = 0; j < expected.cols(); ++j) {
    for (Index i = 0; i < expected.rows(); ++i) {
      const auto verdict = close_absolute(static_cast<double>(actual(i, j)), static_cast<double>(expected(i, j)),
                                          static_cast<double>(bound(i, j)));
      if (!verdict) return verdict;
    }
  }
  return Verdict(true);
}

}  // namespace pushforward::test
