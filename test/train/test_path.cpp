#include <pushforward/train/path.hpp>

#include "../linalg/fixtures.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using train::Path;
using train::PathPoint;

constexpr double sigma = 0.3, pi = std::numbers::pi;

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
  train::set_point<double>(of, of.at(u, sigma), x0, x1, noise, {.periodic = periodic}, {s.x, s.velocity, s.singular});
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

// On a sphere the path is the great circle: it has length 1, the angle to x₀ grows as tθ, and the velocity is its
// derivative. A column that is of no sphere goes straight.
BOOST_AUTO_TEST_CASE(unit_vectors_follow_great_circles) {
  const std::vector<Sphere> spheres{{0, 2, 3}};
  const std::vector<double> x0{0.6, -1, 0, 0.8}, x1{0, 5, 1, 0};
  const auto& linear = Path::registry().at("linear");
  struct Point {
    std::vector<double> x = std::vector<double>(4), velocity = x, singular = x;
  };
  const auto at = [&](double t, const std::vector<double>& to) {
    Point p;
    train::set_point<double>(linear, linear.at(t, 0), x0, to, {}, {.spheres = spheres}, {p.x, p.velocity, p.singular});
    return p;
  };
  const auto angle = [&](const std::vector<double>& a, const std::vector<double>& b) {
    return train::angle_between<double>(spheres[0], a, b);
  };
  const double theta = angle(x0, x1);
  BOOST_TEST(close_absolute(theta, pi / 2, 1e-15));
  for (const double t : {0.0, 0.1, 0.5, 0.9, 1.0}) {
    const auto p = at(t, x1), above = at(t + 1e-5, x1), below = at(t - 1e-5, x1);
    BOOST_TEST(close_absolute(radius_of<double>(spheres[0], p.x), 1, 1e-15));
    BOOST_TEST(close_absolute(angle(x0, p.x), t * theta, 1e-15));
    BOOST_TEST(close_absolute(p.x[1], -1 + 6 * t, 1e-15));
    for (std::size_t i = 0; i < 4; ++i) {
      BOOST_TEST(close_absolute(p.velocity[i], (above.x[i] - below.x[i]) / 2e-5, 1e-9));
    }
    // The twin follows the chord.
    BOOST_TEST(bool(close_absolute(p.x[2], t, 1e-3)) == (t == 0 || t == 1));
  }
  for (const auto& [x, which] : {std::pair{at(0, x1).x, x0}, {at(1, x1).x, x1}}) {
    BOOST_TEST(close_absolute(x, which, 1e-15));
  }
  const auto still = at(0.3, x0);
  BOOST_TEST(close_absolute(still.x, x0, 1e-15));
  BOOST_TEST(close_absolute(still.velocity, std::vector<double>(4), 1e-15));
}

// The inverse cosine would have lost such angles.
BOOST_AUTO_TEST_CASE(small_angles_and_antipodes_are_seen) {
  const std::vector<Sphere> spheres{{0, 1, 2}};
  const std::vector<double> pole{0, 0, 1};
  for (const double theta : {0.0, 1e-12, 1e-9, 1e-3, 2.0, pi - 1e-3, pi - 1e-6}) {
    const std::vector<double> x{std::sin(theta), 0, std::cos(theta)};
    const std::vector<float> narrow(x.begin(), x.end());
    BOOST_TEST(close_absolute(train::angle_between<double>(spheres[0], pole, x), theta, 1e-15));
    BOOST_TEST(close_absolute(train::angle_between<float>(spheres[0], pole, narrow), theta, 1e-6));
    BOOST_TEST(!train::are_antipodes<double>(spheres, pole, x));
  }
  BOOST_TEST(train::are_antipodes<double>(spheres, pole, std::vector<double>{0, 0, -1}));
  BOOST_TEST(train::are_antipodes<double>(spheres, pole, std::vector<double>{1e-9, 0, -1}));
  BOOST_TEST(!train::are_antipodes<double>({}, pole, std::vector<double>{0, 0, -1}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
