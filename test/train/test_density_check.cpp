#include <pushforward/train/density_check.hpp>

#include "../linalg/fixtures.hpp"

#include <says.hpp>

#include <cmath>

namespace pushforward::test {

namespace {

using train::check_density;

const std::vector<std::string> names{"a", "b", "c"};

// Three independent normal columns, of which `change` may change the values of row j.
template <class T, class F>
Matrix<T> rows_with(Index n, F&& change) {
  Matrix<T> x = random_matrix<T>(3, n, 5);
  for (Index j = 0; j < n; ++j) change(x.view().column(j), j);
  return x;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(density_check)

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_with_a_density_are_left_alone, T, Precisions) {
  for (const Index n : {1, 2, 50, 3000}) {
    const auto x = rows_with<T>(n, [](T*, Index) {});
    const auto found = check_density<T>({.x = x}, names, {});
    BOOST_TEST(found.doubts.empty());
    BOOST_TEST(found.refusals.empty());
  }
  // Few values of few rows, and rounded values that are many.
  const auto rounded = rows_with<T>(3000, [](T* x, Index) { x[1] = std::round(100 * x[1]) / 100; });
  const auto found = check_density<T>({.x = rounded}, names, {});
  BOOST_TEST((found.doubts.empty() && found.refusals.empty()));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(combinations_of_columns_are_refused, T, Precisions) {
  const auto plane = rows_with<T>(3000, [](T* x, Index) { x[2] = 2 * x[0] - x[1] + 1; });
  const auto found = check_density<T>({.x = plane}, names, {});
  BOOST_REQUIRE(found.refusals.size() == 1);
  BOOST_TEST(found.refusals[0].find("column c: a linear combination") == 0);
  // An angle is no linear column, and with noise there is a density, if a thin one.
  BOOST_TEST(check_density<T>({.x = plane}, names, {2}).refusals.empty());
  const auto thin = rows_with<T>(3000, [](T* x, Index j) {
    x[2] = 2 * x[0] - x[1] + T(5e-4) * static_cast<T>(std::sin(static_cast<double>(j * j)));
  });
  const auto nearly = check_density<T>({.x = thin}, names, {});
  BOOST_TEST(nearly.refusals.empty());
  BOOST_REQUIRE(nearly.doubts.size() == 1);
  BOOST_TEST(nearly.doubts[0].find("column c: nearly a linear combination") == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(columns_that_contexts_determine_are_refused, T, Precisions) {
  constexpr Index n = 3000;
  // The first two contexts are opposites, as those of two classes, and the third is constant.
  auto context = random_matrix<T>(3, n, 6);
  for (Index j = 0; j < n; ++j) {
    context(1, j) = -context(0, j);
    context(2, j) = 1;
  }
  const auto check = [&](auto&& change, const std::vector<Index>& periodic = {}) {
    const auto x = rows_with<T>(n, change);
    return check_density<T>({.x = x, .context = context}, names, periodic);
  };
  const auto is_sound = [](const train::DensityFindings& found) {
    return found.refusals.empty() && found.doubts.empty();
  };
  const auto by_context = [&](T* x, Index j) { x[1] = T(3) * context(0, j) + T(0.5); };
  const auto by_both = [&](T* x, Index j) { x[1] = x[0] - T(2) * context(0, j); };
  for (const auto& found : {check(by_context), check(by_both)}) {
    BOOST_TEST(found.doubts.empty());
    BOOST_REQUIRE(found.refusals.size() == 1);
    BOOST_TEST(found.refusals[0].find("column b: the contexts, or contexts and other columns, determine it") == 0);
    BOOST_TEST(found.refusals[0].find("make it a context only") != std::string::npos);
  }
  BOOST_TEST(is_sound(check([](T*, Index) {})));
  BOOST_TEST(is_sound(check(by_context, {1})));
  // The twin: with noise there is a density, and a thin one is doubted.
  const auto noisy = [&](T size) {
    return check([&](T* x, Index j) {
      by_context(x, j);
      x[1] += size * static_cast<T>(std::sin(static_cast<double>(j * j)));
    });
  };
  BOOST_TEST(is_sound(noisy(T(0.1))));
  const auto thin = noisy(T(1e-3));
  BOOST_TEST(thin.refusals.empty());
  BOOST_REQUIRE(thin.doubts.size() == 1);
  BOOST_TEST(thin.doubts[0].find("column b: nearly a linear combination of contexts") == 0);
  // Columns that depend on each other are refused as such, with contexts and without.
  const auto plane = check([](T* x, Index) { x[2] = x[0] + x[1]; });
  BOOST_REQUIRE(plane.refusals.size() == 1);
  BOOST_TEST(plane.refusals[0].find("column c: a linear combination of other columns") == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(columns_that_are_not_continuous_are_refused_or_doubted, T, Precisions) {
  const auto binary = rows_with<T>(3000, [](T* x, Index) { x[1] = x[1] > 0 ? T(1) : T(0); });
  const auto found = check_density<T>({.x = binary}, names, {});
  BOOST_REQUIRE(found.refusals.size() == 1);
  BOOST_TEST(found.refusals[0].find("column b: at most 20 distinct values") == 0);
  const auto zeros = rows_with<T>(3000, [](T* x, Index j) { x[0] = j % 10 == 0 ? T(0) : x[0]; });
  const auto doubted = check_density<T>({.x = zeros}, names, {});
  BOOST_TEST(doubted.refusals.empty());
  BOOST_REQUIRE(doubted.doubts.size() == 1);
  BOOST_TEST(doubted.doubts[0].find("column a: one value") == 0);
  // The twin: one row in a hundred is no doubt.
  const auto few = rows_with<T>(3000, [](T* x, Index j) { x[0] = j % 100 == 0 ? T(0) : x[0]; });
  BOOST_TEST(check_density<T>({.x = few}, names, {}).doubts.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
