#include <predicates.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/random/stream.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

namespace pushforward::test {

namespace {

using random::BatchOrder;
using random::Permutation;
using random::Purpose;

std::vector<Index> images(const Permutation& permutation) {
  std::vector<Index> all;
  for (Index i = 0; i < permutation.size(); ++i) all.push_back(permutation(i));
  return all;
}

bool is_every_row_once(std::vector<Index> rows) {
  std::vector<Index> identity(rows.size());
  std::iota(identity.begin(), identity.end(), 0);
  std::sort(rows.begin(), rows.end());
  return rows == identity;
}

// The rows of steps [0, steps), one after the other, each batch drawn by `ranks` ranks of which each takes its share.
std::vector<Index> rows_of_steps(const BatchOrder& order, Index steps, int ranks) {
  std::vector<Index> all;
  for (Index step = 0; step < steps; ++step) {
    for (int rank = 0; rank < ranks; ++rank) {
      const auto share = comm::share(order.batch(), rank, ranks);
      std::vector<Index> rows(share.count());
      order.rows(step, share.first, rows);
      all.insert(all.end(), rows.begin(), rows.end());
    }
  }
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(order)

BOOST_AUTO_TEST_CASE(a_permutation_is_a_bijection) {
  for (Index n = 1; n <= 300; ++n) {
    BOOST_TEST(is_every_row_once(images(Permutation(n % 5, Purpose::split, n % 3, n))), "n = " << n);
  }
  for (const Index n : {1023, 1024, 1025, 4096, 4097, 100003}) {
    BOOST_TEST(is_every_row_once(images(Permutation(1, Purpose::split, 0, n))), "n = " << n);
  }
}

// Blocks of images are as long as they like, and begin anywhere.
BOOST_AUTO_TEST_CASE(images_are_those_of_single_numbers) {
  for (const Index n : {1, 5, 300, 512, 1024, 1025}) {
    const Permutation permutation(3, Purpose::batches, 7, n);
    const auto expected = images(permutation);
    for (const Index first : {Index{0}, n / 3, n - 1, n}) {
      std::vector<Index> block(static_cast<std::size_t>(n - first));
      permutation.images(first, block);
      BOOST_TEST(std::equal(block.begin(), block.end(), expected.begin() + first), "n = " << n << " from " << first);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_permutation_depends_on_each_argument) {
  const auto base = images(Permutation(1, Purpose::split, 1, 100));
  BOOST_TEST(base == images(Permutation(1, Purpose::split, 1, 100)));
  BOOST_TEST(base != images(Permutation(2, Purpose::split, 1, 100)));
  BOOST_TEST(base != images(Permutation(1, Purpose::batches, 1, 100)));
  BOOST_TEST(base != images(Permutation(1, Purpose::split, 2, 100)));
}

BOOST_AUTO_TEST_CASE(every_element_comes_to_every_place_equally_often) {
  const Index n = 12, permutations = 12000;
  std::vector<double> counts(n * n, 0.0);
  for (Index step = 0; step < permutations; ++step) {
    const Permutation permutation(1, Purpose::batches, step, n);
    for (Index i = 0; i < n; ++i) ++counts[permutation(i) + n * i];
  }
  const double expected = static_cast<double>(permutations) / n;
  double chi_square = 0;
  for (const double count : counts) chi_square += (count - expected) * (count - expected) / expected;
  // 11² degrees of freedom: mean 121, standard deviation 15.6 (times (n−1)/n for dependent rows); 5 deviations up.
  BOOST_TEST(chi_square < 200);
}

BOOST_AUTO_TEST_CASE(a_permutation_of_nothing_is_refused) {
  BOOST_CHECK_EXCEPTION(Permutation(1, Purpose::split, 0, 0), ShapeError, [](const ShapeError& error) {
    return std::string(error.what()) == "Permutation: n = 0 must be at least 1";
  });
}

BOOST_AUTO_TEST_CASE(every_epoch_has_every_row_exactly_once) {
  for (const auto& [rows, batch] : std::vector<std::pair<Index, Index>>{{7, 3}, {12, 4}, {4, 10}, {1, 1}, {5, 1}}) {
    const auto all = rows_of_steps(BatchOrder(3, rows, batch), 3 * rows, 1);
    for (Index epoch = 0; (epoch + 1) * rows <= static_cast<Index>(all.size()); ++epoch) {
      const auto first = all.begin() + epoch * rows;
      BOOST_TEST(is_every_row_once({first, first + rows}), "rows " << rows << ", batch " << batch);
    }
  }
}

BOOST_AUTO_TEST_CASE(epochs_have_different_orders) {
  const auto all = rows_of_steps(BatchOrder(3, 100, 100), 2, 1);
  BOOST_TEST(std::vector(all.begin(), all.begin() + 100) != std::vector(all.begin() + 100, all.end()));
}

BOOST_AUTO_TEST_CASE(the_order_does_not_depend_on_the_number_of_ranks) {
  for (const Index batch : {1, 5, 10, 64}) {
    const BatchOrder order(3, 37, batch);
    const auto alone = rows_of_steps(order, 20, 1);
    for (const int ranks : {2, 3, 8}) BOOST_TEST(rows_of_steps(order, 20, ranks) == alone);
  }
}

BOOST_AUTO_TEST_CASE(an_order_without_rows_is_refused) {
  const auto refused = [](const ShapeError& error) {
    return std::string(error.what()).find("must be at least 1") != std::string::npos;
  };
  BOOST_CHECK_EXCEPTION(BatchOrder(1, 0, 5), ShapeError, refused);
  BOOST_CHECK_EXCEPTION(BatchOrder(1, 5, 0), ShapeError, refused);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
