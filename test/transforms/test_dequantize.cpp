// Dequantize is no bijection, so that the kit of invariants is not for it: these are its own.

#include <pushforward/transforms/dequantize.hpp>

#include "passes.hpp"

namespace pushforward::test {

namespace {

using flow::Dequantize;
using flow::Status;

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
Passes<T> dequantize(Index levels, Index d) {
  return Passes<T>([&](nn::ParameterLayout& layout) {
    return std::make_unique<Dequantize<T>>(layout, "q", Shape::vector(d), flow::DequantizeOptions{levels});
  });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dequantize_integers)

BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_gives_the_integers_back, T, Precisions) {
  // The last is the most that has room in float.
  for (const Index levels : {Index{2}, Index{10}, Index{49}, Index{256}, Index{1} << 22}) {
    auto q = dequantize<T>(levels, 2);
    const auto x = matrix_of<T>(2, 2000, [&](Index i, Index j) {
      return i == 0 ? static_cast<double>(j % levels) : static_cast<double>(levels - 1 - j % levels);
    });
    const auto there = q.forward(x, {.seed = 3, .step = 5});
    const auto back = q.inverse(there.value);
    BOOST_TEST(close_absolute(back.value.view(), x.view(), 0));
    const double expected = -2 * std::log(static_cast<double>(levels));
    for (std::size_t j = 0; j < 2000; ++j) {
      BOOST_TEST(there.log_det[j] == expected);
      BOOST_TEST(back.log_det[j] == -expected);
    }
    for (const T z : there.value.span()) BOOST_TEST((z > 0 && z < 1));
  }
}

// u = levels·z − x: mean ½ ± 5·√(1/12n), and each tenth of (0, 1) within 5 deviations of n/10.
BOOST_AUTO_TEST_CASE(draws_are_uniform_within_a_cell) {
  constexpr Index n = 20000;
  auto q = dequantize<double>(4, 1);
  const auto x = matrix_of<double>(1, n, [](Index, Index j) { return static_cast<double>(j % 4); });
  const auto image = q.forward(x, {.seed = 1});
  double mean = 0;
  std::vector<double> counts(10);
  for (Index j = 0; j < n; ++j) {
    const double u = 4 * image.value(0, j) - x(0, j);
    mean += u / n;
    ++counts[static_cast<Index>(10 * u)];
  }
  BOOST_TEST(close_absolute(mean, 0.5, 5 * std::sqrt(1.0 / (12 * n))));
  for (const double count : counts) BOOST_TEST(close_absolute(count, n / 10.0, 5 * std::sqrt(0.09 * n)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(draws_belong_to_samples_not_to_batches, T, Precisions) {
  auto q = dequantize<T>(8, 3);
  const auto x = matrix_of<T>(3, 10, [](Index i, Index j) { return static_cast<double>((i + j) % 8); });
  const logdet::Draws draws{.seed = 1, .step = 2, .block = 4};
  const auto all = q.forward(x, draws);
  for (const Index first : {0, 1, 7}) {
    const auto part = q.forward(Matrix<T>(x.view().columns(first, 10 - first)), draws.from(first));
    BOOST_TEST(close_absolute(part.value.view(), ConstMatrixView<T>(all.value.view().columns(first, 10 - first)), 0));
  }
  // And change with all that names them.
  for (const auto& other :
       {logdet::Draws{.seed = 2, .step = 2, .block = 4}, logdet::Draws{.seed = 1, .step = 3, .block = 4},
        logdet::Draws{.seed = 1, .step = 2, .block = 5}, draws.from(1)}) {
    BOOST_TEST(!close_absolute(q.forward(x, other).value.view(), all.value.view(), 1e-6));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_no_integer_of_the_range_is_outside, T, Precisions) {
  auto q = dequantize<T>(4, 1);
  const auto image = q.forward(matrix_from<T>(1, {0, 3, 4, -1, 1.5, nan_of<double>}));
  for (std::size_t j = 0; j < 6; ++j) {
    BOOST_TEST((image.status[j] == (j < 2 ? Status::ok : Status::outside_support)));
    if (j >= 2) BOOST_TEST(image.log_det[j] == -infinity);
  }
  BOOST_TEST((dynamic_cast<const flow::Supported&>(*q.transform).support(0) == std::pair<double, double>{-1, 4}));
  const auto back = q.inverse(matrix_from<T>(1, {-0.5, 0, 1, 7}));
  BOOST_TEST(close_absolute(back.value.view(), matrix_from<T>(1, {0, 0, 3, 3}).view(), 0));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_cotangent_is_divided_by_the_levels, T, Precisions) {
  auto q = dequantize<T>(8, 2);
  const auto z_bar = matrix_from<T>(2, {8, -4, 1, 0});
  Matrix<T> x_bar(2, 2);
  linalg::Workspace nothing;
  const auto state = q.transform->plan(nothing, nothing, 2, nn::Pass::gradient);
  q.transform->reverse(*state, z_bar, z_bar, {}, x_bar, {});
  BOOST_TEST(close_absolute(x_bar.view(), matrix_from<T>(2, {1, -0.5, 0.125, 0}).view(), 0));
  Matrix<T> lambda(2, 2);
  q.transform->solve_transposed(*state, z_bar, x_bar, lambda);
  BOOST_TEST(close_absolute(lambda.view(), z_bar.view(), 0));
}

BOOST_AUTO_TEST_CASE(levels_that_do_not_fit_are_refused) {
  BOOST_CHECK_EXCEPTION(dequantize<double>(1, 1), OptionError, says({"dequantize q: levels = 1 must be from 2 to "}));
  BOOST_CHECK_EXCEPTION(dequantize<float>((1 << 22) + 1, 1), OptionError, says({"must be from 2 to 4194304"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
