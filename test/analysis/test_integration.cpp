#include <pushforward/analysis/integration_check.hpp>
#include <pushforward/analysis/verification.hpp>
#include <pushforward/random/stream.hpp>
#include <pushforward/transforms/continuous.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include "../model/models.hpp"

#include <cmath>

namespace pushforward::test {

namespace {

using flow::FlowWorkspace;
using flow::IntegrationOptions;
using flow::Model;
using flow::Pass;
using flow::Sampler;
using flow::Status;

flow::Flow<double> continuous_flow(Index d, const std::vector<Index>& hidden, const IntegrationOptions& integration) {
  return {d, {.kind = "continuous", .hidden = hidden, .integration = integration}, 1};
}

// A field with random weights behind a standardization.
Model<double> random_continuous(Index d, const IntegrationOptions& integration) {
  auto flow = continuous_flow(d, {9, 7}, integration);
  const auto values = random_vector<double>(flow.layout().size(), 93, 0.5);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.bake_normalization();
  return {standardization_of(data::Standardization::Kind::scale, d), std::move(flow)};
}

// v(x) = a x in one dimension, on raw data: n steps of Euler give z = (1 − a/n)ⁿ x, and their limit e^{−a} x.
Model<double> linear_model(double a, const IntegrationOptions& integration) {
  flow::Flow<double> flow({.data = {.shape = Shape::vector(1)},
                           .chain = {flow::ContinuousOptions{.hidden = {}, .integration = integration}}},
                          1);
  for (const auto& block : flow.layout().blocks()) {
    if (block.name.ends_with("weight")) flow.parameters()[block.offset] = a;
  }
  flow.bake_normalization();
  return {data::Standardization(1), std::move(flow)};
}

// What a model says about samples, or about draws of its base density.
struct Result {
  Matrix<double> x;
  std::vector<double> log_prob, error;
  std::vector<Index> evaluations;
  std::vector<Status> status;

