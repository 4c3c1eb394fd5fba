#include <ranks.hpp>

#include <fstream>
#include <string>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(ranks)

BOOST_FIXTURE_TEST_CASE(a_verdict_holds_where_it_holds_on_all_ranks, Ranks) {
  BOOST_TEST(on_all_ranks(comm, true));
  BOOST_TEST(!on_all_ranks(comm, false));
}

BOOST_FIXTURE_TEST_CASE(a_verdict_that_fails_on_one_rank_fails_on_all, Ranks) {
  const int last = comm.size() - 1;
  Verdict verdict = on_all_ranks(comm, close_absolute(comm.rank() == last ? 1.0 : 0.0, 0.0, 0.5));
  BOOST_TEST(!verdict);
  BOOST_TEST(verdict.message().str() ==
             fmt::format("rank {} of {}: element (0, 0): actual 1, expected 0, difference 1 is not "
                         "at most 0.5",
                         last, comm.size()));
}

BOOST_FIXTURE_TEST_CASE(the_scratch_directory_is_shared_empty_and_the_cases_own, Ranks) {
  const auto directory = scratch_directory();
  BOOST_TEST(on_all_ranks(comm, std::filesystem::is_empty(directory)));
  comm.barrier();
  if (comm.is_root()) std::ofstream(directory / "file") << "text";
  comm.barrier();
  BOOST_TEST(on_all_ranks(comm, std::filesystem::exists(directory / "file")));
  BOOST_TEST(directory.string().find("the_scratch_directory") != std::string::npos);
  BOOST_TEST(scratch_directory() == directory);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
