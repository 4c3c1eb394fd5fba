#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/random/stream.hpp>

#include <ranks.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

using flow::Batch;
using flow::Status;

constexpr double infinity = std::numeric_limits<double>::infinity();

flow::Flow<double> small_flow() {
  flow::Flow<double> f(2, {.blocks = 2, .hidden = {8}, .lipschitz = 0.8}, 3);
  random::Stream stream(1, random::Purpose::check);
  for (double& p : f.parameters()) p += 0.3 * stream.normal();
  f.prepare(nn::Normalization::svd);
  return f;
}

Matrix<double> normal_rows(Index n) {
  Matrix<double> x(2, n);
  random::Stream stream(2, random::Purpose::check);
  for (double& value : x.span()) value = stream.normal();
  return x;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(evaluation)

BOOST_AUTO_TEST_CASE(mean_and_standard_error_by_hand) {
  flow::LossSums sums;
  sums.add(1, Status::ok, 1);
  sums.add(3, Status::ok, 1);
  sums.add(99, Status::not_finite, 1);
  const auto result = sums.result();
  BOOST_TEST(result.mean == 2);
  BOOST_TEST(close_relative(result.standard_error, 1, 1e-15));  // √2/√2
  BOOST_TEST(result.rows == 3);
  BOOST_TEST(result.failed == 1);
  // A row of weight 2 counts like two rows in the mean.
  flow::LossSums weighted;
  weighted.add(1, Status::ok, 2);
  weighted.add(4, Status::ok, 1);
  BOOST_TEST(close_relative(weighted.result().mean, 2, 1e-15));
}

// Losses 1e9 + 1, 1e9 + 2, … lose no digits, however the rows are divided among sums that are merged.
BOOST_AUTO_TEST_CASE(a_large_mean_does_not_drown_a_small_spread) {
  const std::vector<double> weights{1, 0.5, 2, 1, 0, 3, 1};
  double total = 0, mean = 0, square = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    total += weights[i];
    mean += weights[i] * static_cast<double>(i);
  }
  mean /= total;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    square += weights[i] * weights[i] * (static_cast<double>(i) - mean) * (static_cast<double>(i) - mean);
  }
  const double error = std::sqrt(square * 6 / 5) / total;  // six rows have a weight
  for (const std::size_t first : {0, 1, 3, 5, 7}) {
    flow::LossSums sums, rest;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      (i < first ? sums : rest).add(1e9 + static_cast<double>(i), Status::ok, weights[i]);
    }
    sums.merge(rest);
    BOOST_TEST(close_relative(sums.result().mean, 1e9 + mean, 1e-15));
    BOOST_TEST(close_relative(sums.result().standard_error, error, 1e-6));
    BOOST_TEST(!close_relative(sums.result().standard_error, error * std::sqrt(5.0 / 6), 1e-6));
    BOOST_TEST(sums.result().rows == 7);
  }
  flow::LossSums one;
  one.add(2, Status::ok, 1);
  one.add(5, Status::ok, 0);
  BOOST_TEST(one.result().mean == 2);
  BOOST_TEST(std::isnan(one.result().standard_error));
}

// p = 0 is an NLL of +∞, which no mean can show.
BOOST_AUTO_TEST_CASE(rows_outside_the_support_are_counted) {
  flow::LossSums sums;
  sums.add(infinity, Status::outside_support, 1);
  BOOST_TEST(sums.result().mean == infinity);
  BOOST_TEST(failures(sums.result()) == "1 of 1 rows outside the support");
  sums.add(2, Status::ok, 1);
  sums.add(std::numeric_limits<double>::quiet_NaN(), Status::not_finite, 1);
  const auto result = sums.result();
  BOOST_TEST(result.mean == 2);
  BOOST_TEST(result.outside == 1);
  BOOST_TEST(result.failed == 2);
  BOOST_TEST(failures(result) == "1 of 3 rows outside the support, 1 of 3 rows not evaluated");
  BOOST_TEST(failures(flow::Evaluation{.rows = 5}) == "");
}

