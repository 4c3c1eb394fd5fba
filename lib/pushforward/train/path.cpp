#include <pushforward/core/angle.hpp>
#include <pushforward/train/path.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pushforward::train {

namespace {

using std::numbers::pi;

PathPoint linear(double u, double sigma) {
  return {.t = u, .alpha = 1 - u, .beta = u, .gamma = sigma, .alpha_rate = -1, .beta_rate = 1};
}

ode::MarginalPoint linear_marginal(double t, double sigma) {
  return {.beta = t, .beta_rate = 1, .diffusion = 1 - t + sigma * sigma};
}

PathPoint trigonometric(double u, double sigma) {
  const double c = std::cos(pi / 2 * u), s = std::sin(pi / 2 * u);
  return {.t = u, .alpha = c, .beta = s, .gamma = sigma, .alpha_rate = -pi / 2 * s, .beta_rate = pi / 2 * c};
}

ode::MarginalPoint trigonometric_marginal(double t, double sigma) {
  const double c = std::cos(pi / 2 * t), s = std::sin(pi / 2 * t);
  return {.beta = s, .beta_rate = pi / 2 * c, .diffusion = pi / 2 * c * (1 + sigma * sigma)};
}

// The total noising up to s = 1 − t, and its rate.
struct Noising {
  explicit Noising(double s) : total(least * s + (most - least) / 2 * s * s), rate(least + (most - least) * s) {}

  static constexpr double least = 0.1, most = 20;  // the rate at s = 0 and s = 1
  double total, rate;
};

// s = 1 − t has the density 1/(2√s).
PathPoint variance_preserving(double u, double sigma) {
  const double root = 1 - u, s = root * root;
  const auto [total, rate] = Noising(s);
  const double beta = std::exp(-total / 2), alpha = std::sqrt(-std::expm1(-total));
  return {.t = 1 - s,
          .alpha = alpha,
          .beta = beta,
          .gamma = sigma,
          .alpha_rate = -rate / 2 * beta * beta / alpha,
          .beta_rate = rate / 2 * beta,
          .weight = 2 * root};
}

ode::MarginalPoint variance_preserving_marginal(double t, double sigma) {
  const auto [total, rate] = Noising(1 - t);
  const double beta = std::exp(-total / 2), beta_rate = rate / 2 * beta;
  return {.beta = beta, .beta_rate = beta_rate, .diffusion = beta_rate * (1 + sigma * sigma)};
}

// t = sin²(πu/2) has the arcsine density, and √(t(1 − t)) = sin(πu/2) cos(πu/2).
PathPoint bridge(double u, double sigma) {
  const double c = std::cos(pi / 2 * u), s = std::sin(pi / 2 * u);
  return {.t = s * s,
          .alpha = c * c,
          .beta = s * s,
          .gamma = sigma * s * c,
          .alpha_rate = -1,
          .beta_rate = 1,
          .gamma_rate = sigma * (c - s) * (c + s) / (2 * s * c),
          .weight = pi * s * c};
}

ode::MarginalPoint bridge_marginal(double t, double sigma) {
  return {.beta = t, .beta_rate = 1, .diffusion = 1 - t + sigma * sigma * t / 2};
}

// Two vectors over the columns of a sphere. With the unit vectors a and b of them, b = a cos θ + w sin θ.
struct Pair {
  double from = 0, to = 0;  // their lengths
  double cosine = 0;        // cos θ
  double across = 0;        // sin θ ≥ 0, the length of b − a cos θ

  double angle() const { return std::atan2(across, cosine); }
  // Row i of b − a cos θ.
  template <class T>
  double way(std::span<const double> x0, std::span<const T> x1, Index i) const {
    return static_cast<double>(x1[i]) / to - cosine * x0[i] / from;
  }
};

template <class T>
Pair pair_of(const Sphere& sphere, std::span<const double> x0, std::span<const T> x1) {
  Pair pair{.from = radius_of<double>(sphere, x0), .to = radius_of<T>(sphere, x1)};
  for (const Index i : sphere) pair.cosine += x0[i] / pair.from * (static_cast<double>(x1[i]) / pair.to);
  for (const Index i : sphere) pair.across += std::pow(pair.way(x0, x1, i), 2);
  pair.across = std::sqrt(pair.across);
  return pair;
}

constexpr double nearest_antipode = 1e-7;  // radians

}  // namespace

