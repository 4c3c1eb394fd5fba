#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/train/grid_guard.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/transforms/continuous.hpp>

#include "../linalg/fixtures.hpp"

#include <ranks.hpp>

namespace pushforward::test {

namespace {

using flow::FlowWorkspace;
using flow::IntegrationOptions;
using flow::Pass;
using train::GridGuard;

// v(x) = a x with one step of Euler from t = 1 to t = 0: z = (1 − a) x, which folds for a > 1.
flow::Flow<double> linear_flow(double a, const IntegrationOptions& integration) {
  flow::Flow<double> flow({.data = {.shape = Shape::vector(1)},
                           .chain = {flow::ContinuousOptions{.hidden = {}, .integration = integration}}},
                          1);
  for (const auto& block : flow.layout().blocks()) {
    if (block.name.ends_with("weight")) flow.parameters()[block.offset] = a;
  }
  flow.prepare(nn::Normalization::values);
  return flow;
}

// A run whose first steps go too far for its grid.
train::Options lively_run(const std::string& density) {
  train::Options options;
  options.data = {.toy = "moons", .rows = 600};
  options.model.kind = "continuous";
  options.model.hidden = {24, 24};
  options.model.integration = {.solver = "euler", .steps = 1, .density = density, .tolerance = 1e-5};
  options.train.steps = 120;
  options.train.batch = 64;
  options.train.warmup = 0;
  options.train.learning_rate = 0.1;
  options.train.validate_every = 20;
  options.output.every = 20;
  return options;
}

struct Course {
  train::Outcome outcome;
  std::vector<std::string> warnings;
  std::vector<double> parameters, losses;
  Index steps = 0;
};
Course run(const comm::Communicator& comm, const train::Options& options) {
  train::TrainingData<double> data(comm, options.data);
  train::Fit<double> fit(comm, options, data);
  Course course;
  course.outcome = fit.run({.observer = [&](const train::HistoryRow& row) { course.losses.push_back(row.train_loss); },
                            .warn = [&](const std::string& text) { course.warnings.push_back(text); }});
  course.parameters.assign(fit.flow().parameters().begin(), fit.flow().parameters().end());
  course.steps = fit.flow().integrations()[0].steps;
  data.release();
  return course;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(grid_guard)

BOOST_AUTO_TEST_CASE(a_guard_doubles_the_steps_up_to_the_most) {
  auto flow = linear_flow(0.5, {.solver = "euler", .steps = 3, .density = "discrete", .max_steps = 12});
  GridGuard<double> guard(flow);
  BOOST_TEST(!guard.apply());
  BOOST_TEST(guard.take_changes().empty());
  BOOST_TEST(guard.refine("a reason"));
  BOOST_TEST(flow.integrations()[0].steps == 6);
  BOOST_TEST(flow.architecture().chain[0].get_if<flow::ContinuousOptions>()->integration.steps == 6);
  BOOST_TEST(guard.take_changes() == "a reason; the grid has 6 instead of 3 steps from now on");
  BOOST_TEST(guard.take_changes().empty());
  BOOST_TEST(guard.refine("a reason"));
  guard.take_changes();
  BOOST_TEST(!guard.refine("a reason"));
  BOOST_TEST(flow.integrations()[0].steps == 12);
  BOOST_TEST(guard.take_changes().empty());
  guard.warn("a reason");
  guard.warn("another reason");
  BOOST_TEST(guard.take_changes() ==
             "a reason; model.max_steps allows no finer grid, so the training loss is no NLL from now on");
}

BOOST_AUTO_TEST_CASE(a_restored_state_sets_the_grid) {
  auto flow = linear_flow(0.5, {.steps = 2});
  GridGuard<double> guard(flow);
  StateSet state;
  guard.add_state(state);
  const StateCopy before(state);
  BOOST_TEST(guard.refine(""));
  BOOST_TEST(flow.integrations()[0].steps == 4);
  before.restore(state);
  BOOST_TEST(guard.apply());
  BOOST_TEST(flow.integrations()[0].steps == 2);
  BOOST_TEST(!guard.apply());
}

// One step of Euler has log p off by log(1 − a) + a and by the squares, which are known.
BOOST_AUTO_TEST_CASE(a_guard_knows_how_far_a_grid_is_from_the_limit) {
  constexpr double a = 0.2;
  const auto x = random_matrix<double>(1, 40, 3);
  auto flow = linear_flow(a, {.solver = "euler", .steps = 1, .density = "continuous", .tolerance = 1e-10});
  const GridGuard<double> guard(flow);
  BOOST_TEST(guard.has_limit());
  FlowWorkspace<double> limit(flow, 40, Pass::evaluate);
  double expected = 0;
  for (Index j = 0; j < 40; ++j) {
    const double coarse = -a - 0.5 * std::pow((1 - a) * x(0, j), 2);
    const double fine = -a - 0.5 * std::pow(std::exp(-a) * x(0, j), 2);
    expected += std::abs(coarse - fine) / 40;
  }
  BOOST_TEST(expected > 1e-3);
  BOOST_TEST(close_absolute(guard.difference({.x = x}, limit, flow::default_workspace_bytes), expected, 1e-9));
  auto discrete = linear_flow(a, {.density = "discrete"});
  BOOST_TEST(!GridGuard<double>(discrete).has_limit());
}

// The noise of an estimated divergence is no error of the grid.
BOOST_AUTO_TEST_CASE(a_guard_takes_no_noise_for_an_error) {
  const auto x = random_matrix<double>(3, 30, 3);
  flow::Flow<double> flow(3, {.kind = "continuous", .hidden = {9, 7}, .integration = {.density = "continuous"}}, 1);
  const auto values = random_vector<double>(flow.layout().size(), 51, 0.5);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(nn::Normalization::values);
  const GridGuard<double> guard(flow);
  FlowWorkspace<double> limit(flow, 30, Pass::evaluate);
  const double exact = guard.difference({.x = x}, limit, flow::default_workspace_bytes);
  const auto method = logdet::parse_method("hutchinson:solve");
  flow.set_log_det(Pass::gradient, method);
  BOOST_TEST(guard.difference({.x = x}, limit, flow::default_workspace_bytes) == exact);
  BOOST_TEST(to_string(*log_det_method(*flow.transforms()[0], Pass::gradient)) == to_string(method));
  BOOST_TEST(exact < 0.01);
  // Nor is a penalty.
  auto integrations = flow.integrations();
  integrations.front().penalty.kinetic_energy = 10;
  flow.set_integrations(integrations);
  BOOST_TEST(guard.difference({.x = x}, limit, flow::default_workspace_bytes) == exact);
  BOOST_TEST(flow.integrations().front().penalty.kinetic_energy == 10);
  integrations.front().penalty = {};
  flow.set_integrations(integrations);
  // The twin: what a workspace of this training would say.
  FlowWorkspace<double> noisy(flow, 30, Pass::gradient);
  std::vector<double> along(30), in_limit(30);
  std::vector<flow::Status> status(30);
  flow.log_prob({.x = x}, along, {}, status, noisy);
  flow.log_prob({.x = x}, in_limit, {}, status, limit);
  double sum = 0;
  for (std::size_t i = 0; i < 30; ++i) sum += std::abs(along[i] - in_limit[i]) / 30;
  BOOST_TEST(sum > 0.01);
}

BOOST_AUTO_TEST_CASE(a_likelihood_says_that_a_map_folds_and_takes_a_finer_grid) {
  auto flow = linear_flow(1.5, {.solver = "euler", .steps = 1, .density = "discrete", .max_steps = 2});
  train::Likelihood<double> likelihood(flow);
  const auto x = random_matrix<double>(1, 8, 3);
  likelihood.plan(8);
  likelihood.prepare();
  std::vector<double> gradient(flow.parameters().size());
  const auto folded = likelihood.add({}, {.x = x}, gradient);
  BOOST_TEST(folded.folded);
  BOOST_TEST(folded.failure.find("determinant") != std::string::npos);
  BOOST_TEST(!likelihood.prepare_again(0, false));  // for another reason there is nothing to try
  BOOST_TEST(likelihood.prepare_again(0, true));
  const auto good = likelihood.add({}, {.x = x}, gradient);
  BOOST_TEST(!good.folded);
  BOOST_TEST(good.failure.empty());
  double expected = 0;  // z = (1 − 0.75)² x
  for (Index j = 0; j < 8; ++j) {
    expected += 0.5 * std::pow(0.0625 * x(0, j), 2) + 0.5 * std::log(2 * std::numbers::pi) - std::log(0.0625);
  }
  BOOST_TEST(close_relative(good.loss, expected, 1e-12));
  BOOST_TEST(!likelihood.prepare_again(1, true));  // 2 steps are the most
}

BOOST_AUTO_TEST_CASE(validation_takes_a_finer_grid_too) {
  auto flow = linear_flow(1.5, {.solver = "euler", .steps = 1, .density = "discrete"});
  train::Likelihood<double> likelihood(flow);
  const auto x = random_matrix<double>(1, 8, 3);
  const auto result = likelihood.evaluate(comm::Communicator::self(), {.x = x});
  BOOST_TEST(result.failed == 0);
  BOOST_TEST(flow.integrations()[0].steps == 2);
  BOOST_TEST(!likelihood.take_changes().empty());
}

// A run whose grid turns out to be too coarse comes to its end on a finer one, in the same way on any number of ranks.
BOOST_FIXTURE_TEST_CASE(a_run_refines_its_grid, Ranks) {
  for (const auto* const density : {"discrete", "continuous"}) {
    const auto options = lively_run(density);
    const auto course = run(comm, options);
    const auto alone = run(comm::Communicator::self(), options);
    BOOST_TEST(on_all_ranks(comm, Verdict(course.outcome.end == train::End::steps)), density);
    BOOST_TEST(on_all_ranks(comm, Verdict(course.steps > 1)), density);
    BOOST_TEST(on_all_ranks(comm, Verdict(course.steps == alone.steps)));
    BOOST_TEST(on_all_ranks(comm, close_relative(course.losses, alone.losses, 1e-6)));
    if (comm.is_root()) {
      BOOST_TEST(!course.warnings.empty());
      for (const auto& warning : course.warnings)
        BOOST_TEST(warning.find("the grid has") != std::string::npos, warning);
    }
    auto stuck = options;
    stuck.model.integration.max_steps = 2;
    stuck.model.integration.steps = 2;
    stuck.model.integration.tolerance = 1e9;  // within which two steps are the limit, so that the run has validations
    const auto end = run(comm, stuck);
    BOOST_TEST(on_all_ranks(comm, Verdict(end.steps == 2)));
    if (comm.is_root()) {
      const auto says = [](const std::string& text) { return text.find("allows no finer grid") != std::string::npos; };
      BOOST_TEST(std::ranges::count_if(end.warnings, says) == (density == std::string("continuous") ? 1 : 0), density);
    }
  }
}

// The best parameters are judged on the present grid, so the reported validation is that of the model.
BOOST_AUTO_TEST_CASE(the_best_validation_is_that_of_the_final_grid) {
  const auto options = lively_run("discrete");
  const auto& self = comm::Communicator::self();
  train::TrainingData<double> data(self, options.data);
  train::Fit<double> fit(self, options, data);
  const auto outcome = fit.run();
  BOOST_TEST(outcome.best_validation.has_value());
  const auto rows = data.batch(data::Split::validation);
  FlowWorkspace<double> workspace(fit.flow(), 64, Pass::evaluate);
  const auto again = flow::evaluate(self, fit.flow(), rows, workspace);
  BOOST_TEST(close_absolute(again.mean - data.standardization().log_det(), outcome.best_validation->mean, 1e-10));
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
