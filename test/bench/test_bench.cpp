// Checks what bench's figures rest on: comparisons can fail, operations are counted right, and steps are the trainer's.

#include <pushforward/train/fit.hpp>

#include "evaluation.hpp"
#include "likelihood.hpp"
#include "matching.hpp"
#include "reference.hpp"
#include "report.hpp"
#include "training_step.hpp"

#include "../linalg/fixtures.hpp"
#include "../logdet/method_options.hpp"

#include <ranks.hpp>

#include <fstream>

namespace pushforward::test {

namespace {

using bench::Checks;
using bench::FlowCase;
using bench::FlowShape;
using bench::gradient_products;
using bench::log_det_products;
using bench::Products;
using bench::value_products;
using bench::Work;
using comm::Communicator;
using nn::Pass;

FlowCase small_case(Work work, const std::string& method = "exact", const std::string& kind = "residual") {
  return {.name = "small", .work = work, .shape = {3, 2, {7, 5}, kind}, .rows = 10, .method = method};
}

FlowCase continuous_case(Work work, const std::string& density) {
  return {.name = "small",
          .work = work,
          .shape = {3, 1, {7, 5}, "continuous", {.steps = 3, .density = density, .tolerance = 1e-4}},
          .rows = 10};
}

// The library's log p and gradient of a case pass; the same off by a part in a hundred do not.
template <class T>
void require_that_what_is_off_fails(const FlowCase& c) {
  const bench::GradientInputs<T> inputs(c);
  auto result = bench::likelihood(inputs);
  Checks checks;
  bench::check_likelihood(inputs, c, result, checks);
  BOOST_TEST(checks.nearest().error < checks.nearest().tolerance);

  const auto fails = [&](const std::string& what) {
    BOOST_CHECK_EXCEPTION(bench::check_likelihood(inputs, c, result, checks), NumericalError, says({what}));
  };
  const auto largest = std::max_element(result.gradient.begin(), result.gradient.end());
  *largest *= T(1.01);
  fails("the gradient in ");
  *largest /= T(1.01);
  result.log_prob[0] *= 1.01;
  fails("log p by plain loops");
  result.log_prob[0] /= 1.01;
  result.log_prob.back() *= 1.01;
  fails("log p in ");
}

void require_steps_of_the_trainer(const Communicator& self, const train::Options& options,
                                  const train::TrainingData<double>& data) {
  const bool matches = options.objective.kind == train::FlowMatchingOptions::kind;
  train::Fit<double> fit(self, options, data);
  flow::Flow<double> flow(fit.flow().architecture(), 1);
  if (options.log_det.train != "auto") flow.set_log_det(Pass::gradient, logdet::parse_method(options.log_det.train));
  std::copy(fit.flow().parameters().begin(), fit.flow().parameters().end(), flow.parameters().begin());
  flow.prepare(nn::Normalization::svd);
  const auto objective =
      options.objective.chosen().make(train::ObjectivePlace<double>{flow, options, data}, options.objective.options());
  bench::TrainingStep<double> step(self, *objective, data.batch(data::Split::train).x, options);
  std::vector<double> expected, taken;
  fit.run({.observer = [&](const train::HistoryRow& row) {
    expected.push_back(row.train_loss + (matches ? 0 : data.standardization().log_det()));
    taken.push_back(step.take(step.steps()));
  }});
  BOOST_TEST(expected.size() == 5U);
  BOOST_TEST(close_relative(taken, expected, 1e-9));
  // The trainer ends with the average, baked.
  std::copy(step.average().begin(), step.average().end(), flow.parameters().begin());
  flow.bake_normalization();
  BOOST_TEST(close_relative(flow.parameters(), std::as_const(fit.flow()).parameters(), 1e-9));
}

double sum(const logdet::Flops& flops) {
  return flops.gemm + flops.lu;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comparisons)

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_near_passes_and_the_nearest_to_its_tolerance_is_kept, T, Precisions) {
  const std::vector<T> expected{1, -4, 0}, actual{1, T(-4.001), 0}, nearer{1, T(-4.0001), 0};
  Checks checks;
  checks.close<T>("nearer", nearer, expected, 1e-3);
  checks.close<T>("values", actual, expected, 1e-3);
  checks.close<T>("nearer again", nearer, expected, 1e-3);
  BOOST_TEST(close_relative(checks.nearest().error, 2.5e-4, 1e-3));
  BOOST_TEST(checks.nearest().tolerance == 1e-3);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_off_fails, T, Precisions) {
  constexpr T infinity = std::numeric_limits<T>::infinity();
  const auto fails = [](const std::vector<T>& actual, const std::vector<T>& expected, const std::string& part) {
    BOOST_CHECK_EXCEPTION(Checks().close<T>("values", actual, expected, 1e-3), NumericalError, says({"values", part}));
  };
  fails({1, 2.01F}, {1, 2}, "element 1 is 2.0");
  fails({1, -2}, {1, 2}, "element 1 is -2, but the reference 2");
  fails({nan_of<T>, 2}, {1, 2}, "element 0 is nan");
  fails({infinity, 2}, {1, 2}, "element 0 is inf");
  fails({1, 2}, {1, nan_of<T>}, "but the reference nan");
  fails({1, 2}, {1, infinity}, "says nothing");
  fails({0, 0}, {0, 0}, "says nothing");
  fails({}, {}, "says nothing");
  fails({1, 2, 3}, {1, 2}, "3 values, but the reference has 2");
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_gradient_that_is_off_fails, T, Precisions) {
  for (const Work work : {Work::train, Work::gradient}) {
    for (const auto* const method :
         {"exact", "neumann:p=0.5,exact=2,length=step", "krylov:2", "trace+krylov:2", "trace+krylov:2,probes=2"}) {
      require_that_what_is_off_fails<T>(small_case(work, method));
    }
  }
  require_that_what_is_off_fails<T>(small_case(Work::train, "exact", "realnvp"));
  for (const auto* const density : {"discrete", "continuous"}) {
    require_that_what_is_off_fails<T>(continuous_case(Work::train, density));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_step_of_flow_matching_that_is_off_fails, T, Precisions) {
  bench::MatchingInputs<T> inputs(Communicator::self(), continuous_case(Work::match, "discrete"));
  auto result = bench::matching_loss(inputs);
  Checks checks;
  bench::check_matching(inputs, result, checks);
  BOOST_TEST(checks.nearest().error < checks.nearest().tolerance);
  const auto fails = [&](const std::string& what) {
    BOOST_CHECK_EXCEPTION(bench::check_matching(inputs, result, checks), NumericalError, says({what}));
  };
  result.loss[3] *= 1.01;
  fails("losses by plain loops");
  result.loss[3] /= 1.01;
  *std::max_element(result.gradient.begin(), result.gradient.end()) *= T(1.01);
  fails("the gradient in double");
  inputs.release();
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_density_or_a_sample_that_is_off_fails, T, Precisions) {
  for (const auto& c : {small_case(Work::density), small_case(Work::sample), continuous_case(Work::density, "discrete"),
                        continuous_case(Work::density, "continuous")}) {
    const bench::Evaluation<T> evaluation(c);
    const Matrix<T> in = bench::normal_columns<T>(3, c.rows);
    bench::Evaluated<T> out(3, c.rows);
    auto workspace = evaluation.workspace(c.rows);
    evaluation.evaluate(in, out, workspace);
    Checks checks;
    evaluation.check(checks, in.view(), out);
    const auto fails = [&](const std::string& what) {
      BOOST_CHECK_EXCEPTION(evaluation.check(checks, in.view(), out), NumericalError, says({what}));
    };
    out.log_prob[1] *= 1.01;
    fails("log p by plain loops");
    out.log_prob[1] /= 1.01;
    out.image(0, 0) += T(0.01);
    fails("a latent by plain loops");
    out.image(0, 0) -= T(0.01);
    out.status.back() = flow::Status::not_converged;
    fails("1 of 10 samples are not ok");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(operations)

BOOST_AUTO_TEST_CASE(shapes_add_up_to_what_the_cost_model_counts) {
  constexpr Index n = 7;
  // Narrow, wide and square layers; with and without W₁W_L as one.
  for (const auto& shape : {FlowShape{3, 1, {4, 5}}, FlowShape{6, 1, {5, 2, 8}}, FlowShape{5, 1, {5, 5}},
                            FlowShape{9, 1, {2, 30}}, FlowShape{4, 1, {3}}}) {
    const auto network = shape.network();
    const double value = n * logdet::product_flops(network);
    BOOST_TEST(close_relative(value_products(network, n).flops(), value, 1e-14));
    for (const auto* const text : {"exact:through=input", "exact:through=narrowest", "exact"}) {
      const auto method = logdet::parse_method(text);
      const auto h = exact_through(method.as<logdet::ExactOptions>(), network);
      const auto expected = [&](Pass pass) {
        return n * sum(h ? logdet::exact_flops_through_hidden(network, *h, pass)
                         : logdet::exact_flops_through_input(network, pass));
      };
      BOOST_TEST(close_relative(log_det_products(method, network, n, 0).flops(), expected(Pass::evaluate), 1e-14));
      BOOST_TEST(close_relative(gradient_products(method, network, n, 0).flops(), 3 * value + expected(Pass::gradient),
                                1e-14));
    }
    for (const auto* const text : {"krylov:3", "trace+krylov:3", "trace+krylov:2,probes=4"}) {
      const auto method = logdet::parse_method(text);
      const auto& options = *test::krylov_options(method);
      const bool has_trace = test::has_exact_trace(method);
      BOOST_TEST(close_relative(log_det_products(method, network, n, 0).flops(),
                                n * krylov_flops(options, has_trace, network, Pass::evaluate).gemm, 1e-14));
      BOOST_TEST(close_relative(gradient_products(method, network, n, 0).flops(),
                                3 * value + n * krylov_flops(options, has_trace, network, Pass::gradient).gemm, 1e-14));
    }
    // Four products with Jᵀ, a tangent as far as the last hidden layer, its reverse.
    const auto roulette = logdet::parse_method("neumann:p=0.5");
    BOOST_TEST(close_relative(gradient_products(roulette, network, n, 4).flops(),
                              (3 + 4 + 3) * value - n * network.layer_flops(network.depth() - 1), 1e-14));
    BOOST_CHECK_THROW(log_det_products(logdet::parse_method("series:3"), network, n, 0), BugError);
    BOOST_TEST(close_relative(gradient_products(network, n).flops(), 3 * value, 1e-14));
  }
}

// In units of the leading products 2nh² of two hidden layers of width h, which are much larger than d.
BOOST_AUTO_TEST_CASE(passes_of_continuous_flows_take_what_they_take) {
  constexpr Index n = 7, width = 20000, steps = 3, stages = 4, d = 2;
  const double unit = 2.0 * n * width * width;
  const auto shape = [&](const std::string& density) {
    return FlowShape{d, 1, {width, width}, "continuous", {.steps = steps, .density = density}};
  };
  const auto grid = [&](const std::string& density, Pass pass) {
    return bench::grid_products(shape(density), n, pass).flops() / (unit * steps * stages);
  };
  constexpr double small = 2e-3;  // d/h, several times
  BOOST_TEST(close_relative(grid("discrete", Pass::evaluate), 1.0 + d, small));
  BOOST_TEST(close_relative(grid("discrete", Pass::gradient), 3.0 * (1 + d), small));
  BOOST_TEST(close_relative(grid("continuous", Pass::evaluate), 2.0, small));
  BOOST_TEST(close_relative(grid("continuous", Pass::gradient), 6.0, small));
  const auto field = shape("discrete").network();
  BOOST_TEST(close_relative(bench::evaluation_products(field, n).flops() / unit, 2.0, small));
  BOOST_TEST(close_relative(bench::matching_products(field, n).flops() / unit, 3.0, small));
  // All products of a small field, layer by layer.
  const auto few = FlowShape{3, 1, {4, 5}, "continuous"}.network();
  BOOST_TEST(bench::evaluation_products(few, 1).flops() == 2.0 * (3 * 4 + 2 * 4 * 5 + 5 * 3));
  BOOST_TEST(bench::matching_products(few, 1).flops() == 2.0 * (2 * (3 + 5) * 4 + 3 * 4 * 5 + 3 * 5 * 3));
  BOOST_CHECK_THROW(bench::evaluation_products(FlowShape{3, 1, {4}, "continuous"}.network(), 1), BugError);
}

// As the table of the benchmarks has them, GFLOP.
BOOST_AUTO_TEST_CASE(known_cases_have_known_operations) {
  const auto step = [](const FlowShape& shape, Index n, const char* method, double terms) {
    return 1e-9 * static_cast<double>(shape.blocks) *
           gradient_products(logdet::parse_method(method), shape.network(), n, terms).flops();
  };
  BOOST_TEST(close_relative(step({2, 10, {128, 128, 128, 128}}, 500, "exact", 0), 4.4, 0.03));
  BOOST_TEST(close_relative(step({64, 1, {256, 256}}, 256, "exact", 0), 8.6, 0.03));
  const FlowShape realnvp{43, 10, {128, 128}, "realnvp"};
  const double even = gradient_products(realnvp.network(0), 512).flops(),
               odd = gradient_products(realnvp.network(1), 512).flops();
  BOOST_TEST(close_relative(5e-9 * (even + odd), 0.757, 0.001));
  const auto square = FlowShape{256, 1, {256, 256}}.network();
  BOOST_TEST(close_relative(1e-9 * log_det_products({}, square, 256, 0).flops(), 11.5, 0.03));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_bound_is_every_product_at_its_own_rate, T, Precisions) {
  Products products;
  products.add({.m = 3, .n = 4, .k = 5});
  products.add({.a = linalg::Op::transpose, .m = 3, .n = 4, .k = 5, .count = 2});
  products.add({.m = 3, .n = 4, .k = 5, .count = 0.5});
  BOOST_TEST(products.shapes().size() == 2U);
  BOOST_TEST(products.flops() == 3.5 * 120);
  bench::GemmRates<T> rates(products);
  rates.measure(0);
  BOOST_TEST(close_relative(rates.bound(), 180 / rates.rates()[0] + 240 / rates.rates()[1], 1e-14));
  BOOST_TEST((rates.bound() > 0 && std::isfinite(rates.bound())));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(subjects)

BOOST_AUTO_TEST_CASE(weights_are_as_after_training) {
  for (const auto& shape : {FlowShape{2, 4, {16, 16, 16}}, FlowShape{10, 4, {12, 12}}}) {
    const auto flow = bench::trained_flow<double>(shape);
    const bench::FlowCase c{.work = Work::density, .precision = "double", .shape = shape, .rows = 20};
    double previous = 0;
    for (const auto& transform : flow.transforms()) {
      // Every layer is held at its bound.
      for (const auto& layer : lipschitz_network(*transform)->layers()) {
        BOOST_TEST(close_relative(layer->norm(), layer->bound(), 1e-12));
      }
      // det(I + J) well away from 1, above and below in turn.
      linalg::Workspace counted_kept, counted_scratch;
      transform->plan(counted_kept, counted_scratch, 5, Pass::evaluate);
      linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
      const auto state = transform->plan(kept, scratch, 5, Pass::evaluate);
      std::vector<double> log_det(5);
      std::vector<flow::Status> status(5);
      Matrix<double> z(shape.dimension, 5);
      transform->forward(*state, {bench::normal_columns<double>(shape.dimension, 5)}, z, log_det, status);
      for (const double value : log_det) {
        BOOST_TEST(std::abs(value) > 0.1 * static_cast<double>(shape.dimension));
        BOOST_TEST(value * previous <= 0);
      }
      previous = log_det[0];
    }
  }
}

BOOST_AUTO_TEST_CASE(couplings_scale_as_after_training_and_have_the_networks_that_are_counted) {
  const FlowShape shape{7, 3, {16, 12}, "realnvp"};
  const auto flow = bench::trained_flow<double>(shape);
  const bench::PlainFlow plain(flow);
  const auto x = bench::normal_columns<double>(shape.dimension, 5);
  for (Index b = 0; b < shape.blocks; ++b) {
    const auto& coupling = dynamic_cast<const flow::Coupling<double>&>(*flow.transforms()[b]);
    BOOST_TEST(coupling.network().options().widths() == shape.network(b).widths());
    for (Index i = 0; i < x.cols(); ++i) {
      const auto value = plain.block(b, x.view().column_span(i));
      for (Index r = 1 - b % 2; r < shape.dimension; r += 2) BOOST_TEST(std::abs(value.jacobian(r, r)) > 1e-3);
    }
  }
}

// A step is the trainer's, whatever that takes it to be.
BOOST_AUTO_TEST_CASE(steps_are_those_of_the_trainer) {
  train::Options options;
  options.data = {.toy = "moons", .rows = 300};
  options.model.blocks = 2;
  options.model.hidden = {12, 10};
  options.train.steps = 5;
  options.train.batch = 37;
  options.train.warmup = 2;
  options.train.average = 0.6;
  options.train.clip = 5;
  options.train.validate_every = 5;
  options.output.every = 1;
  const auto self = Communicator::self();
  train::TrainingData<double> data(self, options.data);
  for (const auto* const method : {"exact", "trace+krylov:2"}) {
    options.log_det.train = method;
    require_steps_of_the_trainer(self, options, data);
  }
  options.log_det.train = "auto";
  options.model.kind = "continuous";
  require_steps_of_the_trainer(self, options, data);
  options.objective = train::FlowMatchingOptions{};
  require_steps_of_the_trainer(self, options, data);
  data.release();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(program)

BOOST_AUTO_TEST_CASE(cases_are_selected_by_name_or_beginning) {
  const std::vector<bench::Case> cases{{.name = "train.exact"}, {.name = "train.exact.d2"}, {.name = "training"}};
  const auto names = [&](const std::vector<std::string>& words) {
    std::vector<std::string> selected;
    for (const auto& c : bench::select_cases(cases, words)) selected.push_back(c.name);
    return selected;
  };
  using Names = std::vector<std::string>;
  BOOST_TEST(names({}) == (Names{"train.exact", "train.exact.d2", "training"}));
  BOOST_TEST(names({"train"}) == (Names{"train.exact", "train.exact.d2"}));
  BOOST_TEST(names({"training", "train.exact.d2"}) == (Names{"train.exact.d2", "training"}));
  BOOST_CHECK_EXCEPTION(names({"train", "trainin"}), OptionError,
                        says({"case 'trainin' is unknown (did you mean 'training'?)"}));
}

BOOST_AUTO_TEST_CASE(what_is_timed_is_run_as_often_as_is_said) {
  const bench::Session session{Communicator::self(), 0, true};
  int runs = 0;
  const auto timing = bench::time_repeats(session, [&] { ++runs; });
  BOOST_TEST(runs == 3);  // one to warm up
  BOOST_TEST(timing.repeats == 2);
  BOOST_TEST((timing.best > 0 && timing.best <= timing.median));
}

BOOST_AUTO_TEST_CASE(memory_of_the_process_is_seen) {
  bench::reset_peak_memory();
  const double before = bench::peak_memory();
  { std::vector<char> large(64 << 20, 1); }
  BOOST_TEST(bench::peak_memory() > before + 60e6);
}

BOOST_AUTO_TEST_CASE(a_file_with_other_columns_is_left_alone) {
  const auto path = (scratch_directory() / "other.csv").string();
  bench::append_csv(path, {"1"});
  bench::append_csv(path, {"2"});
  std::string text;
  std::getline(std::ifstream(path), text, '\0');
  BOOST_TEST(text == bench::csv_header() + "\n1\n2\n");
  std::ofstream(path) << "a,b\n";
  BOOST_CHECK_EXCEPTION(bench::append_csv(path, {"3"}), IoError, says({"begins with other columns"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
