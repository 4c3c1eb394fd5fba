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
  BOOST_TEST(chosen("name:2") == Columns{2}, boost::test_tools::per_element());
  BOOST_TEST(chosen("number:2") == Columns{1}, boost::test_tools::per_element());
  BOOST_TEST(chosen("number:2-3") == (Columns{1, 2}), boost::test_tools::per_element());
  BOOST_TEST(chosen("a-b") == Columns{3}, boost::test_tools::per_element());
  BOOST_TEST(chosen("2-4") == (Columns{1, 2, 3}), boost::test_tools::per_element());
  BOOST_TEST(chosen("*") == (Columns{0, 1, 2, 3}), boost::test_tools::per_element());
  const std::vector<std::string> several{"mass", "1-2"};
  BOOST_TEST(select_columns(several, names) == (Columns{1, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(selectors_with_two_meanings_are_refused) {
  BOOST_CHECK_EXCEPTION(select_columns("2", names), OptionError,
                        says({"'2' is ambiguous", "the name of column 3", "name:2", "number:2"}));
  // The same words are clear if both meanings are the same column, or if one of them is no column.
  BOOST_TEST(select_columns("2", std::vector<std::string>{"a", "2"}) == Columns{1}, boost::test_tools::per_element());
  BOOST_TEST(select_columns("2019", std::vector<std::string>{"a", "2019"}) == Columns{1},
             boost::test_tools::per_element());
  const std::vector<std::string> twice{"x", "y", "x", "1-2", "*", "name:y"};
  BOOST_CHECK_EXCEPTION(select_columns("x", twice), OptionError,
                        says({"'x' is ambiguous", "columns 1 and 3", "number:1 or number:3"}));
  BOOST_CHECK_EXCEPTION(select_columns("name:x", twice), OptionError, says({"number:1 or number:3"}));
  BOOST_CHECK_EXCEPTION(select_columns("1-2", twice), OptionError, says({"name:1-2", "number:1-2"}));
  BOOST_CHECK_EXCEPTION(select_columns("*", twice), OptionError, says({"name:*", "number:1-6"}));
  BOOST_TEST(select_columns("name:*", twice) == Columns{4}, boost::test_tools::per_element());
  BOOST_TEST(select_columns("number:1-6", twice).size() == 6);
  BOOST_TEST(select_columns("name:y", twice) == Columns{5}, boost::test_tools::per_element());
  for (const char* selector : {"name:z", "number:7", "number:x", "name:"}) {
    BOOST_CHECK_THROW(select_columns(selector, twice), OptionError);
  }
}

BOOST_AUTO_TEST_CASE(a_column_has_a_selector_of_its_own) {
  const std::vector<std::string> years{"2", "x", "3", "x", "1"};
  for (Index i = 0; i < 5; ++i) {
    const auto selector = data::selector_of(i, years);
    BOOST_TEST(select_columns(std::string_view(selector), years) == Columns{i}, boost::test_tools::per_element());
  }
  BOOST_TEST(data::selector_of(3, years) == "4");
  BOOST_TEST(data::selector_of(0, years) == "number:1");
}

BOOST_AUTO_TEST_CASE(messages_name_some_of_many_columns) {
  std::vector<std::string> many;
  for (int i = 1; i <= 1000; ++i) many.push_back(fmt::format("x{}", i));
  BOOST_CHECK_EXCEPTION(select_columns("y", many), OptionError, [](const OptionError& error) {
    return std::string_view(error.what()).size() < 200 && says({"x5, …, x1000 (1000 in all)"})(error);
  });
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
