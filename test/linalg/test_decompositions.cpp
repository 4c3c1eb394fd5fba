#include <pushforward/linalg/lapack.hpp>

#include "fixtures.hpp"

#include <numeric>

namespace pushforward::test {

namespace {

// Q of a Householder reflection: orthogonal and symmetric.
template <class T>
Matrix<T> reflection(Index d, std::uint64_t seed) {
  const auto v = random_matrix<double>(d, 1, seed);
  const double square = std::pow(frobenius<double>(v), 2);
  return matrix_of<T>(d, d, [&](Index i, Index j) { return (i == j) - 2 * v(i, 0) * v(j, 0) / square; });
}

template <class T>
std::vector<double> as_doubles(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// |σ̂ᵢ − σᵢ| ≤ p(m, n) u ‖a‖₂ with p a modest polynomial [LAPACK Users' Guide, 3rd ed., §4.9].
template <class T>
Verdict singular_values_are(ConstMatrixView<T> a, const std::vector<double>& expected) {
  const auto actual = as_doubles(linalg::singular_values(a));
  return close_relative(std::span<const double>(actual), std::span<const double>(expected),
                        gamma<T>(10 * (a.rows() + a.cols())));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(decompositions)

// l lᵀ = a + Δa with |Δa| ≤ γ_d₊₁ |l||lᵀ| [Higham 2002, Theorem 10.3].
BOOST_AUTO_TEST_CASE_TEMPLATE(cholesky_reads_the_lower_triangle_and_clears_the_upper, T, Precisions) {
  for (const Index d : {Index{0}, Index{1}, Index{2}, Index{5}, Index{33}}) {
    const auto g = random_matrix<T>(d, d + 2, 18);
    const auto a = product<T>(g, transposed<T>(g));
    Padded<T> l(a.view());
    for (Index j = 1; j < d; ++j) std::fill_n(l.view().column(j), j, nan_of<T>);
    BOOST_TEST(linalg::cholesky(l.view()));
    BOOST_TEST(l.padding_untouched());
    const Matrix<T> factor(l.view());
    for (Index j = 0; j < d; ++j) {
      for (Index i = 0; i < j; ++i) BOOST_TEST(factor(i, j) == 0);
    }
    const auto size = magnitudes<T>(factor);
    auto bound = product<T>(size, transposed<T>(size));
    for (T& value : bound.span()) value *= static_cast<T>(gamma<T>(d + 3));
    BOOST_TEST(elementwise_within<T>(product<T>(factor, transposed<T>(factor)), a, bound));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cholesky_says_that_a_matrix_is_not_positive_definite, T, Precisions) {
  const auto indefinite = [](Index i, Index j) { return i == j ? 1 : 2; };
  const auto semidefinite = [](Index, Index) { return 1; };
  const auto not_a_number = [](Index, Index) { return nan_of<T>; };
  for (const Index d : {Index{2}, Index{5}}) {
    BOOST_TEST(!linalg::cholesky(matrix_of<T>(d, d, indefinite).view()));
    BOOST_TEST(!linalg::cholesky(matrix_of<T>(d, d, semidefinite).view()));
    BOOST_TEST(!linalg::cholesky(matrix_of<T>(d, d, not_a_number).view()));
  }
  Matrix<T> wide(2, 3);
  BOOST_CHECK_EXCEPTION((void)linalg::cholesky(wide.view()), ShapeError, says({"cholesky: a is (2 × 3), not square"}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(singular_values_of_known_matrices, T, Precisions) {
  const auto diagonal = matrix_of<T>(4, 4, [](Index i, Index j) { return i == j ? (i % 2 == 0 ? i + 1 : -i - 1) : 0; });
  BOOST_TEST(singular_values_are<T>(diagonal, {4, 3, 2, 1}));
  const Matrix<T> q = reflection<T>(4, 19);
  BOOST_TEST(singular_values_are<T>(q, {1, 1, 1, 1}));
  BOOST_TEST(singular_values_are<T>(product<T>(q, diagonal), {4, 3, 2, 1}));
  BOOST_TEST(singular_values_are<T>(Padded<T>(product<T>(diagonal, q).view()), {4, 3, 2, 1}));
  BOOST_TEST(singular_values_are<T>(diagonal.view().block(0, 0, 4, 2), {2, 1}));
  BOOST_TEST(singular_values_are<T>(diagonal.view().block(0, 0, 1, 4), {1}));
  BOOST_TEST(singular_values_are<T>(Matrix<T>(3, 2), {0, 0}));
  BOOST_TEST(linalg::singular_values(ConstMatrixView<T>(Matrix<T>(0, 3))).empty());
}

BOOST_AUTO_TEST_CASE_TEMPLATE(singular_values_do_not_change_their_operand, T, Precisions) {
  const auto a = random_matrix<T>(7, 5, 20);
  const Matrix<T> copy(a);
  const auto values = linalg::singular_values(a.view());
  BOOST_TEST(close_absolute(a.view(), copy.view(), 0));
  BOOST_TEST(std::is_sorted(values.rbegin(), values.rend()));
  const auto largest = static_cast<double>(values.front());
  BOOST_TEST(close_relative(linalg::reference::spectral_norm<T>(a), largest, gamma<T>(200)));
  const auto doubles = as_doubles(values);
  BOOST_TEST(close_relative(std::sqrt(std::inner_product(doubles.begin(), doubles.end(), doubles.begin(), 0.0)),
                            frobenius<T>(a), gamma<T>(200)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(singular_values_of_what_is_not_finite_are_an_error, T, Precisions) {
  for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity()}) {
    for (const Index d : {Index{1}, Index{3}, Index{40}}) {
      auto a = random_matrix<T>(d, d + 1, 21);
      a(d / 2, d / 2) = bad;
      BOOST_CHECK_EXCEPTION(linalg::singular_values(a.view()), NumericalError, says({"does it hold NaN"}));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(spectral_radii_of_known_matrices, T, Precisions) {
  const auto radius = [](const Matrix<T>& a) { return static_cast<double>(linalg::spectral_radius(a.view())); };
  const auto diagonal = matrix_of<T>(4, 4, [](Index i, Index j) { return i == j ? (i == 2 ? -3 : 0.5) : 0; });
  BOOST_TEST(close_relative(radius(diagonal), 3, gamma<T>(100)));
  // cos ± i sin, thrice: a real matrix whose eigenvalues come in pairs.
  const auto rotation = matrix_of<T>(2, 2, [](Index i, Index j) {
    return 3 * (i == j ? std::cos(1.0) : i > j ? std::sin(1.0) : -std::sin(1.0));
  });
  BOOST_TEST(close_relative(radius(rotation), 3, gamma<T>(100)));
  // A cycle times 2: the roots of unity, none of them on the diagonal.
  BOOST_TEST(close_relative(radius(matrix_of<T>(5, 5, [](Index i, Index j) { return i == (j + 1) % 5 ? 2 : 0; })), 2,
                            gamma<T>(100)));
  // Triangular: a norm of 4 says nothing of the radius.
  BOOST_TEST(close_relative(radius(matrix_of<T>(2, 2, [](Index i, Index j) { return i == j  ? 0.5
                                                                                    : i < j ? 4
                                                                                            : 0; })),
                            0.5, gamma<T>(100)));
  // A Jordan block of order k moves by the k-th root of a rounding error.
  const auto jordan = matrix_of<T>(3, 3, [](Index i, Index j) { return i == j ? -0.5 : j == i + 1 ? 1 : 0; });
  BOOST_TEST(close_absolute(radius(jordan), 0.5, 10 * std::cbrt(std::numeric_limits<T>::epsilon())));
  const auto q = reflection<T>(3, 22);
  BOOST_TEST(close_absolute(radius(product<T>(product<T>(q, jordan), q)), 0.5,
                            10 * std::cbrt(std::numeric_limits<T>::epsilon())));
  BOOST_TEST(radius(matrix_of<T>(1, 1, [](Index, Index) { return -0.25; })) == 0.25);
  BOOST_TEST(radius(Matrix<T>(3, 3)) == 0);
  BOOST_TEST(radius(Matrix<T>(0, 0)) == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_spectral_radius_is_at_most_the_norm_and_leaves_its_operand, T, Precisions) {
  for (const Index d : {Index{2}, Index{7}, Index{33}}) {
    const auto a = random_matrix<T>(d, d, 23);
    const Padded<T> padded(a.view());
    const auto radius = static_cast<double>(linalg::spectral_radius(padded.view()));
    BOOST_TEST(close_absolute(Matrix<T>(padded.view()).view(), a.view(), 0));
    BOOST_TEST(padded.padding_untouched());
    BOOST_TEST(radius == static_cast<double>(linalg::spectral_radius(a.view())));
    BOOST_TEST(radius > 0);
    BOOST_TEST(radius < static_cast<double>(linalg::singular_values(a.view()).front()));
    // Similar and transposed matrices have the same.
    const auto q = reflection<T>(d, 24);
    const auto similar = product<T>(product<T>(q, a), q);
    BOOST_TEST(close_relative(static_cast<double>(linalg::spectral_radius(similar.view())), radius, gamma<T>(2000)));
    BOOST_TEST(
        close_relative(static_cast<double>(linalg::spectral_radius(transposed<T>(a).view())), radius, gamma<T>(2000)));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(spectral_radii_of_what_has_none_are_an_error, T, Precisions) {
  for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity()}) {
    for (const Index d : {Index{1}, Index{3}, Index{40}}) {
      auto a = random_matrix<T>(d, d, 25);
      a(d - 1, d / 2) = bad;
      BOOST_CHECK_EXCEPTION((void)linalg::spectral_radius(a.view()), NumericalError,
                            says({fmt::format("a ({} × {}) matrix were not found", d, d), "does it hold NaN"}));
    }
  }
  for (const auto& [rows, cols] : {std::pair<Index, Index>{2, 3}, {3, 2}, {0, 1}}) {
    BOOST_CHECK_EXCEPTION((void)linalg::spectral_radius(Matrix<T>(rows, cols).view()), ShapeError,
                          says({fmt::format("spectral_radius: a is ({} × {}), not square", rows, cols)}));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reference_kernels_know_the_closed_forms, T, Precisions) {
  for (const Index d : {Index{1}, Index{2}, Index{5}, Index{16}}) {
    for (const auto& known : known_matrices(d)) {
      const auto a = matrix_of<T>(d, d, known.element);
      const auto reference = linalg::reference::log_det<T>(a);
      BOOST_TEST(int{reference.sign} == int{known.sign});
      BOOST_TEST(close_absolute(reference.log_abs, known.log_abs, 1e-12));
      if (known.sign == 0) {
        BOOST_CHECK_EXCEPTION(linalg::reference::inverse<T>(a), NumericalError, says({"is singular"}));
        continue;
      }
      const auto identity = matrix_of<T>(d, d, [](Index i, Index j) { return i == j; });
      const auto inverse = linalg::reference::inverse<T>(a);
      BOOST_TEST(close_absolute(product<T>(a, inverse).view(), identity.view(),
                                gamma<T>(d + 2) * frobenius<T>(a) * frobenius<T>(inverse)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
