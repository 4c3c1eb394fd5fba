#include <pushforward/core/timer.hpp>

#include <boost/test/unit_test.hpp>

#include <set>
#include <string_view>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(timer)

BOOST_AUTO_TEST_CASE(every_phase_has_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (int i = 0; i < static_cast<int>(Phase::count); ++i) names.insert(phase_name(static_cast<Phase>(i)));
  BOOST_TEST(names.size() == static_cast<std::size_t>(Phase::count));
  BOOST_TEST(names.count("") == 0U);
}

BOOST_AUTO_TEST_CASE(scopes_add_their_time_and_operations_to_their_phase) {
  profile().clear();
  for (int i = 0; i < 3; ++i) {
    const PhaseScope scope(Phase::lu, 100);
    const Timer timer;
    while (timer.seconds() < 1e-3) {
    }
  }
  BOOST_TEST(profile()[Phase::lu].flops == 300);
  BOOST_TEST(profile()[Phase::lu].seconds >= 3e-3);
  BOOST_TEST(profile()[Phase::forward].seconds == 0);
  profile().clear();
  BOOST_TEST(profile()[Phase::lu].flops == 0);
}

BOOST_AUTO_TEST_CASE(time_of_a_scope_within_another_counts_once) {
  const auto spend = [](double seconds) {
    const Timer timer;
    while (timer.seconds() < seconds) {
    }
  };
  profile().clear();
  const Timer whole;
  {
    const PhaseScope outer(Phase::optimizer);
    for (int i = 0; i < 2; ++i) {
      const PhaseScope middle(Phase::spectral_norm);
      const PhaseScope inner(Phase::lu);
      spend(2e-3);
    }
    spend(1e-3);
  }
  const double total = whole.seconds();
  BOOST_TEST(profile()[Phase::lu].seconds >= 4e-3);
  BOOST_TEST(profile()[Phase::optimizer].seconds >= 1e-3);
  BOOST_TEST(profile()[Phase::optimizer].seconds + profile()[Phase::spectral_norm].seconds +
                 profile()[Phase::lu].seconds <=
             total);
  profile().clear();
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
