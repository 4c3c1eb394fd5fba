#include <pushforward/train/path.hpp>

#include "../linalg/fixtures.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using train::Path;
using train::PathPoint;

constexpr double sigma = 0.3;

// The difference of a value at u ± h, divided by 2h.
double slope(const Path& path, double u, double PathPoint::*value) {
  constexpr double h = 1e-5;
  return (path.at(u + h, sigma).*value - path.at(u - h, sigma).*value) / (2 * h);
}

// A point of one pair.
struct Sample {
  std::vector<double> x{0, 0}, velocity{0, 0}, singular{0, 0};
};
Sample sample(const char* path, double u, std::vector<Index> periodic = {}) {
  const std::vector<double> x0{-3, 1}, x1{3, 2}, noise{0.5, -2};
  Sample s;
  const auto& of = Path::registry().at(path);
  train::set_point<double>(of, of.at(u, sigma), x0, x1, noise, periodic, {s.x, s.velocity, s.singular});
  return s;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(paths)

// The weight is dt/du = 1/q, and each rate is the derivative with respect to t.
BOOST_AUTO_TEST_CASE(rates_and_weights_are_derivatives) {
  for (const auto& path : Path::registry().all()) {
    for (const double u : {0.05, 0.3, 0.5, 0.77, 0.96}) {
      const auto p = path.at(u, sigma);
      BOOST_TEST_CONTEXT(path.name << " at " << u) {
        BOOST_TEST(close_relative(slope(path, u, &PathPoint::t), p.weight, 1e-7));
        BOOST_TEST(close_relative(slope(path, u, &PathPoint::alpha), p.weight * p.alpha_rate, 1e-7));
        BOOST_TEST(close_relative(slope(path, u, &PathPoint::beta), p.weight * p.beta_rate, 1e-7));
        BOOST_TEST(close_absolute(slope(path, u, &PathPoint::gamma), p.weight * p.gamma_rate, 1e-7));
        // The twin.
        BOOST_TEST(!close_relative(slope(path, u, &PathPoint::beta), 1.01 * p.weight * p.beta_rate, 1e-3));
      }
    }
  }
}

// At the ends there are the latent and the row, and what is singular is bounded by the weight.
BOOST_AUTO_TEST_CASE(the_ends_of_paths) {
  constexpr double tiny = 0x1p-53;
  for (const auto& path : Path::registry().all()) {
    const double shift = path.name == "variance_preserving" ? std::exp(-10.05 / 2) : 0;
    BOOST_TEST_CONTEXT(path.name) {
      BOOST_TEST(close_absolute(path.at(tiny, sigma).alpha, std::sqrt(1 - shift * shift), 1e-12));
      BOOST_TEST(close_absolute(path.at(tiny, sigma).beta, shift, 1e-12));
      BOOST_TEST(close_absolute(path.at(1 - tiny, sigma).alpha, 0, 1e-12));
      BOOST_TEST(close_absolute(path.at(1 - tiny, sigma).beta, 1, 1e-12));
      for (const double u : {tiny, 1e-9, 0.5, 1 - 1e-9, 1 - tiny}) {
        const auto p = path.at(u, sigma);
        BOOST_TEST(std::abs(p.weight * p.alpha_rate) < 20);
        BOOST_TEST(std::abs(p.weight * p.beta_rate) < 20);
        BOOST_TEST(std::abs(p.weight * p.gamma_rate) < 20);
      }
    }
  }
  BOOST_TEST(std::abs(Path::registry().at("bridge").at(1e-9, sigma).gamma_rate) > 1e7);
}

BOOST_AUTO_TEST_CASE(two_paths_preserve_the_variance) {
  for (const char* name : {"trigonometric", "variance_preserving"}) {
    for (const double u : {0.1, 0.5, 0.9}) {
      const auto p = Path::registry().at(name).at(u, 0);
      BOOST_TEST(close_relative(p.alpha * p.alpha + p.beta * p.beta, 1, 1e-14));
    }
  }
  const auto p = Path::registry().at("linear").at(0.5, 0);
  BOOST_TEST(!close_relative(p.alpha * p.alpha + p.beta * p.beta, 1, 0.1));
}

BOOST_AUTO_TEST_CASE(the_points_of_a_pair) {
  const auto linear = sample("linear", 0.25);
  BOOST_TEST(close_relative(std::span<const double>(linear.x), std::vector<double>{-1.35, 0.65}, 1e-14));
  BOOST_TEST(close_relative(std::span<const double>(linear.velocity), std::vector<double>{6, 1}, 1e-14));
  BOOST_TEST(linear.singular[0] == 0);
  // t(1/4) = sin²(π/8), and √(t(1 − t)) = sin(π/4)/2.
  const auto bridge = sample("bridge", 0.25);
  const double t = std::pow(std::sin(std::numbers::pi / 8), 2), root = std::sqrt(0.5) / 2;
  BOOST_TEST(close_relative(bridge.x[0], -3 + 6 * t + sigma * root * 0.5, 1e-14));
  BOOST_TEST(close_relative(bridge.velocity[0], 6, 1e-14));
  BOOST_TEST(close_relative(bridge.singular[0], sigma * (1 - 2 * t) / (2 * root) * 0.5, 1e-13));
  const auto diffusion = sample("variance_preserving", 0.25);
  const auto p = Path::registry().at("variance_preserving").at(0.25, sigma);
  BOOST_TEST(close_relative(diffusion.singular[1], p.alpha_rate, 1e-14));
  BOOST_TEST(close_relative(diffusion.velocity[1], 2 * p.beta_rate, 1e-14));
}

// From −3 to 3 the way along the circle is 6 − 2π.
BOOST_AUTO_TEST_CASE(angles_take_the_short_way) {
  const double way = 6 - 2 * std::numbers::pi;
  for (const char* path : {"linear", "bridge"}) {
    const auto plain = sample(path, 0.25), circle = sample(path, 0.25, {0});
    BOOST_TEST(close_relative(circle.velocity[0], way, 1e-14));
    BOOST_TEST(close_relative(circle.x[0] - plain.x[0], Path::registry().at(path).at(0.25, 0).t * (way - 6), 1e-13));
    BOOST_TEST(circle.x[1] == plain.x[1]);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
