#include <pushforward/train/gradient_sum.hpp>

#include <ranks.hpp>

namespace pushforward::test {

namespace {

using train::GradientSum;

// The contribution of part p of a batch to element i. The sum of these numbers depends on the order of adding them.
double contribution(Index p, std::size_t i) {
  return 1.0 / (1.0 + static_cast<double>(p) * 3.7 + static_cast<double>(i) * 0.31);
}

// The sum on `comm`: each rank fills its own parts.
std::vector<double> sum_on(const comm::Communicator& comm, Index parameters, bool reproducible) {
  GradientSum<double> sum(comm, parameters, reproducible);
  const auto mine = sum.local_parts();
  for (Index p = mine.first; p < mine.last; ++p) {
    const auto gradient = sum.gradient(p - mine.first);
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = contribution(p, i);
    sum.totals(p - mine.first) = {
        .loss = contribution(p, 7), .weight = static_cast<double>(p), .stop = p == sum.parts() - 1 ? 1.0 : 0.0};
  }
  const auto total = sum.reduce();
  std::vector<double> all(total.gradient.begin(), total.gradient.end());
  all.push_back(total.totals.weight);
  all.push_back(total.totals.stop);
  all.push_back(total.totals.loss);
  return all;
}

/// Σ w·loss and Σ w of parts whose sums a float cannot hold: 2²⁴ + p and 2²⁵ + p.
train::StepTotals large_totals(const comm::Communicator& comm, bool reproducible) {
  GradientSum<float> sum(comm, 3, reproducible);
  const auto mine = sum.local_parts();
  for (Index p = mine.first; p < mine.last; ++p) {
    std::ranges::fill(sum.gradient(p - mine.first), 0.0F);
    const auto part = static_cast<double>(p);
    sum.totals(p - mine.first) = {.loss = 0x1p24 + part, .weight = 0x1p25 + part, .failed = 1};
  }
  return sum.reduce().totals;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradient_sum)

BOOST_FIXTURE_TEST_CASE(all_parts_are_added, Ranks) {
  for (const Index parameters : {0, 1, 5, 1000}) {
    const auto all = sum_on(comm, parameters, false);
    std::vector<double> expected(parameters);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      for (Index p = 0; p < comm.size(); ++p) expected[i] += contribution(p, i);
    }
    expected.push_back(comm.size() * (comm.size() - 1) / 2.0);
    expected.push_back(1);
    expected.push_back(0);
    for (Index p = 0; p < comm.size(); ++p) expected.back() += contribution(p, 7);
    BOOST_TEST(on_all_ranks(comm, close_relative(all, expected, 1e-14)));
  }
}

BOOST_FIXTURE_TEST_CASE(the_ordered_sum_has_the_same_bits_on_any_number_of_ranks, Ranks) {
  for (const Index parameters : {0, 1, 3, 8, 1001}) {
    const auto here = sum_on(comm, parameters, true);
    const auto alone = sum_on(comm::Communicator::self(), parameters, true);
    BOOST_TEST(on_all_ranks(comm, Verdict(here == alone)));
  }
}

BOOST_FIXTURE_TEST_CASE(totals_are_doubles_also_if_the_gradient_is_in_float, Ranks) {
  for (const bool reproducible : {false, true}) {
    const auto totals = large_totals(comm, reproducible);
    const double parts = reproducible ? GradientSum<float>::reproducible_parts : comm.size();
    const double places = parts * (parts - 1) / 2;
    BOOST_TEST(totals.loss == parts * 0x1p24 + places);
    BOOST_TEST(totals.weight == parts * 0x1p25 + places);
    BOOST_TEST(totals.failed == parts);
    // The twin: a float has no digits left for the places of the parts.
    if (parts > 2) BOOST_TEST(static_cast<double>(static_cast<float>(totals.weight)) != totals.weight);
  }
}

// The twin: another order of the same numbers has other bits, so that equality above says something.
BOOST_AUTO_TEST_CASE(another_order_has_other_bits) {
  Index different = 0;
  for (std::size_t i = 0; i < 1000; ++i) {
    double up = 0, down = 0;
    for (Index p = 0; p < 8; ++p) up += contribution(p, i);
    for (Index p = 7; p >= 0; --p) down += contribution(p, i);
    different += up == down ? 0 : 1;
  }
  BOOST_TEST(different > 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