  Result(Index d, Index n)
      : x(d, n), log_prob(n), error(log_prob.size()), evaluations(log_prob.size()), status(log_prob.size()) {}
  flow::IntegrationReport report() { return {error, evaluations}; }
};

Result sample(const Model<double>& model, Index n) {
  Result result(model.dimension(), n);
  Matrix<double> z(model.dimension(), n);
  for (Index j = 0; j < n; ++j) {
    random::Stream stream(7, random::Purpose::base_sample, 0, static_cast<std::uint64_t>(j));
    model.flow().base().draw(stream, z.view().column_span(j));
  }
  FlowWorkspace<double> workspace(model.flow(), 100, Pass::evaluate);
  model.inverse(z, result.x, result.log_prob, result.status, {}, workspace, {}, result.report());
  return result;
}

Result density(const Model<double>& model, const Matrix<double>& x) {
  Result result(model.dimension(), x.cols());
  FlowWorkspace<double> workspace(model.flow(), 100, Pass::evaluate);
  model.log_prob({.x = x}, result.log_prob, result.x, result.status, workspace, result.report());
  return result;
}

bool all_ok(const Result& result) {
  return std::ranges::all_of(result.status, [](Status s) { return s == Status::ok; });
}

// The mean of exp(log_target − log_prob) over samples, and its standard error.
std::pair<double, double> mean_weight(std::span<const double> log_target, std::span<const double> log_prob) {
  const auto n = static_cast<double>(log_prob.size());
  double sum = 0, squares = 0;
  for (std::size_t j = 0; j < log_prob.size(); ++j) {
    const double weight = std::exp(log_target[j] - log_prob[j]);
    sum += weight;
    squares += weight * weight;
  }
  const double mean = sum / n;
  return {mean, std::sqrt((squares / n - mean * mean) / n)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(integration)

// Whatever density a model has, a sampler of few steps is a map of its own, with an exact log-det both ways.
BOOST_AUTO_TEST_CASE(a_sampler_has_the_density_of_its_own_map) {
  const auto x = random_matrix<double>(3, 20, 5);
  for (const auto* const of_model : {"discrete", "continuous"}) {
    for (const auto& sampler : {Sampler{"euler", 3}, Sampler{"rk4", 1}, Sampler{"heun", 2}}) {
      auto model = random_continuous(3, {.density = of_model, .tolerance = 1e-10});
      const auto own = density(model, x);
      model.set_sampler(sampler);
      BOOST_TEST(flow::log_det_error(model, x.view().columns(0, 5)) < 1e-8, of_model << " " << sampler.solver);
      BOOST_TEST(flow::round_trip(model, x, {}).largest() < 1e-8);
      // The twin: the density of the model itself is another one.
      BOOST_TEST(!close_absolute(density(model, x).log_prob, own.log_prob, 1e-4));
    }
  }
}

BOOST_AUTO_TEST_CASE(a_sampler_takes_its_steps_and_no_more) {
  auto model = random_continuous(3, {});
  model.set_sampler({"rk4", 2});
  const auto samples = sample(model, 150);
  const auto back = density(model, samples.x);
  for (std::size_t j = 0; j < samples.error.size(); ++j) {
    BOOST_TEST(samples.evaluations[j] == 8);
    BOOST_TEST(samples.error[j] == 0);
    BOOST_TEST(back.evaluations[j] > 8);
  }
  BOOST_TEST(close_absolute(back.log_prob, samples.log_prob, 1e-8));
  // Training goes on along the model's own grid.
  FlowWorkspace<double> workspace(model.flow(), 10, Pass::gradient);
  auto other = random_continuous(3, {});
  FlowWorkspace<double> own(other.flow(), 10, Pass::gradient);
  Result a(3, 10), b(3, 10);
  const auto x = random_matrix<double>(3, 10, 6);
  model.log_prob({.x = x}, a.log_prob, {}, a.status, workspace);
  other.log_prob({.x = x}, b.log_prob, {}, b.status, own);
  BOOST_TEST(a.log_prob == b.log_prob);
}

// Importance weights of a sampler with its own density have the mean 1 for any target that is normalized, here another
// model. With the density of the differential equation that the sampler follows they have not.
BOOST_AUTO_TEST_CASE(importance_weights_of_a_sampler_have_the_mean_1) {
  auto sampler = random_continuous(2, {});
  const auto target = random_continuous(2, {.density = "discrete"});
  const auto limit = random_continuous(2, {.density = "continuous", .tolerance = 1e-8});
  sampler.set_sampler({"euler", 4});
  const auto samples = sample(sampler, 20'000);
  BOOST_TEST(all_ok(samples));
  const auto log_target = density(target, samples.x).log_prob;
  const auto [mean, error] = mean_weight(log_target, samples.log_prob);
  BOOST_TEST(std::abs(mean - 1) < 4 * error, mean << " ± " << error);
  BOOST_TEST(error < 0.01);
  const auto [wrong, wrong_error] = mean_weight(log_target, density(limit, samples.x).log_prob);
  BOOST_TEST(std::abs(wrong - 1) > 8 * wrong_error, wrong << " ± " << wrong_error);
}

BOOST_AUTO_TEST_CASE(a_limit_reports_its_error_and_its_evaluations) {
  const auto x = random_matrix<double>(2, 150, 5);
  auto model = random_continuous(2, {.density = "continuous", .tolerance = 1e-4});
  const auto coarse = density(model, x);
  auto integrations = model.flow().integrations();
  integrations[0].tolerance = 1e-12;
  model.set_integrations(integrations);
  BOOST_TEST(model.flow().architecture().chain[0].get_if<flow::ContinuousOptions>()->integration.tolerance == 1e-12);
  const auto fine = density(model, x);
  double largest = 0;
  for (std::size_t j = 0; j < coarse.error.size(); ++j) {
    BOOST_TEST(coarse.error[j] <= 1e-4);
    BOOST_TEST(std::abs(coarse.log_prob[j] - fine.log_prob[j]) <= coarse.error[j]);
    BOOST_TEST(coarse.evaluations[j] >= 36);
    BOOST_TEST(coarse.evaluations[j] % 12 == 0);
    BOOST_TEST(fine.evaluations[j] > coarse.evaluations[j]);
    largest = std::max(largest, std::abs(coarse.log_prob[j] - fine.log_prob[j]));
  }
  BOOST_TEST(largest > 1e-12);
}

// A guided field has a density of its own, which integrates to 1. The twin is the density ∝ p(x)^(1−S) p(x | u)^S
// without its normalization.
BOOST_AUTO_TEST_CASE(guided_densities_integrate_to_1) {
  constexpr Index points = 201;
  constexpr double end = 10, cell = 2 * end / (points - 1);
  Matrix<double> x(2, points * points), u(1, points * points);
  for (Index j = 0; j < x.cols(); ++j) {
    x(0, j) = -end + cell * static_cast<double>(j / points);
    x(1, j) = -end + cell * static_cast<double>(j % points);
    u(0, j) = 0.8;
  }
  for (const auto* const density : {"discrete", "continuous"}) {
    flow::Flow<double> flow(
        {.data = {.shape = Shape::vector(2), .context = 1, .optional_context = true},
         .chain = {flow::ContinuousOptions{.hidden = {12, 8}, .integration = {.steps = 4, .density = density}}}},
        1);
    const auto values = random_vector<double>(flow.layout().size(), 94, 0.4);
    std::copy(values.begin(), values.end(), flow.parameters().begin());
    flow.bake_normalization();
    Model<double> model(data::Standardization(2), std::move(flow), {},
                        flow::ModelContext{data::Standardization(1), {}});
    const auto log_prob = [&](double scale) {
      model.set_guidance(scale);
      Result result(2, x.cols());
      FlowWorkspace<double> workspace(model.flow(), 500, Pass::evaluate);
      model.log_prob({.x = x, .context = u}, result.log_prob, {}, result.status, workspace);
      BOOST_TEST(all_ok(result));
      return result.log_prob;
    };
    const auto mass = [&](std::span<const double> log_p) {
      double sum = 0;
      for (const double value : log_p) sum += std::exp(value) * cell * cell;
      return sum;
    };
    const auto without = log_prob(0), with = log_prob(1), guided = log_prob(2);
    std::vector<double> line(with.size());
    for (std::size_t j = 0; j < line.size(); ++j) line[j] = 2 * with[j] - without[j];
    BOOST_TEST_CONTEXT(density) {
      BOOST_TEST(close_absolute(mass(without), 1.0, 1e-4));
      BOOST_TEST(close_absolute(mass(with), 1.0, 1e-4));
      BOOST_TEST(close_absolute(mass(guided), 1.0, 1e-4));
      BOOST_TEST(!close_absolute(mass(line), 1.0, 1e-2));
      BOOST_TEST(!close_absolute(guided, line, 1e-2));
    }
  }
}

// The noise of a sample comes with its draws, so it does not depend on chunks. There is no way back, and training goes
// on along the model's own grid.
BOOST_AUTO_TEST_CASE(a_diffusion_draws_for_each_sample_and_has_no_way_back) {
  auto model = random_continuous(2, {});
  model.set_diffusion({.marginals = [](double t) { return ode::MarginalPoint{t, 1, 1 - t}; }, .eta = 1, .steps = 5});
  const auto z = random_matrix<double>(2, 250, 8);
  const auto samples_of = [&](Index chunk, Index first, Index count) {
    FlowWorkspace<double> workspace(model.flow(), chunk, Pass::evaluate);
    Result result(2, count);
    model.inverse(z.view().columns(first, count), result.x, result.log_prob, result.status, {}, workspace, {},
                  result.report(), {.seed = 4, .first = first});
    BOOST_TEST(all_ok(result));
    BOOST_TEST(result.evaluations.front() == 10);
    return result.x;
  };
  const auto all = samples_of(256, 0, 250);
  BOOST_TEST(close_absolute(samples_of(7, 0, 250).view(), all.view(), 1e-13));
  BOOST_TEST(close_absolute(samples_of(7, 100, 50).view(), all.view().columns(100, 50), 1e-13));
  BOOST_TEST(!close_absolute(samples_of(7, 100, 50).view(), all.view().columns(0, 50), 0.1));
  BOOST_CHECK_EXCEPTION(density(model, all), OptionError, says({"no way back to latents"}));
  FlowWorkspace<double>(model.flow(), 10, Pass::gradient);
  BOOST_CHECK_EXCEPTION(model.set_diffusion({.marginals = {}, .eta = -1}), OptionError,
                        says({"eta = -1", "at least 0"}));
  BOOST_CHECK_EXCEPTION(model.set_diffusion({.marginals = {}, .eta = 1, .steps = 0}), OptionError,
                        says({"0 stochastic steps"}));
  BOOST_CHECK_EXCEPTION(random_model<double>(data::Standardization::Kind::none, 2).set_diffusion({}), OptionError,
                        says({"the last transform of this model integrates no equation"}));
}

// The values of a sample that is not finite say so.
BOOST_AUTO_TEST_CASE(a_diffusion_that_blows_up_says_so) {
  auto model = linear_model(1, {});
  model.set_diffusion({.marginals = [](double) { return ode::MarginalPoint{1e200, 0, 1}; }, .eta = 1e200, .steps = 3});
  for (const auto status : sample(model, 3).status) BOOST_TEST(int(status) == int(Status::not_finite));
}

BOOST_AUTO_TEST_CASE(models_that_integrate_nothing_have_no_sampler) {
  auto model = random_model<double>(data::Standardization::Kind::none, 2);
  BOOST_TEST(model.flow().integrations().empty());
  BOOST_CHECK_EXCEPTION(model.set_sampler({"euler", 4}), OptionError, says({"no transform of this model integrates"}));
  auto continuous = random_continuous(2, {});
  BOOST_CHECK_EXCEPTION(model.set_guidance(2), OptionError, says({"no transform of this model integrates"}));
  BOOST_CHECK_EXCEPTION(continuous.set_guidance(2), OptionError, says({"objective.unconditional"}));
  BOOST_CHECK_EXCEPTION(continuous.set_sampler({"eulr", 4}), OptionError, says({"euler"}));
  BOOST_CHECK_EXCEPTION(continuous.set_sampler({"euler", 0}), OptionError, says({"at least 1"}));
}

// Everything about a linear field is known.
BOOST_AUTO_TEST_CASE(a_check_compares_a_grid_with_a_finer_one_and_with_the_limit) {
  const auto x = random_matrix<double>(1, 50, 5);
  constexpr double a = 1.5;
  const auto nll = [&](double factor) {
    double sum = 0;
    for (Index j = 0; j < 50; ++j) sum += 0.5 * std::pow(factor * x(0, j), 2);
    return sum / 50 + 0.5 * std::log(2 * std::numbers::pi) - std::log(factor);
  };
  auto model = linear_model(a, {.solver = "euler", .steps = 4, .density = "discrete"});
  const auto check = flow::check_integration(model, x);
  BOOST_TEST(check.rows == 50);
  BOOST_TEST(check.folded == 0);
  BOOST_TEST(check.failed == 0);
  const double grid = std::pow(1 - a / 4, 4), finer = std::pow(1 - a / 8, 8);
  BOOST_TEST(close_absolute(check.grid_nll, nll(grid), 1e-12));
  BOOST_TEST(close_absolute(check.limit_nll, nll(std::exp(-a)), 1e-5));
  double mean = 0, largest = 0;
  for (Index j = 0; j < 50; ++j) {
    const double change = std::abs(std::log(finer / grid) - 0.5 * (finer * finer - grid * grid) * std::pow(x(0, j), 2));
    mean += change / 50;
    largest = std::max(largest, change);
  }
  BOOST_TEST(close_absolute(check.mean_change, mean, 1e-12));
  BOOST_TEST(close_absolute(check.largest_change, largest, 1e-12));
  BOOST_TEST(close_absolute(check.contraction, a / 4, 1e-12));
  BOOST_TEST(model.flow().integrations()[0].steps == 4);
  BOOST_TEST(model.flow().integrations()[0].density == "discrete");
  // The limit is that of small steps, also if the model is content with two.
  auto lax =
      linear_model(a, {.solver = "euler", .steps = 1, .density = "continuous", .tolerance = 1e9, .max_steps = 2});
  BOOST_TEST(!close_absolute(flow::check_integration(lax, x).grid_nll, nll(std::exp(-a)), 1e-2));
  BOOST_TEST(close_absolute(flow::check_integration(lax, x).limit_nll, nll(std::exp(-a)), 1e-5));
  BOOST_TEST(lax.flow().integrations()[0].max_steps == 2);

  // Steps that are too long turn the line around.
  auto folded = linear_model(5, {.solver = "euler", .steps = 3, .density = "discrete"});
  BOOST_TEST(flow::check_integration(folded, x).folded == 50);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
