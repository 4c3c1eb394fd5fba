#include <pushforward/transforms/anderson.hpp>
#include <pushforward/transforms/residual.hpp>

#include "../linalg/fixtures.hpp"

#include <cmath>

namespace pushforward::test {

namespace {

using flow::Anderson;

// r(x) = A x − b, with A far from the identity in no direction but far enough for many plain steps.
struct Linear {
  Index d;

  std::vector<double> residual(std::span<const double> x) const {
    std::vector<double> r(x.size());
    for (Index i = 0; i < d; ++i) {
      double sum = -std::cos(static_cast<double>(i));
      for (Index j = 0; j < d; ++j) {
        const double a = i == j ? 1 - 0.9 * std::pow(-0.8, static_cast<double>(i)) : (i < j ? 0.05 : -0.02);
        sum += a * x[j];
      }
      r[i] = sum;
    }
    return r;
  }
};

double norm(std::span<const double> x) {
  double square = 0;
  for (const double value : x) square += value * value;
  return std::sqrt(square);
}

// ‖r‖ after so many steps of sample `sample`; pairs are forgotten before step `forget`.
double residual_after(Anderson<double>& anderson, Index sample, const Linear& problem, int steps, int forget = -1) {
  std::vector<double> x(problem.d, 0.0), x_before, r_before, step(x.size());
  anderson.reset(sample);
  for (int k = 0; k < steps; ++k) {
    if (k == forget) anderson.reset(sample);
    const auto r = problem.residual(x);
    const bool took_part = anderson.step(sample, x, r, x_before, r_before, step);
    BOOST_TEST(took_part == (k > 0));
    if (!took_part) BOOST_TEST((step == r));
    x_before = x;
    r_before = r;
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= step[i];
  }
  return norm(problem.residual(x));
}

// r(x) = x + W (cos x₀, sin x₀, cos x₁, sin x₁) − z, ‖W‖ = 0.999: almost flat in places, where steps from linear models
// lead astray.
constexpr double waves[2][4] = {{0.447, -0.546, 0.587, 0.18}, {-0.541, 0.334, 0.228, 0.335}};
constexpr double target[2] = {0.56, -2.46};

std::vector<double> residual_of_waves(std::span<const double> x) {
  std::vector<double> r(2);
  for (std::size_t i = 0; i < 2; ++i) {
    const double features[] = {std::cos(x[0]), std::sin(x[0]), std::cos(x[1]), std::sin(x[1])};
    r[i] = x[i] - target[i];
    for (std::size_t k = 0; k < 4; ++k) r[i] += waves[i][k] * features[k];
  }
  return r;
}

linalg::Workspace memory_for(Index d, Index n) {
  linalg::Workspace plan;
  Anderson<double>(plan, d, n);
  return linalg::Workspace(plan.peak());
}

}  // namespace

BOOST_AUTO_TEST_SUITE(acceleration)

// Changes in d directions tell all of a linear residual.
BOOST_AUTO_TEST_CASE(a_linear_residual_is_gone_after_as_many_pairs_as_dimensions) {
  for (const Index d : {1, 2, 3, 5}) {
    auto memory = memory_for(d, 3);
    Anderson<double> anderson(memory, d, 3);
    const Linear problem{d};
    const int steps = static_cast<int>(d) + 1;
    for (const Index sample : {0, 2}) {
      BOOST_TEST(residual_after(anderson, sample, problem, steps) < 1e-9);
      if (d > 1) BOOST_TEST(residual_after(anderson, sample, problem, steps, steps - 1) > 1e-9);  // a single pair left
    }
  }
}

BOOST_AUTO_TEST_CASE(changes_that_say_nothing_new_are_left_out) {
  auto memory = memory_for(2, 1);
  Anderson<double> anderson(memory, 2, 1);
  anderson.reset(0);
  const std::vector<double> start{0, 0}, x{1, 0}, beyond{2, 0}, r_start{0.5, 1}, r{1, 1}, r_beyond{1.5, 1};
  std::vector<double> step(2);
  // Along the change r grows by a half, across it the step is plain.
  anderson.step(0, x, r, start, r_start, step);
  BOOST_TEST((step == std::vector<double>{2, 1}));
  anderson.step(0, beyond, r_beyond, x, r, step);
  BOOST_TEST((step == std::vector<double>{3, 1}));
  // No change at all.
  anderson.reset(0);
  BOOST_TEST(!anderson.step(0, x, r, x, r, step));
  BOOST_TEST((step == r));
}

// Without the step back, the acceleration alone takes more than 20 steps; with it, the inverse needs fewer than 17.
BOOST_AUTO_TEST_CASE(steps_that_do_not_contract_are_taken_back) {
  auto memory = memory_for(2, 1);
  Anderson<double> anderson(memory, 2, 1);
  anderson.reset(0);
  std::vector<double> x(target, target + 2), x_before, r_before, step(2);
  double grown = 0;
  int steps = 0;
  for (auto r = residual_of_waves(x); norm(r) > 1e-13 && steps < 1000; ++steps) {
    anderson.step(0, x, r, x_before, r_before, step);
    x_before = x;
    r_before = r;
    for (std::size_t i = 0; i < 2; ++i) x[i] -= step[i];
    r = residual_of_waves(x);
    grown = std::max(grown, norm(r) / norm(r_before));
  }
  BOOST_TEST(steps > 20);
  BOOST_TEST(grown > 1);  // a step that made things worse

  nn::ParameterLayout layout;
  const nn::NetworkOptions network{.in = 2, .out = 2, .hidden = {}, .lipschitz = 0.9991, .periodic = {0, 1}};
  flow::ResidualBlock<double> block(layout, "block", Shape::vector(2), network, 1, 1);
  std::vector<double> parameters(layout.size());
  for (const auto& parameter : layout.blocks()) {
    if (!parameter.name.ends_with("weight")) continue;
    for (Index i = 0; i < 8; ++i) parameters[parameter.offset + i] = waves[i % 2][i / 2];
  }
  block.prepare(parameters, nn::Normalization::svd);
  const ConstMatrixView<double> z(target, 2, 1);
  linalg::Workspace counted_kept, counted_scratch;
  block.plan(counted_kept, counted_scratch, 1, nn::Pass::evaluate);
  linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
  const auto state = block.plan(kept, scratch, 1, nn::Pass::evaluate);
  Matrix<double> solution(2, 1);
  for (const int most : {16, 3}) {
    double log_det = 0;
    flow::Status status = flow::Status::ok;
    block.inverse(*state, {z}, solution, {&log_det, 1}, {&status, 1}, {.tolerance = 1e-10, .max_iterations = most});
    BOOST_TEST((status == flow::Status::ok) == (most == 16));
    if (most == 16) BOOST_TEST(norm(residual_of_waves(solution.span())) < 1e-12);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
