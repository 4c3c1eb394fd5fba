// Cases that pass and fail in known ways, for the tests of main.cpp. No test by itself.

#include <ranks.hpp>

#include <stdexcept>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(sample)

BOOST_AUTO_TEST_CASE(passes) {
  BOOST_TEST(true);
}

BOOST_FIXTURE_TEST_CASE(fails_on_the_first_rank, Ranks) {
  BOOST_TEST(comm.rank() != 0);
}

BOOST_FIXTURE_TEST_CASE(fails_on_the_last_rank, Ranks) {
  BOOST_TEST(comm.rank() != comm.size() - 1);
}

BOOST_FIXTURE_TEST_CASE(throws_on_the_last_rank_while_others_wait, Ranks) {
  if (comm.rank() == comm.size() - 1) throw std::runtime_error("thrown as asked");
  comm.barrier();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
