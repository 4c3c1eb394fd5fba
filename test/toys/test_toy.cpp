#include <pushforward/core/error.hpp>
#include <pushforward/toys/toy.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

using data::Point;
using data::ToyDensity;

// Mean of −log p over draws, with its standard error.
struct Estimate {
  double mean = 0;
  double error = 0;
};

Estimate cross_entropy(const ToyDensity& drawn, const ToyDensity& density, Index n) {
  double sum = 0, squares = 0;
  for (Index row = 0; row < n; ++row) {
    const double nats = -density.log_density(drawn.draw(1, row));
    sum += nats;
    squares += nats * nats;
  }
  const double mean = sum / static_cast<double>(n);
  return {mean, std::sqrt(std::max(squares / static_cast<double>(n) - mean * mean, 0.0) / static_cast<double>(n))};
}

// Four standard errors, and rounding for a density that is constant.
bool agrees(const Estimate& estimate, double entropy) {
  return std::abs(estimate.mean - entropy) <= 4 * estimate.error + 1e-8;
}

constexpr Index draws = 6'000;

// ∫ p over a square around the origin that holds all of it, by the midpoint rule with n × n points.
double total_probability(const ToyDensity& density, Index n) {
  constexpr double half_width = 6;
  const double h = 2 * half_width / static_cast<double>(n);
  const auto at = [&](Index i) { return (static_cast<double>(i) + 0.5) * h - half_width; };
  double sum = 0;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) sum += std::exp(density.log_density({at(i), at(j)}));
  }
  return sum * h * h;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(toy)

BOOST_AUTO_TEST_CASE(entropy_is_the_mean_of_minus_log_p) {
  for (const auto& name : ToyDensity::names()) {
    const ToyDensity density(name);
    const auto estimate = cross_entropy(density, density, draws);
    BOOST_TEST(agrees(estimate, density.entropy()),
               name << ": " << estimate.mean << " ± " << estimate.error << ", entropy " << density.entropy());
    BOOST_TEST(!agrees(estimate, density.entropy() + 0.1), name);
  }
}

BOOST_AUTO_TEST_CASE(a_density_that_draws_differ_from_is_noticed) {
  const ToyDensity circles("circles"), rings("rings");
  BOOST_TEST(!agrees(cross_entropy(circles, rings, 1000), rings.entropy()));
}

BOOST_AUTO_TEST_CASE(probability_adds_up_to_one) {
  for (const auto& [name, n] :
       {std::pair("checkerboard", 120), {"moons", 100}, {"8gaussians", 80}, {"circles", 100}, {"pinwheel", 120}}) {
    BOOST_TEST(close_absolute(total_probability(ToyDensity(name), n), 1, 1e-3), name);
  }
}

BOOST_AUTO_TEST_CASE(entropies_are_those_published) {
  // Quadrature of the analytic densities, as the literature's results are compared with; four decimals.
  const std::vector<std::pair<std::string, double>> published{{"checkerboard", std::log(32.0)},
                                                              {"circles", 3.2681},
                                                              {"8gaussians", 2.8319},
                                                              {"swissroll", 2.6696},
                                                              {"2spirals", 2.6454},
                                                              {"rings", 2.6232},
                                                              {"moons", 2.3939},
                                                              {"pinwheel", 2.3176}};
  BOOST_TEST(published.size() == ToyDensity::names().size());
  for (const auto& [name, entropy] : published) {
    BOOST_TEST(close_absolute(ToyDensity(name).entropy(), entropy, 2.5e-4), name);
  }
}

BOOST_AUTO_TEST_CASE(a_row_depends_on_seed_and_number_only) {
  for (const auto& name : ToyDensity::names()) {
    const ToyDensity density(name);
    Matrix<double> all(2, 7), part(2, 3), other(2, 7);
    density.draw(5, 0, all.view());
    density.draw(5, 4, part.view());
    density.draw(6, 0, other.view());
    BOOST_TEST(close_absolute(part.view(), all.view().columns(4, 3), 0), name);
    BOOST_TEST(!close_absolute(other.view(), all.view(), 0), name);
    Matrix<float> single(2, 7);
    density.draw(5, 0, single.view());
    BOOST_TEST(single(1, 6) == static_cast<float>(all(1, 6)), name);
  }
}

BOOST_AUTO_TEST_CASE(draws_lie_where_the_density_is) {
  for (const auto& name : ToyDensity::names()) {
    const ToyDensity density(name);
    for (Index row = 0; row < 200; ++row) BOOST_TEST(std::isfinite(density.log_density(density.draw(2, row))), name);
  }
  constexpr double none = -std::numeric_limits<double>::infinity();
  const ToyDensity board("checkerboard");
  BOOST_TEST(board.log_density({1, 1}) == -std::log(32.0));
  BOOST_TEST(board.log_density({-1, 1}) == none);
  BOOST_TEST(board.log_density({5, 1}) == none);
}

BOOST_AUTO_TEST_CASE(misuse_is_refused) {
  BOOST_CHECK_EXCEPTION(ToyDensity("moon"), OptionError, says({"'moon'", "did you mean 'moons'?", "checkerboard"}));
  Matrix<double> x(3, 1);
  BOOST_CHECK_EXCEPTION(ToyDensity("moons").draw(0, 0, x.view()), ShapeError, says({"moons", "2 numbers, not 3"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