template <class T>
double angle_between(const Sphere& sphere, std::span<const double> a, std::span<const T> b) {
  return pair_of(sphere, a, b).angle();
}

template <class T>
bool are_antipodes(std::span<const Sphere> spheres, std::span<const double> x0, std::span<const T> x1) {
  return std::ranges::any_of(
      spheres, [&](const Sphere& sphere) { return angle_between(sphere, x0, x1) > pi - nearest_antipode; });
}

Registry<Path>& Path::registry() {
  static Registry<Path> paths(
      "path", {{"linear", "straight, at constant speed", true, false, Singular::none, linear, linear_marginal},
               {"trigonometric", "along a quarter of a circle", false, false, Singular::none, trigonometric,
                trigonometric_marginal},
               {"variance_preserving", "that of a diffusion", false, false, Singular::latent, variance_preserving,
                variance_preserving_marginal},
               {"bridge", "a Brownian bridge", true, true, Singular::noise, bridge, bridge_marginal}});
  return paths;
}

template <class T>
void set_point(const Path& path, const PathPoint& at, std::span<const double> x0, std::span<const T> x1,
               std::span<const double> noise, const CurvedRows& curved, const PathSample<T>& sample) {
  const auto set = [&](std::size_t i, double x, double of_latent, double of_row) {
    const double epsilon = noise.empty() ? 0 : noise[i], of_noise = at.gamma_rate * epsilon;
    const double singular = path.singular == Singular::latent  ? of_latent
                            : path.singular == Singular::noise ? of_noise
                                                               : 0;
    sample.x[i] = static_cast<T>(x + at.gamma * epsilon);
    sample.singular[i] = static_cast<T>(singular);
    sample.velocity[i] = static_cast<T>(path.singular == Singular::latent  ? of_row + of_noise
                                        : path.singular == Singular::noise ? of_latent + of_row
                                                                           : of_latent + of_row + of_noise);
  };
  for (std::size_t i = 0; i < x0.size(); ++i) {
    const auto to = static_cast<double>(x1[i]);
    set(i, at.alpha * x0[i] + at.beta * to, at.alpha_rate * x0[i], at.beta_rate * to);
  }
  for (const Index i : curved.periodic) {
    const double way = wrap_angle<double>(static_cast<double>(x1[i]) - x0[i]);
    set(static_cast<std::size_t>(i), x0[i] + at.t * way, 0, way);
  }
  for (const Sphere& sphere : curved.spheres) {
    const Pair pair = pair_of(sphere, x0, x1);
    const double theta = pair.angle(), c = std::cos(at.t * theta), s = std::sin(at.t * theta);
    for (const Index i : sphere) {
      const double from = x0[i] / pair.from, way = pair.across > 0 ? pair.way(x0, x1, i) / pair.across : 0;
      sample.x[i] = static_cast<T>(c * from + s * way);
      sample.velocity[i] = static_cast<T>(theta * (c * way - s * from));
      sample.singular[i] = 0;
    }
  }
}

template void set_point(const Path&, const PathPoint&, std::span<const double>, std::span<const float>,
                        std::span<const double>, const CurvedRows&, const PathSample<float>&);
template double angle_between(const Sphere&, std::span<const double>, std::span<const float>);
template bool are_antipodes(std::span<const Sphere>, std::span<const double>, std::span<const float>);
template void set_point(const Path&, const PathPoint&, std::span<const double>, std::span<const double>,
                        std::span<const double>, const CurvedRows&, const PathSample<double>&);
template double angle_between(const Sphere&, std::span<const double>, std::span<const double>);
template bool are_antipodes(std::span<const Sphere>, std::span<const double>, std::span<const double>);

}  // namespace pushforward::train
