#include "plain_integration.hpp"

#include <pushforward/linalg/reference.hpp>

#include <array>
#include <cmath>
#include <numbers>

namespace pushforward::bench {

namespace {

constexpr Index many_steps = 256;

// A point and the derivatives of its values with respect to the start.
struct State {
  std::vector<double> x;
  Matrix<double> jacobian;
};

// state + c·rate
State moved(State state, double c, const State& rate) {
  for (std::size_t i = 0; i < state.x.size(); ++i) state.x[i] += c * rate.x[i];
  for (Index i = 0; i < state.jacobian.size(); ++i) state.jacobian.data()[i] += c * rate.jacobian.data()[i];
  return state;
}

}  // namespace

Value PlainField::operator()(std::span<const double> x, double t) const {
  const double angle = std::numbers::pi * t;
  const std::array time{2 * t - 1, std::cos(angle), std::sin(angle), std::cos(2 * angle), std::sin(2 * angle)};
  return network_(x, time);
}

PlainIntegration::PlainIntegration(PlainField field, const flow::IntegrationOptions& options, nn::Pass pass)
    : field_(std::move(field)), steps_(options.steps), is_discrete_(options.density == "discrete") {
  require<BugError>(options.solver == "rk4", "no reference for the solver {}", options.solver);
  if (pass == nn::Pass::evaluate && !is_discrete_) steps_ = many_steps;
}

Value PlainIntegration::operator()(std::span<const double> x) const {
  const Index d = std::ssize(x);
  const double h = -1.0 / static_cast<double>(steps_);
  double integral = 0;
  // The rate of a state; `share` is its part in the integral of the divergence.
  const auto rate = [&](const State& at, double t, double share) {
    const auto v = field_(at.x, t);
    for (Index i = 0; i < d; ++i) integral += share * v.jacobian(i, i);
    State rates{v.y, Matrix<double>(d, d)};
    linalg::reference::gemm<double>(linalg::Op::none, linalg::Op::none, 1, v.jacobian, at.jacobian, 0, rates.jacobian);
    return rates;
  };
  State state{{x.begin(), x.end()}, Matrix<double>(d, d)};
  for (Index i = 0; i < d; ++i) state.jacobian(i, i) = 1;
  for (Index k = 0; k < steps_; ++k) {
    const double t = 1 + h * static_cast<double>(k);
    const auto first = rate(state, t, h / 6);
    const auto second = rate(moved(state, h / 2, first), t + h / 2, h / 3);
    const auto third = rate(moved(state, h / 2, second), t + h / 2, h / 3);
    const auto fourth = rate(moved(state, h, third), t + h, h / 6);
    state = moved(moved(moved(moved(state, h / 6, first), h / 3, second), h / 3, third), h / 6, fourth);
  }
  for (Index i = 0; i < d; ++i) {
    state.x[i] -= x[i];
    state.jacobian(i, i) -= 1;
  }
  Value value{std::move(state.x), std::move(state.jacobian)};
  if (!is_discrete_) value.log_det = integral;
  return value;
}

}  // namespace pushforward::bench
