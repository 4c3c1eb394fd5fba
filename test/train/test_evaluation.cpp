#include <pushforward/random/stream.hpp>
#include <pushforward/train/evaluation.hpp>

#include <ranks.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

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
  train::NllSums sums;
  sums.add(-1, Status::ok, 1);
  sums.add(-3, Status::ok, 1);
  sums.add(99, Status::not_finite, 1);
  const auto result = sums.result();
  BOOST_TEST(result.nll == 2);
  BOOST_TEST(close_relative(result.standard_error, std::sqrt(2.0) / 2, 1e-15));
  BOOST_TEST(result.rows == 3);
  BOOST_TEST(result.failed == 1);
  // A row of weight 2 counts like two rows in the mean.
  train::NllSums weighted;
  weighted.add(-1, Status::ok, 2);
  weighted.add(-4, Status::ok, 1);
  BOOST_TEST(close_relative(weighted.result().nll, 2, 1e-15));
}

// p = 0 is an NLL of +∞, which no mean can show.
BOOST_AUTO_TEST_CASE(rows_outside_the_support_are_counted) {
  train::NllSums sums;
  sums.add(-infinity, Status::outside_support, 1);
  BOOST_TEST(sums.result().nll == infinity);
  BOOST_TEST(failures(sums.result()) == "1 of 1 rows outside the support");
  sums.add(-2, Status::ok, 1);
  sums.add(std::numeric_limits<double>::quiet_NaN(), Status::not_finite, 1);
  const auto result = sums.result();
  BOOST_TEST(result.nll == 2);
  BOOST_TEST(result.outside == 1);
  BOOST_TEST(result.failed == 2);
  BOOST_TEST(failures(result) == "1 of 3 rows outside the support, 1 of 3 rows not evaluated");
  BOOST_TEST(failures(train::Evaluation{.rows = 5}) == "");
}

BOOST_AUTO_TEST_CASE(fewer_failures_come_before_a_lower_nll) {
  const train::Evaluation none{.nll = 3, .rows = 9}, lower{.nll = 2, .rows = 9},
      one{.nll = 1, .rows = 9, .failed = 1, .outside = 1}, one_lower{.nll = 0, .rows = 9, .failed = 1, .outside = 1};
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
    const auto here = train::evaluate<double>(comm, flow, x, w, {}, workspace);
    const auto alone = train::evaluate<double>(comm::Communicator::self(), flow, x, w, {}, workspace);
    BOOST_TEST(on_all_ranks(comm, Verdict(here.nll == alone.nll && here.standard_error == alone.standard_error)));
    BOOST_TEST(here.rows == n);
  }
}

// A row draws by its number among all rows, whatever its block, and whichever rank has it.
BOOST_FIXTURE_TEST_CASE(draws_do_not_depend_on_blocks_or_ranks, Ranks) {
  auto flow = small_flow();
  flow.set_log_det(nn::Pass::evaluate, logdet::parse_method("roulette:p=0.5,exact=1"));
  flow::FlowWorkspace<double> workspace(flow, 64, nn::Pass::evaluate);
  constexpr Index n = 1030;  // four blocks and six rows
  const auto x = normal_rows(n);
  const auto here = train::evaluate<double>(comm, flow, x, {}, {}, workspace);
  const auto alone = train::evaluate<double>(comm::Communicator::self(), flow, x, {}, {}, workspace);
  BOOST_TEST(on_all_ranks(comm, Verdict(here.nll == alone.nll && here.standard_error == alone.standard_error)));
  const auto nll_of = [&](auto&& number_of) {
    std::vector<Index> numbers(n);
    for (Index i = 0; i < n; ++i) numbers[i] = number_of(i);
    std::vector<double> log_prob(n);
    std::vector<Status> status(n);
    flow::FlowWorkspace<double> all(flow, n, nn::Pass::evaluate);
    all.set_draws({.samples = numbers});
    flow.log_prob(x, log_prob, {}, status, all);
    train::NllSums sums;
    for (std::size_t i = 0; i < log_prob.size(); ++i) sums.add(log_prob[i], status[i], 1);
    return sums.result().nll;
  };
  BOOST_TEST(on_all_ranks(comm, close_relative(here.nll, nll_of([](Index i) { return i; }), 1e-12)));
  // The twin: each block draws as if it were the first.
  BOOST_TEST(!on_all_ranks(comm, close_relative(here.nll, nll_of([](Index i) { return i % 256; }), 1e-6)));
}

BOOST_FIXTURE_TEST_CASE(rows_that_fail_are_counted_and_left_out, Ranks) {
  const auto flow = small_flow();
  flow::FlowWorkspace<double> workspace(flow, 64, nn::Pass::evaluate);
  auto x = normal_rows(300);
  x(1, 270) = std::numeric_limits<double>::infinity();
  const auto with = train::evaluate<double>(comm, flow, x, {}, {}, workspace);
  BOOST_TEST(with.failed == 1);
  BOOST_TEST(on_all_ranks(comm, Verdict(std::isfinite(with.nll))));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
