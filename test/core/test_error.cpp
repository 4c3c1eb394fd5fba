#include <pushforward/core/error.hpp>

#include <boost/test/unit_test.hpp>

#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(error)

BOOST_AUTO_TEST_CASE(exit_codes_follow_from_the_kind) {
  const std::vector<std::pair<ErrorKind, int>> codes{
      {ErrorKind::option, 2}, {ErrorKind::data, 3}, {ErrorKind::shape, 3}, {ErrorKind::numerical, 4},
      {ErrorKind::io, 5},     {ErrorKind::mpi, 6},  {ErrorKind::bug, 6}};
  for (const auto& [kind, code] : codes) BOOST_TEST(static_cast<int>(exit_code(kind)) == code);
}

BOOST_AUTO_TEST_CASE(a_kind_is_thrown_as_its_own_class) {
  BOOST_CHECK_THROW(throw_error(ErrorKind::shape, "m"), ShapeError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::option, "m"), OptionError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::data, "m"), DataError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::numerical, "m"), NumericalError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::io, "m"), IoError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::mpi, "m"), MpiError);
  BOOST_CHECK_THROW(throw_error(ErrorKind::bug, "m"), BugError);
}

BOOST_AUTO_TEST_CASE(agreement_travels_with_the_error) {
  for (const bool agreed : {true, false}) {
    BOOST_CHECK_EXCEPTION(throw_error(ErrorKind::data, "m", agreed), Error,
                          [=](const Error& e) { return e.agreed() == agreed && e.kind() == ErrorKind::data; });
  }
}

BOOST_AUTO_TEST_CASE(a_requirement_throws_the_formatted_message_where_it_is_not_met) {
  BOOST_CHECK_NO_THROW(require<DataError>(true, "never"));
  BOOST_CHECK_EXCEPTION(require<DataError>(1 > 2, "{} is not more than {}", 1, 2), DataError,
                        [](const DataError& e) { return std::string(e.what()) == "1 is not more than 2"; });
}

BOOST_AUTO_TEST_CASE(a_comparison_with_nan_does_not_meet_a_requirement) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  BOOST_CHECK_THROW(require<DataError>(nan <= 1, "x = {}", nan), DataError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
