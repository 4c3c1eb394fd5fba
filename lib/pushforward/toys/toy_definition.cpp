#include <pushforward/toys/toy_definition.hpp>

#include <boost/math/quadrature/gauss.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::data::detail {

namespace {

using std::numbers::pi;

constexpr int arms = 5;
constexpr double radial_sigma = 0.3, tangential_sigma = 0.1, rate = 0.25;

double normal_density(double t, double sigma) {
  return std::exp(-0.5 * (t / sigma) * (t / sigma)) / (sigma * std::sqrt(2 * pi));
}

double normal_cumulative(double t) {
  return 0.5 * std::erfc(-t / std::numbers::sqrt2);
}

}  // namespace

Curves::Curves(int components, double sigma, double half_box, Curve curve)
    : components_(components), sigma_(sigma), half_box_(half_box), curve_(std::move(curve)) {
  // Boost lists the points of the rule on [−1, 1] that are not negative. The negative points mirror them.
  using Rule = boost::math::quadrature::gauss<double, 768>;
  for (std::size_t i = 0; i < Rule::abscissa().size(); ++i) {
    for (const double sign : {-1.0, 1.0}) {
      const double v = 0.5 * (1 + sign * Rule::abscissa()[i]), weight = 0.5 * Rule::weights()[i];
      for (int k = 0; k < components; ++k) nodes_.push_back({curve_(k, v * v), 2 * v * weight / components});
    }
  }
}

Point Curves::draw(random::Stream& stream) const {
  const auto component = static_cast<int>(stream.below(static_cast<std::uint64_t>(components_)));
  Point x = curve_(component, stream.uniform());
  for (double& coordinate : x) {
    coordinate += half_box_ * (2 * stream.uniform() - 1);
    coordinate += sigma_ * stream.normal();
  }
  return x;
}

double Curves::kernel(double t) const {
  if (half_box_ == 0) return normal_density(t, sigma_);
  return (normal_cumulative((t + half_box_) / sigma_) - normal_cumulative((t - half_box_) / sigma_)) / (2 * half_box_);
}

double Curves::log_density(Point x) const {
  double p = 0;
  for (const auto& node : nodes_) p += node.weight * kernel(x[0] - node.at[0]) * kernel(x[1] - node.at[1]);
  return std::log(p);
}

Point Checkerboard::draw(random::Stream& stream) const {
  const double column = 4 * stream.uniform() - 2;
  const bool odd = static_cast<int>(std::floor(column)) % 2 != 0;
  const double row = stream.uniform() - 2 * static_cast<double>(stream.below(2)) + (odd ? 1 : 0);
  return {2 * column, 2 * row};
}

double Checkerboard::log_density(Point x) const {
  const auto square = static_cast<int>(std::floor(x[0] / 2) + std::floor(x[1] / 2));
  const bool inside = std::abs(x[0]) < 4 && std::abs(x[1]) < 4;
  return inside && square % 2 == 0 ? -std::log(32.0) : -std::numeric_limits<double>::infinity();
}

Point Pinwheel::draw(random::Stream& stream) const {
  const auto arm = static_cast<double>(stream.below(arms));
  const double r = 1 + radial_sigma * stream.normal();
  const double s = tangential_sigma * stream.normal();
  const double alpha = 2 * pi * arm / arms + rate * std::exp(r);
  return {2 * (r * std::cos(alpha) + s * std::sin(alpha)), 2 * (s * std::cos(alpha) - r * std::sin(alpha))};
}

double Pinwheel::log_density(Point x) const {
  const double rho = std::hypot(x[0], x[1]) / 2, phi = std::atan2(x[1], x[0]);
  // φ modulo 2π/5, which takes in all arms at once: zero where ψ leads to x.
  const auto mismatch = [&](double psi) {
    return std::remainder(psi - rate * std::exp(rho * std::cos(psi)) - phi, 2 * pi / arms);
  };
  constexpr int intervals = 720;
  double p = 0;
  double left = -pi, at_left = mismatch(left);
  for (int i = 1; i <= intervals; ++i) {
    const double right = pi * (2.0 * i / intervals - 1), at_right = mismatch(right);
    // A change of sign over half a period is the jump of the remainder, not a root.
    if ((at_left < 0) != (at_right < 0) && std::abs(at_left - at_right) < pi / arms) {
      double a = left, b = right;
      for (int halvings = 0; halvings < 48; ++halvings) {
        const double middle = 0.5 * (a + b);
        ((mismatch(middle) < 0) == (at_left < 0) ? a : b) = middle;
      }
      const double r = rho * std::cos(a), s = rho * std::sin(a);
      p += normal_density(r - 1, radial_sigma) * normal_density(s, tangential_sigma) /
           std::abs(1 + rate * std::exp(r) * s);
    }
    left = right;
    at_left = at_right;
  }
  return std::log(p / (4 * arms));
}

}  // namespace pushforward::data::detail
