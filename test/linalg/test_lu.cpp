#include <pushforward/linalg/lapack.hpp>

#include "fixtures.hpp"

namespace pushforward::test {

namespace {

using linalg::Sign;

constexpr Index dimensions[] = {1, 2, 3, 5, 8, 16, 64};

// n matrices of order d side by side, and what lu_log_det and lu_inverse_transpose make of them.
template <class T>
struct Stack {
  Stack(Index order, Index count)
      : d(order),
        n(count),
        matrices(order, order * count),
        factors(order, order * count),
        inverse_transpose(order, order * count),
        pivots(static_cast<std::size_t>(order * count)),
        log_abs_det(static_cast<std::size_t>(count)),
        sign(static_cast<std::size_t>(count)) {}

  MatrixView<T> matrix(Index i) { return matrices.view().columns(i * d, d); }
  MatrixView<T> inverse(Index i) { return inverse_transpose.view().columns(i * d, d); }
  double log_abs(Index i) const { return log_abs_det[i]; }
  int sign_of(Index i) const { return sign[i]; }

  template <class F>
  void set(Index i, F&& element) {
    for (Index c = 0; c < d; ++c) {
      for (Index r = 0; r < d; ++r) matrix(i)(r, c) = static_cast<T>(element(r, c));
    }
  }

  void compute() {
    factors = Padded<T>(matrices.view());
    linalg::lu_log_det(factors.view(), pivots, log_abs_det, sign);
    linalg::lu_inverse_transpose(factors.view(), pivots, sign, inverse_transpose.view());
  }

  // ‖|l| |u|‖_F of matrix i, from its factors.
  double growth(Index i) {
    const auto lu = factors.view().columns(i * d, d);
    const auto part = [&](bool lower) {
      return matrix_of<T>(d, d, [&](Index r, Index c) {
        return lower ? (r == c ? T(1) : r > c ? std::abs(lu(r, c)) : T(0)) : (r <= c ? std::abs(lu(r, c)) : T(0));
      });
    };
    return frobenius<T>(product<T>(part(true), part(false)));
  }

