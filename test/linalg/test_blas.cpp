#include <pushforward/linalg/blas.hpp>

#include "fixtures.hpp"

namespace pushforward::test {

namespace {

using linalg::Op;

constexpr Op both_ops[] = {Op::none, Op::transpose};

template <class T>
std::span<const T> as_span(const std::vector<T>& values) {
  return values;
}

// |fl(α op(a) op(b) + β c) − exact| ≤ γₖ₊₂ (|α| |op(a)| |op(b)| + |β| |c|), elementwise, in any order of summation
// [Higham 2002, §3.5, with two more roundings for α and β].
template <class T>
Verdict gemm_is_within_bound(Op op_a, Op op_b, Index m, Index n, Index k, T alpha, T beta) {
  const auto a = random_matrix<T>(op_a == Op::none ? m : k, op_a == Op::none ? k : m, 1);
  const auto b = random_matrix<T>(op_b == Op::none ? k : n, op_b == Op::none ? n : k, 2);
  const auto before = random_matrix<T>(m, n, 3);
  Padded<T> c(m, n);
  if (beta != 0) c = Padded<T>(before.view());  // else it stays NaN
  linalg::gemm(op_a, op_b, alpha, Padded<T>(a.view()).view(), Padded<T>(b.view()).view(), beta, c.view());

  Matrix<T> expected(before), bound = magnitudes<T>(before);
  linalg::reference::gemm<T>(op_a, op_b, alpha, a, b, beta, expected);
  linalg::reference::gemm<T>(op_a, op_b, std::abs(alpha), magnitudes<T>(a), magnitudes<T>(b), std::abs(beta), bound);
  // One more rounding for the reference's own.
  for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(k + 3));
  if (!c.padding_untouched()) return Verdict(false);
  return elementwise_within<T>(c, expected, bound);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(blas)

BOOST_AUTO_TEST_CASE_TEMPLATE(gemm_agrees_with_plain_loops, T, Precisions) {
  const Index sizes[][3] = {{1, 1, 1}, {1, 7, 3}, {5, 1, 2}, {3, 5, 1}, {8, 8, 8}, {17, 9, 33}, {64, 31, 5}};
  const T factors[][2] = {{1, 0}, {1, 1}, {T(-0.5), T(1.75)}, {T(2.5), 0}, {0, T(0.25)}, {0, 0}};
  for (const Op op_a : both_ops) {
    for (const Op op_b : both_ops) {
      for (const auto& [m, n, k] : sizes) {
        for (const auto& [alpha, beta] : factors) {
          BOOST_TEST_CONTEXT("ops " << char(op_a) << char(op_b) << " sizes " << m << " " << n << " " << k << " alpha "
                                    << alpha << " beta " << beta) {
            BOOST_TEST(gemm_is_within_bound<T>(op_a, op_b, m, n, k, alpha, beta));
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(products_over_nothing_scale_what_is_there, T, Precisions) {
  const Matrix<T> a(3, 0), b(0, 2);
  auto c = random_matrix<T>(3, 2, 4);
  const auto expected = matrix_of<T>(3, 2, [&](Index i, Index j) { return T(0.5) * c(i, j); });
  linalg::gemm(Op::none, Op::none, T(1), a, b, T(0.5), c.view());
  BOOST_TEST(close_absolute(c.view(), expected.view(), 0));

  std::vector<T> y{2, -4, 8};
  linalg::gemv(Op::none, T(1), a, std::span<const T>(), T(0.5), std::span<T>(y));
  BOOST_TEST(y == (std::vector<T>{1, -2, 4}));
  y.assign(3, nan_of<T>);
  linalg::gemv(Op::transpose, T(1), b, std::span<const T>(), T(0), std::span<T>(y).first(2));
  BOOST_TEST(y[0] == 0);
  BOOST_TEST(y[1] == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(empty_results_are_legal, T, Precisions) {
  Matrix<T> nothing(0, 0), wide(0, 4), tall(4, 0);
  linalg::gemm(Op::none, Op::none, T(1), wide, Matrix<T>(4, 0), T(0), nothing.view());
  linalg::gemv(Op::none, T(1), wide, as_span(std::vector<T>(4)), T(0), std::span<T>());
  linalg::ger(T(1), as_span(std::vector<T>(4)), std::span<const T>(), tall.view());
  linalg::solve_lower(Op::none, Matrix<T>(4, 4), tall.view());
  linalg::multiply_lower(nothing, nothing.view());
  BOOST_TEST(linalg::dot(std::span<const T>(), std::span<const T>()) == 0);
  BOOST_TEST(linalg::norm2(std::span<const T>()) == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gemv_agrees_with_plain_loops, T, Precisions) {
  const Index sizes[][2] = {{1, 1}, {1, 9}, {7, 1}, {8, 8}, {33, 17}};
  const T factors[][2] = {{1, 0}, {T(-1.5), T(0.75)}, {0, 0}, {0, 2}};
  for (const Op op : both_ops) {
    for (const auto& [m, n] : sizes) {
      for (const auto& [alpha, beta] : factors) {
        const Index in = op == Op::none ? n : m, out = op == Op::none ? m : n;
        const auto a = random_matrix<T>(m, n, 5), x = random_matrix<T>(in, 1, 6), before = random_matrix<T>(out, 1, 7);
        Matrix<T> y(before), expected(before), bound = magnitudes<T>(before);
        if (beta == 0) y.fill(nan_of<T>);
        linalg::gemv(op, alpha, Padded<T>(a.view()).view(), x.span(), beta, y.span());
        linalg::reference::gemm<T>(op, Op::none, alpha, a, x, beta, expected);
        linalg::reference::gemm<T>(op, Op::none, std::abs(alpha), magnitudes<T>(a), magnitudes<T>(x), std::abs(beta),
                                   bound);
        for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(in + 3));
        BOOST_TEST(elementwise_within<T>(y, expected, bound));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(ger_adds_an_outer_product, T, Precisions) {
  const auto x = random_vector<T>(7, 8), y = random_vector<T>(5, 9);
  const auto before = random_matrix<T>(7, 5, 10);
  Padded<T> a(before.view());
  linalg::ger(T(-0.5), as_span(x), as_span(y), a.view());
  const auto at = [](const std::vector<T>& v, Index i) { return static_cast<double>(v[i]); };
  for (Index j = 0; j < 5; ++j) {
    for (Index i = 0; i < 7; ++i) {
      const auto old = static_cast<double>(before(i, j));
      const double term = -0.5 * at(x, i) * at(y, j);
      BOOST_TEST(close_absolute(static_cast<double>(a.view()(i, j)), old + term,
                                gamma<T>(3) * (std::abs(old) + std::abs(term))));
    }
  }
  BOOST_TEST(a.padding_untouched());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(dot_and_norm_agree_with_sums, T, Precisions) {
  for (const Index n : {1, 7, 64, 1001}) {
    const auto x = random_matrix<T>(n, 1, 11), y = random_matrix<T>(n, 1, 12);
    const double exact =
        product<double>(Matrix<double>(matrix_of<double>(n, 1, [&](Index i, Index) { return x(i, 0); })),
                        matrix_of<double>(n, 1, [&](Index i, Index) { return y(i, 0); }), Op::transpose)(0, 0);
    const double size = static_cast<double>(product<T>(magnitudes<T>(x), magnitudes<T>(y), Op::transpose)(0, 0));
    BOOST_TEST(close_absolute(static_cast<double>(linalg::dot(x.span(), y.span())), exact, gamma<T>(n + 1) * size));
    BOOST_TEST(close_relative(static_cast<double>(linalg::norm2(x.span())), frobenius<T>(x), gamma<T>(n + 2)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(norm_neither_overflows_nor_underflows, T, Precisions) {
  for (const T extreme : {std::numeric_limits<T>::max() / 4, std::numeric_limits<T>::min() * 4}) {
    const std::vector<T> x{3 * (extreme / 4), 0, -extreme};
    BOOST_TEST(close_relative(static_cast<double>(linalg::norm2(as_span(x)) / extreme), 1.25, gamma<T>(8)));
  }
}

// (l + Δl) x̂ = b with |Δl| ≤ γ_d |l| [Higham 2002, Theorem 8.5], so |b − l x̂| ≤ γ_d |l| |x̂|.
BOOST_AUTO_TEST_CASE_TEMPLATE(solve_lower_is_backward_stable, T, Precisions) {
  for (const Op op : both_ops) {
    for (const Index d : {1, 2, 5, 33}) {
      const auto l = matrix_of<T>(d, d, [d, a = random_matrix<T>(d, d, 13)](Index i, Index j) {
        return i < j ? T(0) : i == j ? T(2) + std::abs(a(i, j)) : a(i, j) / static_cast<T>(d);
      });
      Padded<T> poisoned(l.view());
      for (Index j = 1; j < d; ++j) std::fill_n(poisoned.view().column(j), j, nan_of<T>);
      const auto b = random_matrix<T>(d, 3, 14);
      Padded<T> x(b.view());
      linalg::solve_lower(op, poisoned.view(), x.view());
      const auto image = product<T>(l, Matrix<T>(x.view()), op);
      auto bound = product<T>(magnitudes<T>(l), magnitudes<T>(x.view()), op);
      for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(d + 2));
      BOOST_TEST(elementwise_within<T>(image, b, bound));
      BOOST_TEST(x.padding_untouched());
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(multiply_lower_does_not_read_the_upper_part, T, Precisions) {
  for (const Index d : {1, 2, 5, 33}) {
    const auto l =
        matrix_of<T>(d, d, [a = random_matrix<T>(d, d, 15)](Index i, Index j) { return i < j ? T(0) : a(i, j); });
    Padded<T> poisoned(l.view());
    for (Index j = 1; j < d; ++j) std::fill_n(poisoned.view().column(j), j, nan_of<T>);
    const auto b = random_matrix<T>(d, 3, 16);
    Padded<T> image(b.view());
    linalg::multiply_lower(poisoned.view(), image.view());
    auto bound = product<T>(magnitudes<T>(l), magnitudes<T>(b));
    for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(d + 1));
    BOOST_TEST(elementwise_within<T>(image, product<T>(l, b), bound));
    BOOST_TEST(image.padding_untouched());
  }
}

// All eight kinds of triangular matrix, their other half (and, where it is taken to be 1, the diagonal) poisoned.
BOOST_AUTO_TEST_CASE_TEMPLATE(triangular_products_and_solutions_read_one_half, T, Precisions) {
  using linalg::Diagonal, linalg::Triangle;
  for (const auto triangle : {Triangle::lower, Triangle::upper}) {
    for (const auto diagonal : {Diagonal::stored, Diagonal::unit}) {
      for (const Op op : both_ops) {
        for (const Index d : {1, 2, 5, 33}) {
          const auto in_half = [&](Index i, Index j) { return triangle == Triangle::lower ? i > j : i < j; };
          const auto read = [&](Index i, Index j) { return in_half(i, j) || (i == j && diagonal == Diagonal::stored); };
          const auto a = matrix_of<T>(d, d, [&, r = random_matrix<T>(d, d, 17)](Index i, Index j) {
            if (i == j) return diagonal == Diagonal::unit ? T(1) : T(2) + std::abs(r(i, j));
            return in_half(i, j) ? r(i, j) / static_cast<T>(d) : T(0);
          });
          Padded<T> poisoned(a.view());
          for (Index j = 0; j < d; ++j) {
            for (Index i = 0; i < d; ++i) {
              if (!read(i, j)) poisoned.view()(i, j) = nan_of<T>;
            }
          }
          const auto b = random_matrix<T>(d, 3, 18);
          Padded<T> image(b.view()), x(b.view());
          linalg::multiply_triangular(triangle, op, diagonal, poisoned.view(), image.view());
          linalg::solve_triangular(triangle, op, diagonal, poisoned.view(), x.view());
          auto bound = product<T>(magnitudes<T>(a), magnitudes<T>(b), op);
          for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(d + 1));
          BOOST_TEST(elementwise_within<T>(image, product<T>(a, b, op), bound));
          // As for solve_lower.
          bound = product<T>(magnitudes<T>(a), magnitudes<T>(x.view()), op);
          for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(d + 2));
          BOOST_TEST(elementwise_within<T>(product<T>(a, Matrix<T>(x.view()), op), b, bound));
          BOOST_TEST(image.padding_untouched());
          BOOST_TEST(x.padding_untouched());
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(operands_that_do_not_fit_are_named_with_their_sizes, T, Precisions) {
  const Matrix<T> a(2, 3), b(4, 5);
  Matrix<T> c(2, 5);
  const std::vector<T> two(2), three(3), four(4);
  std::vector<T> out(3);
  BOOST_CHECK_EXCEPTION(linalg::gemm(Op::none, Op::none, T(1), a, b, T(0), c.view()), ShapeError,
                        says({"gemm: op(a) (2 × 3) times op(b) (4 × 5) does not fit c (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(linalg::gemm(Op::transpose, Op::none, T(1), b, b, T(0), c.view()), ShapeError,
                        says({"gemm: op(a) (5 × 4) times op(b) (4 × 5) does not fit c (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(linalg::gemv(Op::none, T(1), a, as_span(two), T(0), std::span<T>(out)), ShapeError,
                        says({"gemv: op(a) (2 × 3) does not fit x (2) and y (3)"}));
  BOOST_CHECK_EXCEPTION(linalg::ger(T(1), as_span(two), as_span(three), c.view()), ShapeError,
                        says({"ger: x (2) and y (3) do not fit a (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(linalg::dot(as_span(two), as_span(three)), ShapeError,
                        says({"dot: x (2) and y (3) differ in size"}));
  BOOST_CHECK_EXCEPTION(linalg::solve_lower(Op::none, a, c.view()), ShapeError,
                        says({"solve_lower: l (2 × 3) does not fit b (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(linalg::multiply_lower(Matrix<T>(3, 3), c.view()), ShapeError,
                        says({"multiply_lower: l (3 × 3) does not fit b (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(
      linalg::multiply_triangular(linalg::Triangle::upper, Op::none, linalg::Diagonal::unit, Matrix<T>(3, 3), c.view()),
      ShapeError, says({"multiply_triangular: a (3 × 3) does not fit b (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(
      linalg::solve_triangular(linalg::Triangle::upper, Op::none, linalg::Diagonal::unit, a, c.view()), ShapeError,
      says({"solve_triangular: a (2 × 3) does not fit b (2 × 5)"}));
}

BOOST_AUTO_TEST_CASE(sizes_beyond_the_fortran_integer_are_refused) {
  const Index huge = Index{1} << 31;
  const ConstMatrixView<double> a(nullptr, 1, huge), b(nullptr, huge, 1, huge);
  Matrix<double> c(1, 1);
  BOOST_CHECK_EXCEPTION(linalg::gemm(Op::none, Op::none, 1.0, a, b, 0.0, c.view()), ShapeError,
                        says({"size 2147483648 is beyond the range of the Fortran integer"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