BOOST_AUTO_TEST_CASE(fewer_failures_come_before_a_lower_nll) {
  const flow::Evaluation none{.mean = 3, .rows = 9}, lower{.mean = 2, .rows = 9},
      one{.mean = 1, .rows = 9, .failed = 1, .outside = 1}, one_lower{.mean = 0, .rows = 9, .failed = 1, .outside = 1};
  BOOST_TEST(better(none, one));
  BOOST_TEST(!better(one, none));
  BOOST_TEST(better(lower, none));
  BOOST_TEST(better(one_lower, one));
  BOOST_TEST(!better(one, one));
}

BOOST_FIXTURE_TEST_CASE(every_number_of_ranks_gives_the_same_bits, Ranks) {
  const auto flow = small_flow();
  flow::FlowWorkspace<double> workspace(flow, 64, nn::Pass::evaluate);
  for (const Index n : {1, 3, 256, 257, 2000}) {
    const auto x = normal_rows(n);
    std::vector<double> w(n);
    for (std::size_t i = 0; i < w.size(); ++i) w[i] = 0.5 + static_cast<double>(i % 4);
    const auto here = flow::evaluate(comm, flow, Batch<double>{.x = x, .weight = w}, workspace);
    const auto alone = flow::evaluate(comm::Communicator::self(), flow, Batch<double>{.x = x, .weight = w}, workspace);
    BOOST_TEST(on_all_ranks(comm, Verdict(here.mean == alone.mean)));
    BOOST_TEST(on_all_ranks(comm, Verdict(n == 1 ? std::isnan(here.standard_error) && std::isnan(alone.standard_error)
                                                 : here.standard_error == alone.standard_error)));
    BOOST_TEST(here.rows == n);
  }
}

// Rows keep their numbers across blocks and chunks, so that a stochastic log-det draws the same for a row on any number
// of ranks and in blocks of any size.
BOOST_FIXTURE_TEST_CASE(draws_belong_to_rows_whatever_the_blocks, Ranks) {
  auto flow = small_flow();
  flow.set_log_det(nn::Pass::evaluate, logdet::parse_method("series:4"));
  flow::FlowWorkspace<double> workspace(flow, 7, nn::Pass::evaluate);
  const auto x = normal_rows(100);
  const Batch<double> rows{.x = x};
  const auto whole = flow::evaluate(comm, flow, rows, workspace);
  for (const Index block : {1, 9, 32, 99, 100}) {
    const auto here = flow::evaluate(comm, flow, rows, workspace, block);
    const auto alone = flow::evaluate(comm::Communicator::self(), flow, rows, workspace, block);
    BOOST_TEST(here.rows == 100);
    BOOST_TEST(on_all_ranks(comm, Verdict(here.mean == alone.mean)), "block " << block);
    BOOST_TEST(on_all_ranks(comm, close_relative(here.mean, whole.mean, 1e-13)), "block " << block);
  }
  // The twin: rows with other numbers draw something else.
  const auto other = flow::evaluate(comm, flow, Batch<double>{.x = x, .draws = {.first = 1}}, workspace);
  BOOST_TEST(on_all_ranks(comm, Verdict(!close_relative(other.mean, whole.mean, 1e-6))));
}

BOOST_FIXTURE_TEST_CASE(rows_that_fail_are_counted_and_left_out, Ranks) {
  const auto flow = small_flow();
  flow::FlowWorkspace<double> workspace(flow, 64, nn::Pass::evaluate);
  auto x = normal_rows(300);
  x(1, 270) = std::numeric_limits<double>::infinity();
  const auto with = flow::evaluate(comm, flow, Batch<double>{.x = x}, workspace);
  BOOST_TEST(with.failed == 1);
  BOOST_TEST(on_all_ranks(comm, Verdict(std::isfinite(with.mean))));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
