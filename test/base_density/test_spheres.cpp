#include <pushforward/base_density/base_density.hpp>

#include "../linalg/fixtures.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

constexpr double pi = std::numbers::pi;

// Values 0, 2, 4 on a sphere, value 1 an angle and value 3 standard normal.
template <class T>
std::unique_ptr<flow::BaseDensity<T>> mixed(const flow::BaseOptions& options = {}) {
  nn::ParameterLayout layout;
  return flow::make_base<T>(options, {layout, 5, {1}, 1, {{0, 2, 4}}});
}

}  // namespace

BOOST_AUTO_TEST_SUITE(spheres)

BOOST_AUTO_TEST_CASE_TEMPLATE(densities_are_per_area, T, Precisions) {
  const auto base = mixed<T>();
  Matrix<T> z(5, 3);
  for (Index j = 0; j < 3; ++j) {
    z(0, j) = j == 1 ? T(1.001) : T(1);
    z(3, j) = static_cast<T>(j);
  }
  std::vector<double> log_prob(3, 1.0);
  base->log_prob(z, log_prob);
  const double uniform = 1 - std::log(4 * pi) - std::log(2 * pi) - 0.5 * std::log(2 * pi);
  BOOST_TEST(close_absolute(log_prob[0], uniform, 1e-12));
  BOOST_TEST(log_prob[1] == -std::numeric_limits<double>::infinity());
  BOOST_TEST(close_absolute(log_prob[2], uniform - 2, 1e-12));
  auto bad = z;
  bad(2, 0) = nan_of<T>;
  base->log_prob(bad, log_prob);
  BOOST_TEST(std::isnan(log_prob[0]));
  Matrix<T> bar(5, 3);
  std::ranges::fill(bar.span(), T(7));
  base->reverse(z, {}, bar, {});
  for (Index j = 0; j < 3; ++j) {
    for (const Index i : {0, 1, 2, 4}) BOOST_TEST(bar(i, j) == T(0));
    BOOST_TEST(bar(3, j) == -T(j));
  }
}

// Draws have length 1, and each coordinate of the sphere in ℝ³ is uniform on (−1, 1), with the variance 1/3.
BOOST_AUTO_TEST_CASE(draws_are_uniform) {
  constexpr Index n = 20'000;
  const auto base = mixed<double>();
  double first = 0, square = 0, fourth = 0;
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(3, random::Purpose::base_sample, static_cast<std::uint64_t>(j), 0);
    std::vector<double> z(5);
    base->draw(stream, z);
    BOOST_REQUIRE(close_absolute(radius_of<double>({0, 2, 4}, z), 1, 1e-15));
    first += z[4] / n;
    square += z[4] * z[4] / n;
    fourth += std::pow(z[4], 4) / n;
  }
  const double of_mean = std::sqrt((1.0 / 3) / n), of_square = std::sqrt((1.0 / 5 - 1.0 / 9) / n);
  BOOST_TEST(close_absolute(first, 0, 5 * of_mean));
  BOOST_TEST(close_absolute(square, 1.0 / 3, 5 * of_square));
  BOOST_TEST(close_absolute(fourth, 1.0 / 5, 5 * std::sqrt((1.0 / 9 - 1.0 / 25) / n)));
  // The twin: normalized uniform numbers have a smaller fourth moment.
  BOOST_TEST(!close_absolute(fourth, 0.19, 5 * std::sqrt((1.0 / 9 - 1.0 / 25) / n)));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const auto make = [](const flow::BaseOptions& options, std::vector<Index> periodic, std::vector<Sphere> groups) {
    nn::ParameterLayout layout;
    return flow::make_base<double>(options, {layout, 3, std::move(periodic), 1, std::move(groups)});
  };
  BOOST_CHECK_EXCEPTION(make({}, {}, {{1, 3}}), OptionError, says({"column 3 of a sphere"}));
  BOOST_CHECK_EXCEPTION(make({}, {1}, {{0, 1}}), OptionError, says({"column 1 is of a sphere and an angle"}));
  BOOST_CHECK_EXCEPTION(make(flow::BaseOptions("normal"), {}, {{0, 1, 2}}), OptionError,
                        says({"'normal' has no rows", "periodic or of spheres"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
