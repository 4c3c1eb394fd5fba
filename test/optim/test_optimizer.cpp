#include <pushforward/optim/optimizer.hpp>

#include "../linalg/fixtures.hpp"

#include <cmath>
#include <numbers>

namespace pushforward::test {

namespace {

using optim::Algorithm;
using optim::OptimizerOptions;
using optim::Schedule;
using optim::ScheduleOptions;

// The algorithms as their papers state them, one parameter at a time, in double: Algorithms 1 and 2 of Kingma and Ba
// [2015], Algorithm 2 of Loshchilov and Hutter [2019].
struct Reference {
  OptimizerOptions o;
  double m = 0, v = 0, u = 0;
  int t = 0;

  double step(double rate, double gradient, double theta) {
    ++t;
    const double g = o.algorithm == Algorithm::adamw ? gradient : gradient + o.weight_decay * theta;
    m = o.beta1 * m + (1 - o.beta1) * g;
    v = o.beta2 * v + (1 - o.beta2) * g * g;
    u = std::max(o.beta2 * u, std::abs(g));
    if (o.algorithm == Algorithm::adamax) return theta - rate / (1 - std::pow(o.beta1, t)) * m / (u + o.epsilon);
    const double m_hat = m / (1 - std::pow(o.beta1, t)), v_hat = v / (1 - std::pow(o.beta2, t));
    const double decay = o.algorithm == Algorithm::adamw ? o.weight_decay * theta : 0;
    return theta - rate * (m_hat / (std::sqrt(v_hat) + o.epsilon) + decay);
  }
};

// Twenty steps downhill on Σ (θᵢ − i)²/2 + a gradient that is zero in its first element, at a rate that changes.
template <class T>
Verdict follows_its_paper(const OptimizerOptions& options) {
  constexpr Index n = 9;
  auto parameters = random_vector<T>(n, 1);
  std::vector<double> expected(parameters.begin(), parameters.end());
  std::vector<Reference> reference(n, Reference{options});
  optim::Optimizer<T> optimizer(n, options);
  for (int step = 0; step < 20; ++step) {
    const double rate = 0.1 / (1 + step);
    std::vector<T> gradient(n);
    for (std::size_t i = 0; i < n; ++i) {
      gradient[i] = i == 0 ? T(0) : parameters[i] - static_cast<T>(i);
      expected[i] = reference[i].step(rate, static_cast<double>(gradient[i]), expected[i]);
    }
    optimizer.step(rate, gradient, parameters);
  }
  const std::vector<double> actual(parameters.begin(), parameters.end());
  return close_relative(std::span<const double>(actual), std::span<const double>(expected), gamma<T>(200));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(optimizer)

BOOST_AUTO_TEST_CASE_TEMPLATE(twenty_steps_follow_the_papers, T, Precisions) {
  for (const Algorithm algorithm : {Algorithm::adam, Algorithm::adamw, Algorithm::adamax}) {
    for (const double decay : {0.0, 0.3}) {
      BOOST_TEST(follows_its_paper<T>({.algorithm = algorithm, .weight_decay = decay}));
      BOOST_TEST(follows_its_paper<T>(
          {.algorithm = algorithm, .beta1 = 0.5, .beta2 = 0.999, .epsilon = 1e-2, .weight_decay = decay}));
    }
    BOOST_TEST(follows_its_paper<T>({.algorithm = algorithm, .beta1 = 0, .beta2 = 0}));
  }
}

BOOST_AUTO_TEST_CASE(a_parameter_without_a_gradient_rests_but_for_decay) {
  std::vector<double> parameters{2, 2};
  const std::vector<double> gradient{0, 1};
  optim::Optimizer<double> adam(2, {});
  adam.step(0.1, gradient, parameters);
  BOOST_TEST(parameters[0] == 2.0);
  BOOST_TEST(close_relative(parameters[1], 1.9, 1e-8));
  optim::Optimizer<double> adamw(2, {.algorithm = Algorithm::adamw, .weight_decay = 0.5});
  adamw.step(0.1, gradient, parameters);
  BOOST_TEST(close_relative(parameters[0], 2.0 * (1 - 0.1 * 0.5), 1e-15));
}

BOOST_AUTO_TEST_CASE(options_out_of_range_are_named_with_their_values) {
  const auto make = [](const OptimizerOptions& options) { optim::Optimizer<double>(3, options); };
  const double nan = nan_of<double>;
  BOOST_CHECK_EXCEPTION(make({.beta1 = 1}), OptionError, says({"beta1 = 1 and", "must be in [0, 1)"}));
  BOOST_CHECK_EXCEPTION(make({.beta1 = -0.1}), OptionError, says({"beta1 = -0.1"}));
  BOOST_CHECK_EXCEPTION(make({.beta2 = 1.5}), OptionError, says({"beta2 = 1.5 must be in [0, 1)"}));
  BOOST_CHECK_EXCEPTION(make({.beta2 = nan}), OptionError, says({"beta2 = nan"}));
  BOOST_CHECK_EXCEPTION(make({.epsilon = 0}), OptionError, says({"epsilon = 0 positive"}));
  BOOST_CHECK_EXCEPTION(make({.weight_decay = -1}), OptionError, says({"weight_decay = -1 not negative"}));
}

BOOST_AUTO_TEST_CASE(spans_of_another_size_are_refused) {
  optim::Optimizer<double> adam(3, {});
  std::vector<double> three(3), two(2);
  BOOST_CHECK_EXCEPTION(adam.step(0.1, two, three), ShapeError,
                        says({"gradient (2) and parameters (3) do not fit 3 moments"}));
  BOOST_CHECK_EXCEPTION(adam.step(0.1, three, two), ShapeError, says({"gradient (3) and parameters (2)"}));
  BOOST_CHECK_EXCEPTION(optim::update_average(0.5, std::span<const double>(two), std::span(three)), ShapeError,
                        says({"2 values for an average of 3"}));
}

BOOST_AUTO_TEST_CASE(names_lead_to_methods_and_schedules) {
  for (const auto& name : optim::algorithm_names()) {
    BOOST_TEST(optim::algorithm_names()[static_cast<Index>(optim::algorithm_of(name))] == name);
  }
  for (const auto& name : optim::schedule_names()) {
    BOOST_TEST(optim::schedule_names()[static_cast<Index>(optim::schedule_of(name))] == name);
  }
  BOOST_CHECK_EXCEPTION(optim::algorithm_of("adma"), OptionError,
                        says({"optimizer 'adma' is unknown (did you mean 'adam'?); there are adam, adamw, adamax"}));
  BOOST_CHECK_EXCEPTION(optim::schedule_of("cosin"), OptionError, says({"schedule 'cosin'", "'cosine'"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(gradient_and_weights)

BOOST_AUTO_TEST_CASE_TEMPLATE(clipping_keeps_the_direction, T, Precisions) {
  const std::vector<T> gradient{3, 0, -4};
  auto clipped = gradient;
  BOOST_TEST(optim::clip_norm(std::span(clipped), 2.5) == 5);
  BOOST_TEST(clipped == (std::vector<T>{1.5, 0, -2}));
  for (const double limit : {5.0, 7.0, 0.0}) {
    auto kept = gradient;
    BOOST_TEST(optim::clip_norm(std::span(kept), limit) == 5);
    BOOST_TEST(kept == gradient);
  }
  BOOST_TEST(optim::clip_norm(std::span<T>(), 1) == 0);
}

BOOST_AUTO_TEST_CASE(the_norm_is_summed_in_double) {
  std::vector<float> gradient(1 << 20, 1e-25F);  // its square is no float
  BOOST_TEST(close_relative(optim::clip_norm(std::span(gradient), 0), 1024e-25, 1e-6));
  gradient[5] = nan_of<float>;
  BOOST_TEST(std::isnan(optim::clip_norm(std::span(gradient), 1)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(an_average_forgets_geometrically, T, Precisions) {
  std::vector<T> average{1, 10};
  const std::vector<T> values{5, 10};
  for (int step = 0; step < 3; ++step) optim::update_average(0.5, std::span(values), std::span(average));
  BOOST_TEST(average == (std::vector<T>{4.5, 10}));
  optim::update_average(0, std::span(values), std::span(average));
  BOOST_TEST(average == values);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(schedules)

BOOST_AUTO_TEST_CASE(the_rate_rises_linearly_to_its_highest) {
  for (const Schedule schedule : {Schedule::constant, Schedule::cosine, Schedule::step}) {
    const ScheduleOptions options{.schedule = schedule, .rate = 0.8, .steps = 100, .warmup = 4};
    BOOST_TEST(optim::learning_rate(options, 0) == 0.2);
    BOOST_TEST(optim::learning_rate(options, 1) == 0.4);
    BOOST_TEST(optim::learning_rate(options, 3) == 0.8);
    BOOST_TEST(optim::learning_rate(options, 4) == 0.8);
  }
}

BOOST_AUTO_TEST_CASE(constant_stays) {
  const ScheduleOptions options{.schedule = Schedule::constant, .rate = 0.8, .steps = 10};
  for (const Index step : {0, 5, 9, 20}) BOOST_TEST(optim::learning_rate(options, step) == 0.8);
}

BOOST_AUTO_TEST_CASE(cosine_falls_to_nothing_after_the_last_step) {
  const ScheduleOptions options{.schedule = Schedule::cosine, .rate = 0.8, .steps = 14, .warmup = 4};
  BOOST_TEST(optim::learning_rate(options, 4) == 0.8);
  BOOST_TEST(close_relative(optim::learning_rate(options, 9), 0.4, 1e-15));
  BOOST_TEST(close_relative(optim::learning_rate(options, 13), 0.4 * (1 + std::cos(0.9 * std::numbers::pi)), 1e-14));
  BOOST_TEST(optim::learning_rate(options, 14) == 0);
  BOOST_TEST(optim::learning_rate(options, 1000) == 0);
}

BOOST_AUTO_TEST_CASE(steps_are_taken_after_equal_numbers_of_steps) {
  ScheduleOptions options{.schedule = Schedule::step, .rate = 1, .steps = 20, .warmup = 2, .step_every = 5};
  const auto rate = [&](Index step) { return optim::learning_rate(options, step); };
  BOOST_TEST(rate(6) == 1.0);
  BOOST_TEST(close_relative(rate(7), 0.1, 1e-15));
  BOOST_TEST(close_relative(rate(11), 0.1, 1e-15));
  BOOST_TEST(close_relative(rate(12), 0.01, 1e-15));
  options.step_every = 0;  // thirds of 18
  options.step_factor = 0.5;
  BOOST_TEST(rate(7) == 1.0);
  BOOST_TEST(rate(8) == 0.5);
  BOOST_TEST(rate(14) == 0.25);
  BOOST_TEST(rate(19) == 0.25);
}

BOOST_AUTO_TEST_CASE(a_run_that_is_all_warm_up_never_divides_by_nothing) {
  for (const Schedule schedule : {Schedule::constant, Schedule::cosine, Schedule::step}) {
    const ScheduleOptions options{.schedule = schedule, .rate = 1, .steps = 3, .warmup = 3};
    BOOST_TEST(optim::learning_rate(options, 2) == 1.0);
    BOOST_TEST(std::isfinite(optim::learning_rate(options, 3)));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
