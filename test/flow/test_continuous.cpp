// Continuous flows in training: log-dets that the reverse pass finds, and penalties on the kinetic energy of paths and
// on the norm of Jacobians.

#include <pushforward/flow/flow.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/continuous.hpp>

#include "../nn/taylor.hpp"
#include "../ode/fields.hpp"

#include <array>
#include <numbers>
#include <numeric>

namespace pushforward::test {

namespace {

using flow::FlowWorkspace;
using flow::Pass;
using flow::Status;

// A flow that is one continuous transform, with random weights and a penalty in training.
flow::Flow<double> random_flow(Index d, const flow::ContinuousOptions& options, const ode::Penalty& penalty,
                               const std::vector<Sphere>& spheres = {}, double scale = 0.5) {
  flow::Flow<double> flow({.data = {.shape = Shape::vector(d), .spheres = spheres}, .chain = {options}}, 1);
  const auto values = random_vector<double>(flow.layout().size(), 94, scale);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  auto integrations = flow.integrations();
  integrations.front().penalty = penalty;
  flow.set_integrations(integrations);
  flow.prepare(nn::Normalization::values);
  return flow;
}

// Σ log p less penalties, and its gradient.
struct Sum {
  double value = 0;
  std::vector<double> gradient;
};
Sum sum_of(flow::Flow<double>& flow, const Matrix<double>& x) {
  const auto n = static_cast<std::size_t>(x.cols());
  Sum sum{0, std::vector<double>(flow.parameters().size())};
  std::vector<double> log_prob(n);
  std::vector<Status> status(n);
  FlowWorkspace<double> workspace(flow, x.cols(), Pass::gradient);
  sum.value = flow.add_gradient({.x = x, .draws = {.seed = 3}}, sum.gradient, log_prob, status, workspace);
  return sum;
}

// Rows of a unit vector in the columns of a sphere.
Matrix<double> rows_of(Index d, Index n, const std::vector<Sphere>& spheres) {
  auto x = random_matrix<double>(d, n, 6);
  for (const auto& sphere : spheres) {
    for (Index j = 0; j < n; ++j) {
      const double radius = radius_of<double>(sphere, std::as_const(x).view().column_span(j));
      for (const Index i : sphere) x(i, j) /= radius;
    }
  }
  return x;
}

struct Case {
  const char* name;
  Index d;
  std::vector<Index> hidden;
  const char* density;
  const char* method;
  std::vector<Sphere> spheres{};
};
const Case cases[] = {
    {"discrete", 3, {9, 7}, "discrete", "exact"},
    {"trace by the closed form", 3, {9, 7}, "continuous", "exact"},
    {"trace by tangents", 3, {6, 8, 7}, "continuous", "exact"},
    {"estimate", 3, {9, 7}, "continuous", "hutchinson:stage,probe=gaussian,probes=2"},
    {"sphere", 4, {9, 7}, "continuous", "exact", {{0, 2, 3}}},
    {"discrete on a sphere", 4, {9, 7}, "discrete", "exact", {{0, 2, 3}}},
};

flow::ContinuousOptions options_of(const Case& of) {
  return {.hidden = of.hidden, .integration = {.solver = "rk4", .steps = 3, .density = of.density}};
}

// A continuous transform, an ActNorm and a continuous transform again, with random parameters.
flow::Flow<double> flow_of_two(const Case& of) {
  flow::Flow<double> flow(
      {.data = {.shape = Shape::vector(of.d)}, .chain = {options_of(of), flow::ActNormOptions{}, options_of(of)}}, 1);
  const auto values = random_vector<double>(flow.layout().size(), 94, 0.3);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(nn::Normalization::values);
  return flow;
}

// One step of Euler for each slope a, on one value: z = (1 − a) x, which folds for a > 1.
flow::Flow<double> linear_flow(const std::vector<double>& slopes) {
  const flow::ContinuousOptions one{.hidden = {},
                                    .integration = {.solver = "euler", .steps = 1, .density = "discrete"}};
  flow::Flow<double> flow(
      {.data = {.shape = Shape::vector(1)}, .chain = std::vector<flow::TransformOptions>(slopes.size(), one)}, 1);
  auto slope = slopes.begin();
  for (const auto& block : flow.layout().blocks()) {
    if (block.name.ends_with("weight")) flow.parameters()[block.offset] = *slope++;
  }
  flow.prepare(nn::Normalization::values);
  return flow;
}

// The outcome of a pass for some rows.
struct Passed {
  std::vector<double> log_prob;
  std::vector<Status> status;
  std::optional<flow::Failure> failure;
};

// The outcome of a forward pass, of a gradient and of the gradient of the inverse, on memory for a gradient.
std::array<Passed, 3> all_passes(const flow::Flow<double>& flow, const Matrix<double>& x, Index capacity) {
  const auto n = static_cast<std::size_t>(x.cols());
  const flow::Batch<double> batch{.x = x, .draws = {.seed = 3}};
  FlowWorkspace<double> workspace(flow, capacity, Pass::gradient);
  std::vector<double> gradient(static_cast<std::size_t>(flow.layout().size()));
  Matrix<double> z_bar(x.rows(), x.cols());
  std::array<Passed, 3> outcome;
  for (std::size_t i = 0; i < outcome.size(); ++i) {
    auto& [log_prob, status, failure] = outcome[i];
    log_prob.resize(n);
    status.resize(n);
    if (i == 0) flow.log_prob(batch, log_prob, {}, status, workspace);
    if (i == 1) flow.add_gradient(batch, gradient, log_prob, status, workspace);
    if (i == 2) flow.add_inverse_gradient(batch, x, gradient, z_bar, log_prob, status, workspace);
    failure = workspace.failure();
  }
  return outcome;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(continuous)

// A pass that leads to a gradient leaves the log-dets to the reverse pass. The twin has none of them.
BOOST_AUTO_TEST_CASE(the_reverse_pass_finds_the_log_dets_of_the_forward_pass) {
  for (const Case& of : cases) {
    const auto x = rows_of(of.d, 5, of.spheres);
    std::vector<flow::Flow<double>> flows;
    flows.push_back(random_flow(of.d, options_of(of), {}, of.spheres));
    flows.push_back(random_flow(of.d, options_of(of), {0.7, 0.3}, of.spheres));
    if (of.spheres.empty()) flows.push_back(flow_of_two(of));
    for (auto& flow : flows) {
      flow.set_log_det(Pass::gradient, logdet::parse_method(of.method));
      for (const Index capacity : {2, 5}) {
        BOOST_TEST_CONTEXT(of.name << ", chunks of " << capacity) {
          const auto [forward, gradient, inverse] = all_passes(flow, x, capacity);
          Matrix<double> z(of.d, 5);
          std::vector<Status> status(5);
          std::vector<double> without(5);
          FlowWorkspace<double> workspace(flow, 5, Pass::map_only);
          flow.map({.x = x}, z, status, workspace);
          flow.base().log_prob(z, without);
          BOOST_TEST(close_absolute(gradient.log_prob, forward.log_prob, 1e-13));
          BOOST_TEST(close_absolute(inverse.log_prob, forward.log_prob, 1e-13));
          BOOST_TEST(!close_absolute(without, forward.log_prob, 1e-3));
          for (const auto& outcome : {gradient, inverse}) {
            BOOST_TEST((outcome.status == forward.status));
            BOOST_TEST(!outcome.failure.has_value());
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_reverse_pass_finds_maps_that_fold) {
  const auto x = random_matrix<double>(1, 4, 3);
  const auto flow = linear_flow({0.5, 1.5, 0.25});
  for (const auto& outcome : all_passes(flow, x, 3)) {
    BOOST_TEST(outcome.failure.value().transform == 1);
    BOOST_TEST(outcome.failure.value().sample == 0);
    for (std::size_t i = 0; i < 4; ++i) {
      BOOST_TEST((outcome.status[i] == Status::negative_determinant));
      BOOST_TEST(std::isnan(outcome.log_prob[i]));
    }
  }
  for (const auto& outcome : all_passes(linear_flow({0.5, 0.75, 0.25}), x, 3)) {
    BOOST_TEST(!outcome.failure.has_value());
    for (std::size_t i = 0; i < 4; ++i) {
      const double z = 0.5 * 0.25 * 0.75 * x(0, static_cast<Index>(i));
      const double expected = std::log(0.5 * 0.25 * 0.75) - 0.5 * z * z - 0.5 * std::log(2 * std::numbers::pi);
      BOOST_TEST(close_absolute(outcome.log_prob[i], expected, 1e-14));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_pass_to_a_gradient_names_the_transform_whose_values_are_not_finite) {
  const auto x = matrix_of<double>(1, 3, [](Index, Index j) { return j == 1 ? 1e10 : 0.0; });
  for (const auto& outcome : all_passes(linear_flow({0.5, -1e300, 0.25}), x, 3)) {
    BOOST_TEST(outcome.failure.value().transform == 1);
    BOOST_TEST(outcome.failure.value().sample == 1);
    BOOST_TEST((outcome.status[1] == Status::not_finite));
    BOOST_TEST((outcome.status[0] == Status::ok));
  }
}

// v = A x on one step of Heun's method from t = 1 back to 0: k₁ = A x, k₂ = A(x − A x), each with the weight ½. The
// derivatives of the velocities with respect to x are A and A(I − A).
BOOST_AUTO_TEST_CASE(penalties_of_a_linear_field_have_their_closed_forms) {
  const auto a = matrix_of<double>(2, 2, [](Index i, Index j) { return 0.3 * double(i) - 0.2 * double(j) + 0.1; });
  const auto times = [](const Matrix<double>& left, const Matrix<double>& right) {
    return matrix_of<double>(left.rows(), right.cols(), [&](Index i, Index j) {
      double sum = 0;
      for (Index k = 0; k < left.cols(); ++k) sum += left(i, k) * right(k, j);
      return sum;
    });
  };
  const auto square = [](const Matrix<double>& m) {
    return std::inner_product(m.span().begin(), m.span().end(), m.span().begin(), 0.0);
  };
  const auto minus = [](const Matrix<double>& left, const Matrix<double>& right) {
    return matrix_of<double>(left.rows(), left.cols(), [&](Index i, Index j) { return left(i, j) - right(i, j); });
  };
  const auto identity = matrix_of<double>(2, 2, [](Index i, Index j) { return i == j ? 1.0 : 0.0; });
  const TestField<double> of(a, Matrix<double>(2, 5));
  const auto x = random_matrix<double>(2, 1, 3);
  const auto log_det = [&](const ode::Penalty& penalty) {
    Planned<ode::RungeKutta<double>> method([&](auto& kept, auto& scratch) {
      return ode::RungeKutta<double>(of.field, ode::Tableau::registry().at("heun"), ode::LogDet::discrete, kept,
                                     scratch, 1, Pass::gradient, 0, penalty);
    });
    Matrix<double> next(2, 1);
    double value = 0;
    linalg::Sign sign{};
    method->step({x, {}, 1, -1}, next, std::span(&value, 1), std::span(&sign, 1));
    return value;
  };
  const auto first = times(a, x), second = times(a, minus(x, first));
  const double energy = (square(first) + square(second)) / 2;
  const double norm = (square(a) + square(times(a, minus(identity, a)))) / 2;
  const double plain = log_det({});
  BOOST_TEST(close_relative(plain - log_det({.kinetic_energy = 1}), energy, 1e-12));
  BOOST_TEST(close_relative(plain - log_det({.jacobian_norm = 1}), norm, 1e-12));
  BOOST_TEST(close_relative(plain - log_det({0.5, 2}), 0.5 * energy + 2 * norm, 1e-12));
  BOOST_TEST(!close_relative(plain - log_det({.jacobian_norm = 1}), square(a), 1e-3));
}

BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_the_penalized_log_likelihood) {
  for (const Case& of : cases) {
    const auto x = rows_of(of.d, 5, of.spheres);
    for (const ode::Penalty& penalty : {ode::Penalty{0.7, 0}, ode::Penalty{0, 0.3}, ode::Penalty{0.7, 0.3}}) {
      const auto made = [&](const ode::Penalty& with) {
        auto flow = random_flow(of.d, options_of(of), with, of.spheres);
        flow.set_log_det(Pass::gradient, logdet::parse_method(of.method));
        return flow;
      };
      auto flow = made(penalty);
      const auto here = sum_of(flow, x);
      const auto direction = random_vector<double>(std::ssize(here.gradient), 8);
      const double slope = std::inner_product(direction.begin(), direction.end(), here.gradient.begin(), 0.0);
      const auto along = [&](const ode::Penalty& with) {
        return [&, with](double e) {
          auto moved = made(with);
          for (std::size_t i = 0; i < direction.size(); ++i) moved.parameters()[i] += e * direction[i];
          moved.prepare(nn::Normalization::values);
          return sum_of(moved, x).value;
        };
      };
      const auto scale = taylor_scale<double>();
      BOOST_TEST(taylor_ratios_hold(along(penalty), slope, scale),
                 of.name << ", " << penalty.kinetic_energy << ", " << penalty.jacobian_norm);
      BOOST_TEST(!taylor_ratios_hold(along({}), slope, scale), of.name);
    }
  }
}

// Tangents of unit vectors and the closed form of the trace are two ways to the same number.
BOOST_AUTO_TEST_CASE(the_log_det_beside_a_penalty_is_exact) {
  for (const std::vector<Sphere>& spheres : {std::vector<Sphere>{}, {{0, 2, 3}}}) {
    const flow::ContinuousOptions options{.hidden = {9, 7}, .integration = {.steps = 3, .density = "continuous"}};
    const auto x = rows_of(4, 5, spheres);
    auto plain = random_flow(4, options, {}, spheres), tiny = random_flow(4, options, {0, 1e-14}, spheres);
    auto large = random_flow(4, options, {0, 1e-6}, spheres);
    const auto expected = sum_of(plain, x), close = sum_of(tiny, x), far = sum_of(large, x);
    BOOST_TEST(close_relative(close.value, expected.value, 1e-12));
    BOOST_TEST(
        close_relative(std::span<const double>(close.gradient), std::span<const double>(expected.gradient), 1e-11));
    BOOST_TEST(!close_relative(far.value, expected.value, 1e-12));
  }
}

BOOST_AUTO_TEST_CASE(evaluations_have_no_penalty) {
  const auto x = rows_of(3, 5, {});
  auto plain = random_flow(3, options_of(cases[0]), {}), other = random_flow(3, options_of(cases[0]), {2, 3});
  const auto values = [&](flow::Flow<double>& flow, Pass pass) {
    std::vector<double> log_prob(5);
    std::vector<Status> status(5);
    FlowWorkspace<double> workspace(flow, 5, pass);
    flow.log_prob({.x = x}, log_prob, {}, status, workspace);
    return log_prob;
  };
  BOOST_TEST(values(plain, Pass::evaluate) == values(other, Pass::evaluate));
  BOOST_TEST(values(plain, Pass::gradient) != values(other, Pass::gradient));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
