#include <pushforward/core/error.hpp>
#include <pushforward/table/columns.hpp>

#include <says.hpp>

#include <boost/test/unit_test.hpp>

namespace pushforward::test {

using data::parse_column_number;
using data::select_columns;

namespace {

const std::vector<std::string> names{"energy", "mass", "2", "a-b"};
using Columns = std::vector<Index>;

}  // namespace

BOOST_AUTO_TEST_SUITE(columns)

BOOST_AUTO_TEST_CASE(columns_are_chosen_by_name_number_and_range) {
  const auto chosen = [](std::string_view selector) { return select_columns(selector, names); };
  BOOST_TEST(chosen("mass") == Columns{1}, boost::test_tools::per_element());
  BOOST_TEST(chosen("1") == Columns{0}, boost::test_tools::per_element());
  BOOST_TEST(chosen("2") == Columns{2}, boost::test_tools::per_element());  // a name before a number
  BOOST_TEST(chosen("a-b") == Columns{3}, boost::test_tools::per_element());
  BOOST_TEST(chosen("2-4") == (Columns{1, 2, 3}), boost::test_tools::per_element());
  BOOST_TEST(chosen("*") == (Columns{0, 1, 2, 3}), boost::test_tools::per_element());
  const std::vector<std::string> several{"mass", "1-2"};
  BOOST_TEST(select_columns(several, names) == (Columns{1, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(other_columns_are_refused) {
  const auto chosen = [](std::string_view selector) { return select_columns(selector, names); };
  BOOST_CHECK_EXCEPTION(chosen("energi"), OptionError, says({"'energi'", "did you mean 'energy'?", "from 1 to 4"}));
  for (const char* selector : {"0", "5", "2-5", "3-1", "0-2"}) {
    BOOST_CHECK_EXCEPTION(chosen(selector), OptionError, says({selector, "from 1 to 4"}));
  }
  for (const char* selector : {"", "-1", "1.5", "1-"}) BOOST_CHECK_THROW(chosen(selector), OptionError);
}

BOOST_AUTO_TEST_CASE(numbers_are_for_some_or_all_columns) {
  BOOST_TEST(parse_column_number("17", "--divide").selector == "*");
  BOOST_TEST(parse_column_number("17", "--divide").number == 17);
  BOOST_TEST(parse_column_number("2-3=0.5", "--divide").selector == "2-3");
  BOOST_TEST(parse_column_number("a=b=-1e3", "--shift").selector == "a=b");
  BOOST_TEST(parse_column_number("a=b=-1e3", "--shift").number == -1000);
  for (const char* text : {"", "x", "=1", "mass=", "mass=x", "mass=nan", "mass=1 "}) {
    BOOST_CHECK_EXCEPTION(parse_column_number(text, "--shift"), OptionError,
                          says({"--shift", fmt::format("'{}'", text), "COLUMNS=NUMBER"}));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
