#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/elementwise.hpp>

#include "../transforms/subjects.hpp"
#include "flows.hpp"

namespace pushforward::test {

namespace {

using flow::Flow;
using flow::FlowOptions;
using flow::FlowWorkspace;
using flow::InverseAlgorithm;
using flow::InverseOptions;
using flow::Pass;
using flow::Status;
using nn::Normalization;

// The results of log_prob or inverse for a batch.
template <class T>
struct Outcome {
  explicit Outcome(Index d, Index n) : value(d, n), log_prob(static_cast<std::size_t>(n)), status(log_prob.size()) {}
  Matrix<T> value;
  std::vector<double> log_prob;
  std::vector<Status> status;
  std::optional<flow::Failure> failure;
};

template <class T>
Outcome<T> log_prob(const Flow<T>& flow, const Matrix<T>& x, Index capacity = 100) {
  Outcome<T> out(flow.dimension(), x.cols());
  FlowWorkspace<T> workspace(flow, capacity, Pass::evaluate);
  flow.log_prob({.x = x}, out.log_prob, out.value, out.status, workspace);
  out.failure = workspace.failure();
  return out;
}

template <class T>
Outcome<T> inverse(const Flow<T>& flow, const Matrix<T>& z, const InverseOptions& options) {
  Outcome<T> out(flow.dimension(), z.cols());
  FlowWorkspace<T> workspace(flow, 100, Pass::evaluate);
  flow.inverse(z, out.value, out.log_prob, out.status, options, workspace);
  return out;
}

template <class T>
Flow<T> random_flow(Index d, const FlowOptions& options, double scale = 0.5) {
  Flow<T> flow(d, options, 1);
  const auto values = random_vector<T>(flow.layout().size(), 71, scale);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(Normalization::svd);
  return flow;
}

// Sets a block of a flow's parameters.
template <class T>
void set(Flow<T>& flow, const std::string& name, const std::vector<double>& values) {
  for (const auto& block : flow.layout().blocks()) {
    if (block.name != name) continue;
    std::transform(values.begin(), values.end(), flow.parameters().begin() + block.offset,
                   [](double value) { return static_cast<T>(value); });
    return;
  }
  BOOST_FAIL("no parameters " << name);
}

// Two blocks in the plane, the second x₀ ↦ x₀ + a tanh x₀ with weights as stored: no contraction where |a| > 1.
Flow<double> steep_flow(double a) {
  Flow<double> flow(2, {.blocks = 2, .hidden = {1}, .activation = "tanh", .actnorm = false}, 1);
  set(flow, "transforms/001/layer_0/weight", {1, 0});
  set(flow, "transforms/001/layer_0/bias", {0});
  set(flow, "transforms/001/layer_1/weight", {a, 0});
  flow.prepare(Normalization::stored);
  return flow;
}

template <class T>
void require_standard(const Matrix<T>& z, double tolerance) {
  const auto n = static_cast<double>(z.cols());
  for (Index i = 0; i < z.rows(); ++i) {
    double mean = 0, square = 0;
    for (Index j = 0; j < z.cols(); ++j) {
      mean += static_cast<double>(z(i, j)) / n;
      square += std::pow(static_cast<double>(z(i, j)), 2) / n;
    }
    BOOST_TEST(close_absolute(mean, 0, tolerance));
    BOOST_TEST(close_absolute(square, 1, tolerance));
  }
}

double norm(ConstMatrixView<double> a) {
  return frobenius(a);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(initialization)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_fresh_flow_is_the_identity, T, Precisions) {
  const Flow<T> flow(3, {.blocks = 2, .hidden = {5}}, 1);
  const auto x = random_matrix<T>(3, 7, 72);
  const auto out = log_prob(flow, x);
  BOOST_TEST(close_absolute(out.value.view(), x.view(), 0));
  for (Index j = 0; j < 7; ++j) {
    BOOST_TEST(close_absolute(out.log_prob[std::size_t(j)], normal_log_density<T>(x.view().column_span(j)), 1e-12));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(data_leave_each_actnorm_with_mean_zero_and_deviation_one, T, Precisions) {
  const double tolerance = std::is_same_v<T, float> ? 1e-5 : 1e-12;
  auto flow = random_flow<T>(3, {.blocks = 2, .hidden = {5}});
  auto x = random_matrix<T>(3, 400, 73);
  for (Index j = 0; j < x.cols(); ++j) {
    x(0, j) = T(5) * x(0, j) + T(3);
    x(2, j) = T(0.01) * x(2, j) - x(1, j);
  }
  flow.initialize_from_data({.x = x});
  require_standard(log_prob(flow, x, 64).value, tolerance);

  nn::ParameterLayout layout;
  flow::ActNorm<T> norm(layout, "norm", Shape::vector(3));
  std::vector<T> parameters(6);
  norm.initialize_from_data(parameters, x);
  norm.prepare(parameters, Normalization::svd);
  linalg::Workspace nothing;
  Matrix<T> z(3, 400);
  std::vector<double> log_det(400);
  std::vector<Status> status(400);
  norm.forward(*norm.plan(nothing, nothing, 400, Pass::evaluate), {x}, z, log_det, status);
  require_standard(z, tolerance);
  double sum = 0;
  for (std::size_t i = 0; i < 3; ++i) sum += static_cast<double>(parameters[i]);
  BOOST_TEST(close_absolute(log_det[399], sum, 1e-12));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_constant_column_keeps_scale_one, T, Precisions) {
  nn::ParameterLayout layout;
  const flow::ActNorm<T> norm(layout, "norm", Shape::vector(2));
  for (const Index n : {Index{1}, Index{3}, Index{7}, Index{1000}}) {
    // 0.1 is no binary fraction, so the mean of n of them is rounded.
    const auto x = matrix_of<T>(2, n, [](Index i, Index j) { return i == 0 ? 0.1 : static_cast<double>(j % 2); });
    std::vector<T> parameters(4);
    norm.initialize_from_data(parameters, x);
    BOOST_TEST(parameters[0] == 0);
    BOOST_TEST(close_relative(static_cast<double>(parameters[2]), static_cast<double>(T(0.1)), gamma<T>(1) + 1e-13));
    BOOST_TEST((n == 1 || parameters[1] > 0));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(outcomes)

BOOST_AUTO_TEST_CASE_TEMPLATE(rows_that_are_not_finite_have_their_own_status, T, Precisions) {
  const auto flow = random_flow<T>(3, {.blocks = 2, .hidden = {5}});
  auto x = random_matrix<T>(3, 5, 74);
  const auto clean = log_prob(flow, x), clean_back = inverse(flow, x, {});
  BOOST_TEST(!clean.failure.has_value());
  x(1, 2) = nan_of<T>;
  x(0, 4) = std::numeric_limits<T>::infinity();
  const auto out = log_prob(flow, x), back = inverse(flow, x, {});
  for (const std::size_t i : {0, 1, 3}) {
    BOOST_TEST((out.status[i] == Status::ok && back.status[i] == Status::ok));
    BOOST_TEST(out.log_prob[i] == clean.log_prob[i]);
    BOOST_TEST(close_absolute(back.log_prob[i], clean_back.log_prob[i], 1e-4));
  }
  for (const std::size_t i : {2, 4}) {
    BOOST_TEST((out.status[i] == Status::not_finite && back.status[i] == Status::not_finite));
    BOOST_TEST((std::isnan(out.log_prob[i]) && std::isnan(back.log_prob[i])));
  }
  BOOST_TEST(out.failure.value().transform == 0);
  BOOST_TEST(out.failure.value().sample == 2);
  BOOST_TEST((out.failure.value().status == Status::not_finite));
}

BOOST_AUTO_TEST_CASE(values_that_overflow_are_not_finite) {
  const auto flow = random_flow<float>(2, {.blocks = 1, .hidden = {5}});
  const auto x = matrix_of<float>(2, 2, [](Index, Index j) { return j == 0 ? 1.0F : 1e30F; });
  const auto out = log_prob(flow, x);
  BOOST_TEST((out.status[0] == Status::ok));
  BOOST_TEST(std::isfinite(out.log_prob[0]));
  BOOST_TEST((out.status[1] != Status::ok || std::isfinite(out.log_prob[1])));
}

// Vectors that have settled on one direction do not see another that has grown past it; an SVD does.
BOOST_AUTO_TEST_CASE(a_power_iteration_that_is_misled_is_diagnosed_and_an_svd_mends_it) {
  Flow<double> flow({{.shape = Shape::vector(2)}, chain_of(flow::ResidualOptions{.hidden = {}, .lipschitz = 0.9}), {}},
                    1);
  const auto weights = [&](double first, double second) {
    std::ranges::fill(flow.parameters(), 0.0);
    flow.parameters()[0] = first;
    flow.parameters()[3] = second;
  };
  weights(0.001, 1);
  for (int i = 0; i < 50; ++i) flow.prepare(Normalization::power_iteration);
  weights(-1.5, 1);
  const auto x = random_matrix<double>(2, 3, 7);
  flow.prepare(Normalization::power_iteration);
  const auto misled = log_prob(flow, x);
  for (const Status s : misled.status) BOOST_TEST((s == Status::negative_determinant));
  flow.prepare(Normalization::svd);
  const auto mended = log_prob(flow, x);
  for (const Status s : mended.status) BOOST_TEST((s == Status::ok));
}

BOOST_AUTO_TEST_CASE(a_negative_determinant_is_named_never_hidden) {
  // det = 1 − 3/cosh² x₀: negative near 0 only.
  const auto flow = steep_flow(-3);
  const auto x = matrix_of<double>(2, 6, [](Index i, Index j) { return i == 0 && j != 2 && j != 4 ? 5.0 : 0.0; });
  for (const Index capacity : {1, 2, 10}) {
    const auto out = log_prob(flow, x, capacity);
    for (std::size_t i = 0; i < 6; ++i) {
      const bool bad = i == 2 || i == 4;
      BOOST_TEST((out.status[i] == (bad ? Status::negative_determinant : Status::ok)));
      BOOST_TEST(std::isnan(out.log_prob[i]) == bad);
    }
    BOOST_TEST(out.failure.value().transform == 1);
    BOOST_TEST(out.failure.value().sample == 2);
    BOOST_TEST((out.failure.value().status == Status::negative_determinant));
  }
  FlowWorkspace<double> workspace(flow, 6, Pass::gradient);
  std::vector<double> gradient(flow.parameters().size()), log_p(6);
  std::vector<Status> status(6);
  flow.add_gradient({.x = x}, gradient, log_p, status, workspace);
  BOOST_TEST((status[2] == Status::negative_determinant));
  BOOST_TEST(workspace.failure().value().sample == 2);
}

BOOST_AUTO_TEST_CASE(a_singular_jacobian_is_no_density) {
  const auto out = log_prob(steep_flow(-1), Matrix<double>(2, 1));
  BOOST_TEST((out.status[0] == Status::negative_determinant));
  BOOST_TEST(std::isnan(out.log_prob[0]));
}

BOOST_AUTO_TEST_CASE(what_is_no_contraction_is_not_inverted) {
  BOOST_CHECK_EXCEPTION(inverse(steep_flow(-3), Matrix<double>(2, 1), {}), NumericalError,
                        says({"its Lipschitz constant 3 is not below 1", "smaller model.lipschitz"}));
}

BOOST_AUTO_TEST_CASE(the_failure_of_the_last_call_is_the_one_that_is_kept) {
  const auto flow = steep_flow(-3);
  FlowWorkspace<double> workspace(flow, 4, Pass::evaluate);
  std::vector<double> log_p(1);
  std::vector<Status> status(1);
  flow.log_prob({.x = Matrix<double>(2, 1)}, log_p, {}, status, workspace);
  BOOST_TEST(workspace.failure().has_value());
  flow.log_prob({.x = matrix_of<double>(2, 1, [](Index, Index) { return 5.0; })}, log_p, {}, status, workspace);
  BOOST_TEST(!workspace.failure().has_value());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(inversion)

// A step's size says nothing of the error when L is near 1: at L = 0.97 the solution is up to 33 steps away.
BOOST_AUTO_TEST_CASE(the_error_is_within_the_tolerance_at_a_lipschitz_constant_near_one) {
  for (const double slope : {-0.97, 0.97}) {
    Flow<double> linear(
        {{.shape = Shape::vector(2)}, chain_of(flow::ResidualOptions{.hidden = {}, .lipschitz = 0.97}), {}}, 1);
    set(linear, "transforms/000/layer_0/weight", {slope, 0, 0, slope});
    linear.prepare(Normalization::svd);
    const auto x = random_matrix<double>(2, 20, 75, 10);
    const auto z = log_prob(linear, x).value;
    for (const auto method : {InverseAlgorithm::newton, InverseAlgorithm::anderson}) {
      for (const double tolerance : {1e-1, 1e-3, 1e-6, 1e-10}) {
        const auto out = inverse(linear, z, {.algorithm = method, .tolerance = tolerance, .max_iterations = 5000});
        for (Index j = 0; j < 20; ++j) {
          BOOST_TEST((out.status[std::size_t(j)] == Status::ok));
          Matrix<double> error(out.value.view().columns(j, 1));
          for (Index i = 0; i < 2; ++i) error(i, 0) -= x(i, j);
          BOOST_TEST(norm(error) <= tolerance * (1 + norm(out.value.view().columns(j, 1))));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(newton_takes_a_handful_of_steps) {
  const auto flow = random_flow<double>(5, {.blocks = 1, .hidden = {16, 16}, .lipschitz = 0.97}, 1);
  const auto z = random_matrix<double>(5, 50, 76, 3);
  const auto out = inverse(flow, z, {.tolerance = 1e-12, .max_iterations = 15});
  for (const Status status : out.status) BOOST_TEST((status == Status::ok));
  const auto again = log_prob(flow, out.value);
  BOOST_TEST(close_absolute(again.value.view(), z.view(), 1e-10));
  for (std::size_t i = 0; i < 50; ++i) BOOST_TEST(close_absolute(again.log_prob[i], out.log_prob[i], 1e-9));
}

BOOST_AUTO_TEST_CASE(running_out_of_iterations_is_an_outcome_of_the_sample) {
  Flow<double> flow({{.shape = Shape::vector(2)}, chain_of(flow::ResidualOptions{.hidden = {}, .lipschitz = 0.97}), {}},
                    1);
  set(flow, "transforms/000/layer_0/weight", {0.97, 0, 0, 0.97});
  flow.prepare(Normalization::svd);
  const auto z = matrix_of<double>(2, 3, [](Index, Index j) { return j == 1 ? 0.0 : 1.0; });
  const auto out = inverse(flow, z, {.max_iterations = 1});
  for (const std::size_t i : {0, 2}) {
    BOOST_TEST((out.status[i] == Status::not_converged));
    BOOST_TEST(std::isnan(out.log_prob[i]));
  }
  BOOST_TEST((out.status[1] == Status::ok));  // 0 is where it starts
  BOOST_TEST(close_absolute(out.log_prob[1], -std::log(2 * std::numbers::pi) + 2 * std::log(1.97), 1e-12));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(workspaces)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_workspace_stays_within_its_budget, T, Precisions) {
  const auto flow = random_flow<T>(5, {.blocks = 3, .hidden = {8, 8}});
  for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
    for (const Index n : {1, 3, 17}) {
      const FlowWorkspace<T> exact(flow, n, pass);
      const Index bytes = FlowWorkspace<T>::bytes_for(flow, n, pass);
      BOOST_TEST(exact.bytes() == bytes);
      BOOST_TEST(exact.capacity() == n);
      BOOST_TEST(FlowWorkspace<T>::within(flow, bytes, 1000, pass).capacity() >= n);
      const auto less = FlowWorkspace<T>::within(flow, bytes - 1, 1000, pass);
      BOOST_TEST(less.capacity() == std::max<Index>(1, n - 1));
      BOOST_TEST((less.bytes() < bytes || n == 1));
      BOOST_TEST(FlowWorkspace<T>::within(flow, bytes, n - 1, pass).capacity() == std::max<Index>(1, n - 1));
    }
    BOOST_TEST(FlowWorkspace<T>::within(flow, 0, 10, pass).capacity() == 1);
    BOOST_TEST(FlowWorkspace<T>::within(flow, Index{1} << 40, 10, pass).capacity() == 10);
  }
  BOOST_TEST(FlowWorkspace<T>::bytes_for(flow, 9, Pass::evaluate) <
             FlowWorkspace<T>::bytes_for(flow, 9, Pass::gradient));
  BOOST_CHECK_EXCEPTION(FlowWorkspace<T>(flow, 0, Pass::evaluate), ShapeError,
                        says({"workspace for 0 samples: must be at least 1"}));
}

// Narrow couplings work in even shares that a core's cache holds; what it cannot hold anyway is not divided.
BOOST_AUTO_TEST_CASE_TEMPLATE(chunks_fit_into_the_cache_where_they_can, T, Precisions) {
  constexpr Index plenty = Index{1} << 40;
  const auto capacity = [&](const Flow<T>& flow, Index most) {
    return FlowWorkspace<T>::within(flow, plenty, most, Pass::gradient).capacity();
  };
  const Flow<T> narrow(20, {.kind = "realnvp", .blocks = 2, .hidden = {50, 50}}, 1);
  const Index most = 10'000, chunk = capacity(narrow, most), chunks = (most + chunk - 1) / chunk;
  BOOST_TEST((chunk >= 100 && chunk < 1000));
  BOOST_TEST(chunk * chunks - most < chunks);
  BOOST_TEST(capacity(narrow, chunk) == chunk);
  const Flow<T> wide(20, {.kind = "realnvp", .blocks = 2, .hidden = {500, 500}}, 1);
  BOOST_TEST(capacity(wide, most) == most);
}

// Nested splits, many scales, contexts and all bases: what is planned is what is stated, and one sample is enough.
BOOST_AUTO_TEST_CASE_TEMPLATE(workspaces_of_all_flows_take_what_they_state, T, Precisions) {
  for (const auto& of : all_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const Flow<T> flow(of.architecture, 1);
      for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
        for (const Index n : {1, 6}) {
          const Index bytes = FlowWorkspace<T>::bytes_for(flow, n, pass);
          BOOST_TEST((FlowWorkspace<T>(flow, n, pass).bytes() == bytes));
          BOOST_TEST(FlowWorkspace<T>::within(flow, bytes, 100, pass).capacity() >= n);
          BOOST_TEST((n == 1 || FlowWorkspace<T>::within(flow, bytes - 1, 100, pass).capacity() < n));
        }
      }
    }
  }
}

// A map is what log_prob finds, in any chunks, and its workspace has nothing for log-dets.
BOOST_AUTO_TEST_CASE_TEMPLATE(maps_of_all_flows_are_those_of_their_densities, T, Precisions) {
  for (const auto& of : all_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      constexpr Index n = 7;
      const auto& data = of.architecture.data;
      Flow<T> flow(of.architecture, 1);
      const auto x =
          matrix_of<T>(data.size(), n, [](Index i, Index j) { return 0.5 + 0.4 * std::sin(double(3 * i + j)); });
      const auto context = random_matrix<T>(data.context, n, 81);
      flow.initialize_from_data({.x = x, .context = context});
      Matrix<T> z(data.size(), n), mapped(data.size(), n);
      std::vector<double> log_prob(n);
      std::vector<Status> status(n);
      FlowWorkspace<T> workspace(flow, n, Pass::evaluate);
      flow.log_prob({.x = x, .context = context}, log_prob, z, status, workspace);
      auto maps = FlowWorkspace<T>::within(flow, 1 << 30, 3, Pass::map_only);
      BOOST_TEST(maps.capacity() == 3);
      flow.map({.x = x, .context = context}, mapped, status, maps);
      BOOST_TEST(close_absolute(mapped.view(), z.view(), std::is_same_v<T, float> ? 1e-4 : 1e-12));
      for (const auto s : status) BOOST_TEST((s == Status::ok));
      BOOST_TEST((maps.pass() == Pass::map_only));
      BOOST_CHECK_EXCEPTION(flow.log_prob({.x = x, .context = context}, log_prob, z, status, maps), ShapeError,
                            says({"log_prob: a workspace that is planned for maps, without log-dets"}));
      BOOST_CHECK_EXCEPTION(flow.inverse(z, mapped, log_prob, status, {}, maps, context), ShapeError,
                            says({"inverse: a workspace that is planned for maps"}));
    }
  }
}

// Small budgets change initial parameters by rounding only.
BOOST_AUTO_TEST_CASE(initialization_is_the_same_in_chunks) {
  for (const auto& of : all_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const auto& data = of.architecture.data;
      const auto x =
          matrix_of<double>(data.size(), 9, [](Index i, Index j) { return 0.5 + 0.4 * std::sin(double(3 * i + j)); });
      const auto context = random_matrix<double>(data.context, 9, 81);
      Flow<double> whole(of.architecture, 1), chunks(of.architecture, 1);
      whole.initialize_from_data({.x = x, .context = context});
      chunks.initialize_from_data({.x = x, .context = context}, 1);
      for (std::size_t i = 0; i < whole.parameters().size(); ++i) {
        BOOST_TEST(close_absolute(chunks.parameters()[i], whole.parameters()[i], 1e-10));
      }
    }
  }
}

// Values that a split lets go keep their rows. The rows that go on are the first.
BOOST_AUTO_TEST_CASE(splits_leave_latents_in_their_rows) {
  flow::Architecture a;
  a.data.shape = Shape::vector(6);
  flow::ElementwiseOptions tenfold, hundredfold;
  tenfold.scale = 0.1;
  hundredfold.scale = 0.01;
  a.chain = chain_of(flow::FactorOutOptions{.keep = 4}, tenfold, flow::FactorOutOptions{.keep = 3},
                     flow::FactorOutOptions{.keep = 1}, hundredfold);
  const Flow<double> flow(a, 1);
  const auto x = matrix_of<double>(6, 5, [](Index i, Index j) { return double(i + 1 + 10 * j); });
  const auto expected = matrix_of<double>(6, 5, [&](Index i, Index j) {
    return x(i, j) * (i == 0 ? 1000 : i < 4 ? 10 : 1);
  });
  for (const Index capacity : {1, 2, 5, 9}) {
    const auto out = log_prob(flow, x, capacity);
    BOOST_TEST(close_relative(out.value.view().column_span(0), expected.view().column_span(0), 1e-14));
    BOOST_TEST(close_relative(out.value.span(), expected.span(), 1e-14));
    Outcome<double> back(6, 5);
    FlowWorkspace<double> workspace(flow, capacity, Pass::evaluate);
    flow.inverse(out.value, back.value, back.log_prob, back.status, {}, workspace);
    BOOST_TEST(close_relative(back.value.span(), x.span(), 1e-14));
    FlowWorkspace<double> full(flow, capacity, Pass::gradient);
    const std::vector<double> weight{1, 0, 2, 0.5, 3};
    double sum = 0;
    for (std::size_t i = 0; i < 5; ++i) sum += weight[i] * out.log_prob[i];
    BOOST_TEST(close_relative(flow.add_gradient({.x = x, .weight = weight}, {}, back.log_prob, back.status, full), sum,
                              1e-14));
  }
}

BOOST_AUTO_TEST_CASE(no_samples_are_legal) {
  const auto flow = random_flow<double>(2, {.blocks = 1, .hidden = {4}});
  const Matrix<double> none(2, 0);
  BOOST_TEST(log_prob(flow, none).log_prob.empty());
  BOOST_TEST(inverse(flow, none, {}).log_prob.empty());
  FlowWorkspace<double> workspace(flow, 3, Pass::gradient);
  std::vector<double> gradient(flow.parameters().size());
  BOOST_TEST(flow.add_gradient({.x = none}, gradient, {}, {}, workspace) == 0);
  BOOST_TEST(gradient == std::vector<double>(gradient.size()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(flows)

BOOST_AUTO_TEST_CASE(the_density_integrates_to_one) {
  const auto flow = random_flow<double>(2, {.blocks = 4, .hidden = {8, 8}, .lipschitz = 0.95}, 0.4);
  constexpr Index n = 400;
  constexpr double half = 16, step = 2 * half / n;
  Matrix<double> row(2, n);
  double sum = 0, furthest_in = 0;
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) {
      row(0, j) = -half + (static_cast<double>(j) + 0.5) * step;
      row(1, j) = -half + (static_cast<double>(i) + 0.5) * step;
    }
    const auto out = log_prob(flow, row, n);
    for (const double value : out.log_prob) sum += std::exp(value) * step * step;
    furthest_in = std::max({furthest_in, std::exp(out.log_prob.front()), std::exp(out.log_prob.back())});
  }
  BOOST_TEST(close_absolute(sum, 1, 1e-3));
  BOOST_TEST(furthest_in < 1e-12);  // the square holds the mass
}

BOOST_AUTO_TEST_CASE_TEMPLATE(folding_keeps_the_density, T, Precisions) {
  auto flow = random_flow<T>(3, {.blocks = 2, .hidden = {6, 6}}, 1);
  const auto x = random_matrix<T>(3, 5, 77);
  const auto before = log_prob(flow, x);
  flow.bake_normalization();
  flow.prepare(Normalization::stored);
  const auto after = log_prob(flow, x);
  for (std::size_t i = 0; i < 5; ++i) BOOST_TEST(before.log_prob[i] == after.log_prob[i]);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradients_value_is_the_weighted_sum_and_it_adds, T, Precisions) {
  const auto flow = random_flow<T>(3, {.blocks = 2, .hidden = {6}}, 0.3);
  const auto x = random_matrix<T>(3, 5, 78);
  const std::vector<T> weight{1, 0, 2, 0.5, 3};
  const auto out = log_prob(flow, x);
  FlowWorkspace<T> workspace(flow, 2, Pass::gradient);
  std::vector<T> once(flow.parameters().size()), twice(once.size());
  std::vector<double> log_p(5);
  std::vector<Status> status(5);
  double expected = 0;
  for (std::size_t i = 0; i < 5; ++i) expected += static_cast<double>(weight[i]) * out.log_prob[i];
  BOOST_TEST(close_relative(flow.add_gradient({.x = x, .weight = weight}, once, log_p, status, workspace), expected,
                            gamma<T>(200)));
  BOOST_TEST(close_relative(std::span<const double>(log_p), std::span<const double>(out.log_prob), gamma<T>(200)));
  for (int i = 0; i < 2; ++i) flow.add_gradient({.x = x, .weight = weight}, twice, log_p, status, workspace);
  for (T& value : once) value *= 2;
  BOOST_TEST(close_relative(std::span<const T>(twice), std::span<const T>(once), gamma<T>(20)));
}

BOOST_AUTO_TEST_CASE(what_makes_no_flow_is_refused) {
  const auto make = [](Index d, const FlowOptions& options) { Flow<double>(d, options, 1); };
  BOOST_CHECK_EXCEPTION(make(0, {}), ShapeError, says({"flow: dimension 0 must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make(2, {.kind = "residul"}), OptionError,
                        says({"family of flows 'residul' is unknown (did you mean 'residual'?)"}));
  BOOST_CHECK_EXCEPTION(make(2, {.blocks = -1}), OptionError, says({"model.blocks = -1: must be at least 0"}));
  BOOST_CHECK_EXCEPTION(make(2, {.lipschitz = 1}), OptionError,
                        says({"residual: lipschitz = 1.0: must be more than 0 and less than 1"}));
  BOOST_CHECK_EXCEPTION(make(2, {.lipschitz = 0}), OptionError, says({"residual: lipschitz = 0.0"}));
  BOOST_CHECK_EXCEPTION(make(2, {.lipschitz = nan_of<double>}), OptionError, says({"residual: lipschitz = nan"}));
  BOOST_CHECK_EXCEPTION(make(2, {.hidden = {3, 0}}), OptionError,
                        says({"residual: hidden = [3, 0]: must be between 1"}));
}

BOOST_AUTO_TEST_CASE(batches_that_do_not_fit_are_refused) {
  const auto flow = random_flow<double>(2, {.blocks = 1, .hidden = {4}});
  FlowWorkspace<double> light(flow, 4, Pass::evaluate), full(flow, 4, Pass::gradient);
  Matrix<double> x(2, 3), wide(3, 3), few(2, 2);
  std::vector<double> log_p(3), gradient(flow.parameters().size()), two(2);
  std::vector<Status> status(3), two_status(2);
  BOOST_CHECK_EXCEPTION(flow.log_prob({.x = wide}, log_p, {}, status, light), ShapeError,
                        says({"log_prob: (3 × 3) samples, 3 log-densities and 3 statuses", "dimension 2"}));
  BOOST_CHECK_EXCEPTION(flow.log_prob({.x = x}, two, {}, status, light), ShapeError, says({"2 log-densities"}));
  BOOST_CHECK_EXCEPTION(flow.log_prob({.x = x}, log_p, {}, two_status, light), ShapeError, says({"2 statuses"}));
  BOOST_CHECK_EXCEPTION(flow.log_prob({.x = x}, log_p, few, status, light), ShapeError,
                        says({"log_prob: latents (2 × 2) do not fit samples (2 × 3)"}));
  BOOST_CHECK_EXCEPTION(flow.inverse(wide, x, log_p, status, {}, light), ShapeError,
                        says({"inverse: (3 × 3) samples"}));
  BOOST_CHECK_EXCEPTION(flow.inverse(x, few, log_p, status, {}, light), ShapeError,
                        says({"inverse: samples (2 × 2) do not fit latents (2 × 3)"}));
  BOOST_CHECK_EXCEPTION(flow.inverse(x, x, log_p, status, {.tolerance = 0}, light), OptionError,
                        says({"inverse: tolerance 0 must be positive"}));
  BOOST_CHECK_EXCEPTION(flow.inverse(x, x, log_p, status, {.max_iterations = 0}, light), OptionError,
                        says({"at least one iteration allowed (0)"}));
  BOOST_CHECK_EXCEPTION(flow.inverse(x, x, log_p, status, {}, full), ShapeError,
                        says({"inverse: a workspace that is planned for a gradient"}));
  BOOST_CHECK_EXCEPTION(flow.add_gradient({.x = x}, gradient, log_p, status, light), ShapeError,
                        says({"add_gradient:", "a workspace that keeps no gradient"}));
  BOOST_CHECK_EXCEPTION(flow.add_gradient({.x = x, .weight = two}, gradient, log_p, status, full), ShapeError,
                        says({"2 weights for 3 samples"}));
  BOOST_CHECK_EXCEPTION(flow.add_gradient({.x = x}, two, log_p, status, full), ShapeError,
                        says({"a gradient of 2 for"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
