// Comparisons of log-dets on residual flows with contexts, angles, convolutions and several scales.

#include "../flow/flows.hpp"
#include "../transforms/comparisons.hpp"

namespace pushforward::test {

namespace {

using flow::Architecture;
using flow::ResidualOptions;

// Flows whose log-det is that of their residual blocks alone.
std::vector<FlowCase> residual_flows() {
  const ResidualOptions dense{.hidden = {6, 5}, .lipschitz = 0.9},
      convolutional{.hidden = {4}, .kernels = {3, 3}, .lipschitz = 0.9};
  Architecture conditional, periodic, image, scales;
  conditional.data = {.shape = Shape::vector(4), .periodic = {}, .context = 3};
  conditional.chain = chain_of(dense, dense);
  periodic.data = {.shape = Shape::vector(4), .periodic = {0, 2}, .context = 1};
  periodic.chain = chain_of(dense, flow::PermutationOptions{.order = "reverse"}, dense);
  image.data = {.shape = {4, 3, 2}, .periodic = {}, .context = 2};
  image.chain = chain_of(convolutional, convolutional);
  scales.data.shape = {4, 4, 1};
  scales.chain = chain_of(convolutional, flow::SqueezeOptions(), convolutional, flow::SplitOptions(), convolutional,
                          flow::SqueezeOptions(), flow::SplitOptions{.keep = 3}, dense);
  return {{"conditional", conditional}, {"periodic", periodic}, {"convolutional", image}, {"multi-scale", scales}};
}

Flow<double> settled_flow(const FlowCase& of) {
  Flow<double> flow(of.architecture, 1);
  const auto values = random_vector<double>(flow.layout().size(), 81, 0.7);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(Normalization::svd);
  flow.bake_normalization();
  flow.prepare(Normalization::stored);
  return flow;
}

// log p − log p₀(z).
std::vector<double> log_dets(const Flow<double>& flow, const Matrix<double>& x, const Matrix<double>& context) {
  const auto n = static_cast<std::size_t>(x.cols());
  std::vector<double> log_prob(n), base(n);
  std::vector<Status> status(n);
  Matrix<double> z(x.rows(), x.cols());
  flow::FlowWorkspace<double> workspace(flow, 3, Pass::evaluate);
  flow.log_prob({.x = x, .context = context}, log_prob, z, status, workspace);
  flow.base().log_prob(z, base);
  for (std::size_t i = 0; i < n; ++i) log_prob[i] -= base[i];
  return log_prob;
}

std::vector<double> means(const Matrix<double>& draws) {
  std::vector<double> mean(draws.rows());
  for (Index j = 0; j < draws.cols(); ++j) {
    for (Index i = 0; i < draws.rows(); ++i) {
      mean[i] += draws(i, j) / static_cast<double>(draws.cols());
    }
  }
  return mean;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(comparison_of_kinds)

BOOST_AUTO_TEST_CASE(the_sum_over_blocks_is_the_flows_log_det) {
  for (const auto& of : residual_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const auto flow = settled_flow(of);
      const Index n = 5, c = of.architecture.data.context;
      const auto x = random_matrix<double>(flow.dimension(), n, 82), context = random_matrix<double>(c, n, 83);
      const auto expected = log_dets(flow, x, context);
      std::vector<Status> status(5);
      LogDetComparisonOptions options{.methods = parse({"exact", "roulette:p=0.3,exact=6"}), .repeats = 400};
      options.gradient = options.spectrum = true;
      const LogDetComparison<double> comparison(flow, options);
      const auto parts = comparison.run(x, 0, status, context);
      BOOST_TEST(parts.size() == comparison.blocks().size() + 1);
      for (const auto s : status) BOOST_TEST((s == Status::ok));
      BOOST_TEST(close_absolute(std::span<const double>(parts[0].exact), expected, 1e-9));
      BOOST_TEST(close_absolute(column(parts[0].draws[0].value, 0), expected, 1e-9));
      BOOST_TEST(close_absolute(column(parts[0].draws[0].gradient_error, 0), std::vector<double>(5), 1e-8));
      // Unbiased: the mean of 400 draws, whose deviation is below 1 nat.
      BOOST_TEST(close_absolute(means(parts[0].draws[1].value), expected, 0.25));
      for (std::size_t b = 1; b < parts.size(); ++b) {
        for (std::size_t i = 0; i < 5; ++i) {
          BOOST_TEST(parts[b].norm[i] <= 0.9 + 1e-9);
          BOOST_TEST(parts[b].spectral_radius[i] <= parts[b].norm[i] + 1e-9);
        }
      }
      // The twins: another point, another context.
      const auto elsewhere = comparison.run(random_matrix<double>(flow.dimension(), n, 84), 0, status, context);
      BOOST_TEST(!close_absolute(std::span<const double>(elsewhere[0].exact), expected, 1e-3));
      if (c == 0) continue;
      const auto given_other = comparison.run(x, 0, status, random_matrix<double>(c, n, 85));
      BOOST_TEST(!close_absolute(std::span<const double>(given_other[0].exact), expected, 1e-4));
    }
  }
}

BOOST_AUTO_TEST_CASE(rows_and_contexts_do_not_depend_on_their_batch_mates) {
  for (const auto& of : residual_flows()) {
    BOOST_TEST_CONTEXT(of.name) {
      const auto flow = settled_flow(of);
      const Index n = 6, c = of.architecture.data.context;
      const auto x = random_matrix<double>(flow.dimension(), n, 82), context = random_matrix<double>(c, n, 83);
      const LogDetComparison<double> comparison(flow, {.methods = parse({"krylov:2"}), .repeats = 3, .gradient = true});
      std::vector<Status> status(6), some(2);
      const auto whole = comparison.run(x, 10, status, context);
      const auto part = comparison.run(x.view().columns(3, 2), 13, some, context.view().columns(3, 2));
      for (std::size_t p = 0; p < whole.size(); ++p) {
        BOOST_TEST(has_rows(whole[p], 3, part[p], 1e-9));
        BOOST_TEST(!has_rows(whole[p], 2, part[p], 1e-9));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(flows_without_residual_blocks_are_refused) {
  const Flow<double> flow(family("glow", {.shape = Shape::vector(2)}).architecture, 1);
  BOOST_CHECK_EXCEPTION(LogDetComparison<double>(flow, {.methods = parse({"exact"})}), DataError,
                        says({"residual block"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
