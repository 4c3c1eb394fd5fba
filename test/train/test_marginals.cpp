#include <pushforward/ode/diffusion.hpp>
#include <pushforward/train/path.hpp>

#include "../linalg/fixtures.hpp"

#include <numbers>

// The marginals of paths, for which a normal density of the data has closed forms: N(m, c²) in each of two columns.

namespace pushforward::test {

namespace {

using ode::Diffusion;
using ode::MarginalPoint;
using train::Path;

constexpr double pi = std::numbers::pi, sigma = 0.6;

// s² and sṡ at a time.
struct Spread {
  double square, half_rate;
};

Spread spread(std::string_view path, double t) {
  if (path == "linear") return {(1 - t) * (1 - t) + sigma * sigma, t - 1};
  if (path == "bridge") {
    return {(1 - t) * (1 - t) + sigma * sigma * t * (1 - t), t - 1 + sigma * sigma * (1 - 2 * t) / 2};
  }
  if (path == "trigonometric") {
    const double c = std::cos(pi / 2 * t), s = std::sin(pi / 2 * t);
    return {c * c + sigma * sigma, -pi / 2 * s * c};
  }
  const double beta = std::exp(-(0.1 * (1 - t) + 9.95 * (1 - t) * (1 - t)) / 2);
  return {1 - beta * beta + sigma * sigma, -(0.05 + 9.95 * (1 - t)) * beta * beta};
}

// A normal density of a column.
struct Normal {
  double mean, deviation;
};
constexpr Normal data[] = {{1, 0.5}, {-2, 1.5}};

// The law of a column at a time, E[ẋ | x] = mean_rate + growth (x − mean).
struct Law {
  double mean, variance, mean_rate, growth;
  double velocity(double x) const { return mean_rate + growth * (x - mean); }
};
Law law(const Path& path, double t, const Normal& of) {
  const auto p = path.marginal(t, sigma);
  const auto [square, half_rate] = spread(path.name, t);
  const double own = of.deviation * of.deviation, variance = square + p.beta * p.beta * own;
  return {p.beta * of.mean, variance, p.beta_rate * of.mean, (half_rate + p.beta * p.beta_rate * own) / variance};
}

struct Moments {
  double mean[2] = {}, variance[2] = {}, covariance = 0;
};

// Moments of samples that begin at draws of the law at t = 0.
Moments sample(const Path& path, const Diffusion& diffusion, Index n) {
  Matrix<double> z(2, n), x(2, n);
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(5, random::Purpose::base_sample, 0, static_cast<std::uint64_t>(j));
    for (Index i = 0; i < 2; ++i) {
      const auto at = law(path, 0, data[i]);
      z(i, j) = at.mean + std::sqrt(at.variance) * stream.normal();
    }
  }
  const auto velocity = [&](ConstMatrixView<double> at, double t, MatrixView<double> v) {
    for (Index i = 0; i < 2; ++i) {
      const auto of = law(path, t, data[i]);
      for (Index j = 0; j < at.cols(); ++j) v(i, j) = of.velocity(at(i, j));
    }
  };
  linalg::Workspace counted;
  ode::DiffusionSteps<double>(2, counted, n);
  linalg::Workspace memory(counted.peak());
  ode::DiffusionSteps<double>(2, memory, n).solve(velocity, z, diffusion, {.seed = 6}, x);
  Moments moments;
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < 2; ++i) moments.mean[i] += x(i, j) / static_cast<double>(n);
  }
  for (Index j = 0; j < n; ++j) {
    const double a = x(0, j) - moments.mean[0], b = x(1, j) - moments.mean[1];
    moments.variance[0] += a * a / static_cast<double>(n);
    moments.variance[1] += b * b / static_cast<double>(n);
    moments.covariance += a * b / static_cast<double>(n);
  }
  return moments;
}

// Whether moments are those of a path at t = 1, to five standard errors.
bool is_law(const Path& path, const Moments& found, Index n) {
  constexpr double k = 5;
  const double root = std::sqrt(static_cast<double>(n));
  bool is = true;
  double product = 1;
  for (Index i = 0; i < 2; ++i) {
    const auto [mean, variance, mean_rate, growth] = law(path, 1, data[i]);
    is = is && std::abs(found.mean[i] - mean) < k * std::sqrt(variance) / root &&
         std::abs(found.variance[i] - variance) < k * variance * std::sqrt(2.0) / root;
    product *= std::sqrt(variance);
  }
  return is && std::abs(found.covariance) < k * product / root;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(marginals)

// β is that of the points of the path, and D = s²β̇ − βsṡ.
BOOST_AUTO_TEST_CASE(they_are_those_of_the_points) {
  for (const auto& path : Path::registry().all()) {
    for (const double u : {0.03, 0.4, 0.8, 0.99}) {
      BOOST_TEST_CONTEXT(path.name << " at " << u) {
        const auto p = path.at(u, sigma);
        const auto m = path.marginal(p.t, sigma);
        const double square = p.alpha * p.alpha + p.gamma * p.gamma;
        const double half_rate = p.alpha * p.alpha_rate + p.gamma * p.gamma_rate;
        BOOST_TEST(close_relative(m.beta, p.beta, 1e-13));
        BOOST_TEST(close_relative(m.beta_rate, p.beta_rate, 1e-13));
        BOOST_TEST(close_absolute(m.diffusion, square * p.beta_rate - p.beta * half_rate, 1e-12));
        // The twin, where β is not small.
        BOOST_TEST((u < 0.5 || !close_absolute(m.diffusion, square * p.beta_rate + p.beta * half_rate, 1e-3)));
      }
    }
    for (const double end : {0.0, 1.0}) {
      const auto m = path.marginal(end, sigma);
      BOOST_TEST((std::isfinite(m.beta_rate) && std::isfinite(m.diffusion) && m.diffusion >= 0));
    }
  }
}

// The score of a normal density is −(x − mean)/variance.
BOOST_AUTO_TEST_CASE(velocities_determine_scores) {
  for (const auto& path : Path::registry().all()) {
    for (const double t : {0.1, 0.5, 0.95}) {
      const auto m = path.marginal(t, sigma);
      for (const auto& of : data) {
        const auto at = law(path, t, of);
        for (const double x : {-1.0, 0.3, 4.0}) {
          const double score = (m.beta * at.velocity(x) - m.beta_rate * x) / m.diffusion;
          BOOST_TEST(close_relative(score, -(x - at.mean) / at.variance, 1e-11), path.name << " " << t << " " << x);
        }
      }
    }
  }
}

// Samples have the law of the data, however strong the noise is. The twin goes against the score.
BOOST_AUTO_TEST_CASE(samples_have_the_law_of_the_data_with_any_noise) {
  constexpr Index n = 20'000, steps = 100;
  for (const auto& path : Path::registry().all()) {
    for (const double eta : {0.0, 1.0, 4.0}) {
      BOOST_TEST_CONTEXT(path.name << ", eta " << eta) {
        Diffusion diffusion{.marginals = [&](double t) { return path.marginal(t, sigma); }, .eta = eta, .steps = steps};
        BOOST_TEST(is_law(path, sample(path, diffusion, n), n));
        diffusion.marginals = [&](double t) {
          const auto at = path.marginal(t, sigma);
          return MarginalPoint{-at.beta, -at.beta_rate, at.diffusion};
        };
        BOOST_TEST(is_law(path, sample(path, diffusion, n), n) == (eta == 0));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