  Index d, n;
  Matrix<T> matrices;
  Padded<T> factors, inverse_transpose;
  std::vector<int> pivots;
  std::vector<double> log_abs_det;
  std::vector<Sign> sign;
};

// The factors are exact for a + Δa, |Δa| ≤ γ_d |l||u| [Higham 2002, Theorem 9.3], which changes log|det a| by
// tr(a⁻¹Δa) ≤ ‖a⁻¹‖ ‖Δa‖ to first order; the sum of logarithms adds its own rounding, in double.
template <class T>
Verdict log_det_is_within_bound(Stack<T>& s, Index i, double expected) {
  double sum = 1;
  for (Index j = 0; j < s.d; ++j) {
    sum += std::abs(std::log(std::abs(static_cast<double>(s.factors.view()(j, i * s.d + j)))));
  }
  const double bound = 1.1 * gamma<T>(s.d) * s.growth(i) * frobenius<T>(s.inverse(i)) + gamma<double>(s.d + 2) * sum;
  return close_absolute(s.log_abs(i), expected, bound);
}

// Each column of the inverse is a solution with |aᵀx̂ − e| ≤ γ₃_d |l||u||x̂| [Higham 2002, Theorem 9.4], normwise; the
// closed form for d = 2 has two operations more.
template <class T>
Verdict inverse_is_within_bound(Stack<T>& s, Index i) {
  const auto residual = product<T>(s.matrix(i), Matrix<T>(s.inverse(i)), linalg::Op::transpose);
  const auto identity = matrix_of<T>(s.d, s.d, [](Index r, Index c) { return r == c ? 1 : 0; });
  return close_absolute(residual.view(), identity.view(),
                        gamma<T>(3 * s.d + 2) * s.growth(i) * frobenius<T>(s.inverse(i)));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(lu)

BOOST_AUTO_TEST_CASE_TEMPLATE(known_determinants, T, Precisions) {
  for (const Index d : dimensions) {
    const auto known = known_matrices(d);
    Stack<T> s(d, std::ssize(known));
    for (Index i = 0; i < s.n; ++i) s.set(i, known[i].element);
    s.compute();
    for (Index i = 0; i < s.n; ++i) {
      const auto& matrix = known[i];
      BOOST_TEST_CONTEXT(matrix.name << ", d = " << d) {
        BOOST_TEST(s.sign_of(i) == int{matrix.sign});
        if (matrix.sign == 0) {
          BOOST_TEST(s.log_abs(i) == matrix.log_abs);
          for (Index j = 0; j < d; ++j) BOOST_TEST(std::isnan(s.inverse(i)(j, j)));
        } else {
          BOOST_TEST(log_det_is_within_bound(s, i, matrix.log_abs));
          BOOST_TEST(inverse_is_within_bound(s, i));
        }
      }
    }
    BOOST_TEST(s.factors.padding_untouched());
    BOOST_TEST(s.inverse_transpose.padding_untouched());
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(random_stacks_agree_with_the_reference, T, Precisions) {
  for (const Index d : dimensions) {
    for (const Index n : {Index{0}, Index{1}, Index{7}}) {
      Stack<T> s(d, n);
      s.matrices = random_matrix<T>(d, d * n, static_cast<std::uint64_t>(100 + d));
      s.compute();
      for (Index i = 0; i < n; ++i) {
        const auto reference = linalg::reference::log_det<T>(s.matrix(i));
        BOOST_TEST_CONTEXT("matrix " << i << " of " << n << ", d = " << d) {
          BOOST_TEST(s.sign_of(i) == int{reference.sign});
          BOOST_TEST(log_det_is_within_bound(s, i, reference.log_abs));
          BOOST_TEST(inverse_is_within_bound(s, i));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_matrix_that_is_singular_or_not_finite_leaves_its_neighbors_alone, T, Precisions) {
  for (const Index d : dimensions) {
    Stack<T> clean(d, 3);
    clean.matrices = random_matrix<T>(d, 3 * d, static_cast<std::uint64_t>(200 + d));
    clean.compute();
    for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity(), T(0)}) {
      Stack<T> s(d, 3);
      s.matrices = clean.matrices;
      s.set(1, [&](Index, Index) { return bad; });
      s.compute();
      BOOST_TEST(s.sign_of(1) == 0);
      BOOST_TEST(!std::isfinite(s.log_abs(1)));
      for (const Index i : {Index{0}, Index{2}}) {
        BOOST_TEST(s.sign_of(i) == clean.sign_of(i));
        BOOST_TEST(s.log_abs(i) == clean.log_abs(i));
        BOOST_TEST(close_absolute(Matrix<T>(s.inverse(i)).view(), Matrix<T>(clean.inverse(i)).view(), 0));
      }
      for (Index c = 0; c < d; ++c) {
        for (Index r = 0; r < d; ++r) BOOST_TEST(std::isnan(s.inverse(1)(r, c)));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_element_that_is_not_finite_is_always_seen, T, Precisions) {
  for (const Index d : {Index{1}, Index{2}, Index{3}, Index{5}}) {
    for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()}) {
      Stack<T> s(d, d * d);
      for (Index i = 0; i < s.n; ++i) {
        s.set(i, [&](Index r, Index c) { return r + c * d == i ? bad : r == c ? T(1) : T(0); });
      }
      s.compute();
      for (Index i = 0; i < s.n; ++i) {
        BOOST_TEST_CONTEXT(bad << " at " << i << ", d = " << d) {
          BOOST_TEST(s.sign_of(i) == 0);
          BOOST_TEST(!std::isfinite(s.log_abs(i)));
        }
      }
    }
  }
}

// Both orders of the pivots, both signs, and factors as LAPACK gives them: lu_solve reads the same.
BOOST_AUTO_TEST_CASE_TEMPLATE(two_by_two_matrices_pivot_as_lapack_does, T, Precisions) {
  const std::vector<std::vector<T>> columns{{4, 1, 2, 3}, {1, 4, 3, 2}, {1, -4, 3, 2}, {-4, 1, 2, 3}, {0, 2, 5, 7}};
  for (const auto& c : columns) {
    Stack<T> s(2, 1);
    s.set(0, [&](Index i, Index j) { return c[i + 2 * j]; });
    s.compute();
    const double det = static_cast<double>(c[0] * c[3] - c[1] * c[2]);
    BOOST_TEST(s.pivots[0] == (std::abs(c[1]) > std::abs(c[0]) ? 2 : 1));
    BOOST_TEST(s.pivots[1] == 2);
    BOOST_TEST(s.sign_of(0) == (det > 0 ? 1 : -1));
    BOOST_TEST(close_relative(s.log_abs(0), std::log(std::abs(det)), gamma<T>(12)));
    BOOST_TEST(inverse_is_within_bound(s, 0));

    Matrix<T> x = matrix_of<T>(2, 1, [](Index i, Index) { return i + 1; });
    const Matrix<T> b = product<T>(s.matrix(0), x);
    Matrix<T> solution(b);
    linalg::lu_solve(s.factors.view(), s.pivots, solution.view());
    BOOST_TEST(close_relative(solution.view(), x.view(), gamma<T>(100)));
  }
}

// |b − a x̂| ≤ γ₃_d |l||u||x̂| [Higham 2002, Theorem 9.4], normwise.
BOOST_AUTO_TEST_CASE_TEMPLATE(lu_solve_is_backward_stable, T, Precisions) {
  for (const Index d : dimensions) {
    for (const Index k : {Index{0}, Index{1}, Index{3}}) {
      Stack<T> s(d, 1);
      s.matrices = random_matrix<T>(d, d, static_cast<std::uint64_t>(300 + d));
      s.compute();
      const auto b = random_matrix<T>(d, k, 17);
      Padded<T> x(b.view());
      linalg::lu_solve(s.factors.view(), s.pivots, x.view());
      const Matrix<T> solution(x.view());
      BOOST_TEST(close_absolute(product<T>(s.matrix(0), solution).view(), b.view(),
                                gamma<T>(3 * d + 1) * s.growth(0) * frobenius<T>(solution)));
      BOOST_TEST(x.padding_untouched());
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stacks_that_do_not_fit_are_refused, T, Precisions) {
  Matrix<T> a(3, 6), narrow(3, 5), other(2, 6);
  std::vector<int> pivots(6);
  std::vector<double> log_det(2);
  std::vector<Sign> sign(2), three(3);
  const std::span<int> few = std::span(pivots).first(5);
  BOOST_CHECK_EXCEPTION(linalg::lu_log_det(narrow.view(), pivots, log_det, sign), ShapeError,
                        says({"lu_log_det: (3 × 5) is no stack of 2 square matrices with 6 pivots"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_log_det(a.view(), few, log_det, sign), ShapeError, says({"with 5 pivots"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_log_det(a.view(), pivots, log_det, three), ShapeError,
                        says({"lu_log_det: 3 signs for 2 matrices"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_log_det(MatrixView<T>(), std::span<int>(), std::span<double>(), std::span<Sign>()),
                        ShapeError, says({"(0 × 0) is no stack"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_inverse_transpose(a, pivots, three, a.view()), ShapeError,
                        says({"lu_inverse_transpose: (3 × 6) is no stack of 3"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_inverse_transpose(a, pivots, sign, other.view()), ShapeError,
                        says({"lu_inverse_transpose: (2 × 6) does not fit factors (3 × 6)"}));
  BOOST_CHECK_EXCEPTION(linalg::lu_solve(a, pivots, a.view()), ShapeError,
                        says({"lu_solve: factors (3 × 6), 6 pivots and b (3 × 6) do not fit"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
