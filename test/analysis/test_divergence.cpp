// Estimates of the divergence in training, and their comparison with exact log-dets.

#include <pushforward/analysis/divergence_comparison.hpp>
#include <pushforward/ode/probes.hpp>
#include <pushforward/transforms/continuous.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include "../model/models.hpp"
#include "../ode/fields.hpp"

#include <cmath>
#include <numeric>

namespace pushforward::test {

namespace {

using flow::DivergenceComparison;
using flow::FlowWorkspace;
using flow::Model;
using flow::Pass;
using flow::Status;
using logdet::Draws;
using logdet::HutchinsonOptions;
using logdet::parse_method;

flow::Flow<double> random_flow(Index d, const std::vector<Index>& hidden = {9, 7},
                               const std::vector<Sphere>& spheres = {}) {
  const flow::ContinuousOptions field{
      .hidden = hidden, .integration = {.solver = "heun", .steps = 3, .density = "continuous", .tolerance = 1e-9}};
  flow::Flow<double> flow({.data = {.shape = Shape::vector(d), .spheres = spheres}, .chain = {field}}, 1);
  const auto values = random_vector<double>(flow.layout().size(), 94, 0.5);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(nn::Normalization::values);
  return flow;
}

// Σ log p and its gradient by a method, for one repeat.
struct Gradient {
  double sum = 0;
  std::vector<double> log_prob, gradient;
};
Gradient gradient_of(flow::Flow<double>& flow, const std::string& method, const Matrix<double>& x, Index repeat) {
  const auto n = static_cast<std::size_t>(x.cols());
  flow.set_log_det(Pass::gradient, parse_method(method));
  Gradient result{0, std::vector<double>(n), std::vector<double>(flow.parameters().size())};
  std::vector<Status> status(n);
  FlowWorkspace<double> workspace(flow, x.cols(), Pass::gradient);
  const Draws draws{.seed = 3, .step = static_cast<std::uint64_t>(repeat)};
  result.sum = flow.add_gradient({.x = x, .draws = draws}, result.gradient, result.log_prob, status, workspace);
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(divergence)

// d Hadamard probes have Σ ppᵀ/d = I, so the estimate is the trace, and its gradient is the exact one.
BOOST_AUTO_TEST_CASE(a_full_set_of_orthogonal_probes_is_exact) {
  for (const std::vector<Sphere>& spheres : {std::vector<Sphere>{}, {{0, 2, 3}}})
    for (const auto* const per : {"solve", "step", "stage"}) {
      auto flow = random_flow(4, {9, 7}, spheres);
      auto x = random_matrix<double>(4, 7, 5);
      for (const auto& sphere : spheres) {
        for (Index j = 0; j < x.cols(); ++j) {
          const double radius = radius_of<double>(sphere, std::as_const(x).view().column_span(j));
          for (const Index i : sphere) x(i, j) /= radius;
        }
      }
      const auto exact = gradient_of(flow, "exact", x, 0);
      const auto full = gradient_of(flow, fmt::format("hutchinson:{},probes=4", per), x, 1);
      BOOST_TEST(close_relative(full.sum, exact.sum, 1e-13), per);
      BOOST_TEST(
          close_relative(std::span<const double>(full.gradient), std::span<const double>(exact.gradient), 1e-12));
      const auto half = gradient_of(flow, fmt::format("hutchinson:{},probes=2", per), x, 1);
      BOOST_TEST(!close_relative(half.sum, exact.sum, 1e-4), per);
      BOOST_TEST(
          !close_relative(std::span<const double>(half.gradient), std::span<const double>(exact.gradient), 1e-4));
    }
}

// Whatever the probes are, the gradient is that of the estimate with these probes.
BOOST_AUTO_TEST_CASE(the_gradient_is_that_of_the_estimate) {
  const auto x = random_matrix<double>(3, 5, 6);
  for (const std::vector<Index>& hidden : {std::vector<Index>{9, 7}, {6, 8, 7}}) {
    for (const auto* const method :
         {"hutchinson:solve,probe=rademacher", "hutchinson:step,probe=gaussian,probes=2", "hutchinson:stage"}) {
      auto flow = random_flow(3, hidden);
      const auto here = gradient_of(flow, method, x, 2);
      const auto direction = random_vector<double>(std::ssize(here.gradient), 8);
      const double slope = std::inner_product(direction.begin(), direction.end(), here.gradient.begin(), 0.0);
      const auto at = [&](double e, Index repeat) {
        auto moved = random_flow(3, hidden);
        for (std::size_t i = 0; i < direction.size(); ++i) moved.parameters()[i] += e * direction[i];
        moved.prepare(nn::Normalization::values);
        return gradient_of(moved, method, x, repeat).sum;
      };
      constexpr double e = 1e-4;
      const double difference = (8 * (at(e, 2) - at(-e, 2)) - (at(2 * e, 2) - at(-2 * e, 2))) / (12 * e);
      BOOST_TEST(close_relative(difference, slope, 1e-8), method);
      // The twin: the slope of the estimate with other probes.
      const double other = (at(e, 3) - at(-e, 3)) / (2 * e);
      BOOST_TEST(!close_relative(other, slope, 1e-4), method);
    }
  }
}

// Draws of a sample belong to its number, so a batch may be divided.
BOOST_AUTO_TEST_CASE(a_sample_keeps_its_probes_in_any_batch) {
  auto flow = random_flow(3);
  flow.set_log_det(Pass::gradient, parse_method("hutchinson:stage,probe=gaussian"));
  const auto x = random_matrix<double>(3, 6, 6);
  const auto values = [&](Index from, Index count, Index first) {
    std::vector<double> log_prob(count);
    std::vector<Status> status(log_prob.size());
    FlowWorkspace<double> workspace(flow, 2, Pass::gradient);
    flow.log_prob({.x = x.view().columns(from, count), .draws = {.seed = 3, .first = first}}, log_prob, {}, status,
                  workspace);
    return log_prob;
  };
  const auto whole = values(0, 6, 0), end = values(3, 3, 3), wrong = values(3, 3, 0);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(close_absolute(end[i], whole[3 + i], 1e-12));
    BOOST_TEST(!close_absolute(wrong[i], whole[3 + i], 1e-6));
  }
}

BOOST_AUTO_TEST_CASE(probes_serve_as_long_as_they_should) {
  const auto differ = [](const std::string& per, Index step, Index stage) {
    HutchinsonOptions options;
    options.per = per;
    options.probe = "gaussian";
    options.probes = 2;
    Planned<ode::Probes<double>> probes(
        [&](auto& kept, auto& scratch) { return ode::Probes<double>(options, 3, 4, 2, kept, scratch, 5); });
    probes->draw({.seed = 1}, 5);
    const auto a = probes->of(1, 0), b = probes->of(step, stage);
    BOOST_TEST(a.cols() == 10);
    return !std::equal(a.data(), a.data() + a.size(), b.data());
  };
  BOOST_TEST((!differ("solve", 1, 1) && !differ("solve", 2, 0)));
  BOOST_TEST((!differ("step", 1, 1) && differ("step", 2, 0)));
  BOOST_TEST((differ("stage", 1, 1) && differ("stage", 2, 0)));
}

// The mean over many repeats is the exact quadrature, to its standard error; fresh probes have a smaller deviation.
BOOST_AUTO_TEST_CASE(a_comparison_finds_no_bias_and_the_order_of_the_deviations) {
  constexpr Index n = 40;
  Model<double> model(standardization_of(data::Standardization::Kind::scale, 4), random_flow(4));
  const auto x = random_matrix<double>(4, n, 9);
  DivergenceComparison<double> comparison(
      model, {.methods = {parse_method("hutchinson:solve,probe=rademacher"), parse_method("hutchinson:stage")},
              .repeats = 200,
              .seed = 4});
  BOOST_TEST(comparison.names() ==
             (std::vector<std::string>{"discrete", "trace", "hutchinson:solve,probe=rademacher", "hutchinson:stage"}));
  const auto part = comparison.run(x, {}, 0);
  flow::DivergenceSums sums(4);
  sums.add(part);
  const auto table = sums.summarize();
  BOOST_TEST(model.flow().integrations()[0].density == "continuous");
  // The row of the exact quadrature is what a workspace of training gives.
  std::vector<double> log_prob(n);
  std::vector<Status> status(n);
  FlowWorkspace<double> workspace(model.flow(), n, Pass::gradient);
  model.log_prob({.x = x}, log_prob, {}, status, workspace);
  double bias = 0;
  for (Index i = 0; i < n; ++i) {
    BOOST_TEST(close_absolute(part.draws[1].at_data(i, 0), log_prob[i], 1e-12));
    bias += (log_prob[i] - part.log_prob[i]) / n;
  }
  BOOST_TEST(close_absolute(table[1].bias, bias, 1e-12));
  for (const std::size_t k : {2u, 3u}) {
    const double error = table[k].deviation / std::sqrt(200.0 * n);
    BOOST_TEST(std::abs(table[k].bias - table[1].bias) < 4 * error);
    BOOST_TEST(table[k].deviation > 0);
  }
  BOOST_TEST(table[3].deviation < 0.5 * table[2].deviation);
  BOOST_TEST(std::isnan(table[1].deviation));
  // Noise makes the mean weight larger than 1; exp of a normal error of deviation s has the mean exp(s²/2).
  BOOST_TEST(table[2].weight > table[3].weight);
  BOOST_TEST(table[3].weight > table[1].weight);
}

// A discrete model is its own reference, and its weights are all 1.
BOOST_AUTO_TEST_CASE(the_grid_of_a_discrete_model_is_its_own_reference) {
  auto flow = random_flow(2);
  auto integrations = flow.integrations();
  integrations[0].density = "discrete";
  flow.set_integrations(integrations);
  Model<double> model(data::Standardization(2), std::move(flow));
  DivergenceComparison<double> comparison(model, {.methods = {}, .repeats = 1});
  flow::DivergenceSums sums(2);
  sums.add(comparison.run(random_matrix<double>(2, 30, 9), {}, 0));
  const auto table = sums.summarize();
  BOOST_TEST(close_absolute(table[0].bias, 0, 1e-12));
  BOOST_TEST(close_absolute(table[0].weight, 1, 1e-9));
  BOOST_TEST(table[0].weight_error < 1e-6);
  BOOST_TEST(std::abs(table[1].bias) > 1e-4);
  BOOST_TEST(model.flow().integrations()[0].density == "discrete");
}

BOOST_AUTO_TEST_CASE(what_a_flow_does_not_take_is_refused) {
  auto flow = random_flow(2);
  BOOST_CHECK_EXCEPTION(flow.set_log_det(Pass::gradient, parse_method("krylov:2")), OptionError,
                        says({"no transform of this flow takes it"}));
  BOOST_CHECK_EXCEPTION(flow.set_log_det(Pass::evaluate, parse_method("hutchinson:stage")), OptionError,
                        says({"evaluated exactly"}));
  auto integrations = flow.integrations();
  integrations[0].density = "discrete";
  flow.set_integrations(integrations);
  BOOST_CHECK_EXCEPTION(flow.set_log_det(Pass::gradient, parse_method("hutchinson:stage")), OptionError,
                        says({"by LU"}));
  auto residual = random_model<double>(data::Standardization::Kind::none, 2);
  BOOST_CHECK_EXCEPTION(residual.set_training_log_det(parse_method("hutchinson:stage")), OptionError,
                        says({"no transform of this flow takes it"}));
  BOOST_CHECK_EXCEPTION(DivergenceComparison<double>(residual, {}), DataError, says({"integrates"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
