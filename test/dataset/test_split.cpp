#include <pushforward/core/error.hpp>
#include <pushforward/dataset/split.hpp>

#include <says.hpp>

#include <boost/test/unit_test.hpp>

#include <algorithm>

namespace pushforward::test {

using data::BySplit;
using data::divide;
using data::Fractions;
using data::parse_fractions;
using data::Split;
using data::split_counts;

BOOST_AUTO_TEST_SUITE(split)

BOOST_AUTO_TEST_CASE(splits_are_known_by_name) {
  for (const auto split : data::splits) BOOST_TEST((data::parse_split(data::split_name(split)) == split));
  BOOST_CHECK_EXCEPTION(data::parse_split("tests"), OptionError, says({"'tests'", "train, validation, test"}));
}

BOOST_AUTO_TEST_CASE(fractions_are_read) {
  BOOST_TEST(parse_fractions("0.8,0.1,0.1") == (Fractions{0.8, 0.1, 0.1}), boost::test_tools::per_element());
  BOOST_TEST(parse_fractions("0.75,0.25") == (Fractions{0.75, 0.25, 0}), boost::test_tools::per_element());
  BOOST_TEST(parse_fractions("1,0,0") == (Fractions{1, 0, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(other_texts_are_not_fractions) {
  for (const char* text : {"", "1", "0.8,0.1", "0.8,0.1,0.2", "1.5,-0.5", "0.8,0.1,", "0.8,0.1,0.1,0", "a,b", "0.5;0.5",
                           "nan,0.5", "0.5, 0.5"}) {
    BOOST_CHECK_EXCEPTION(parse_fractions(text), OptionError, says({fmt::format("'{}'", text), "add up to 1"}));
  }
}

BOOST_AUTO_TEST_CASE(counts_add_up_and_leave_no_part_empty) {
  const auto counts = [](Index rows, const Fractions& fractions) { return split_counts(rows, fractions); };
  BOOST_TEST(counts(1000, {0.8, 0.1, 0.1}) == (BySplit<Index>{800, 100, 100}), boost::test_tools::per_element());
  BOOST_TEST(counts(7, {0.8, 0.1, 0.1}) == (BySplit<Index>{5, 1, 1}), boost::test_tools::per_element());
  BOOST_TEST(counts(3, {0.98, 0.01, 0.01}) == (BySplit<Index>{1, 1, 1}), boost::test_tools::per_element());
  BOOST_TEST(counts(3, {0.01, 0.98, 0.01}) == (BySplit<Index>{1, 1, 1}), boost::test_tools::per_element());
  BOOST_TEST(counts(5, {0, 0, 1}) == (BySplit<Index>{0, 0, 5}), boost::test_tools::per_element());
  BOOST_TEST(counts(1, {1, 0, 0}) == (BySplit<Index>{1, 0, 0}), boost::test_tools::per_element());
  BOOST_CHECK_EXCEPTION(counts(2, {0.8, 0.1, 0.1}), DataError, says({"2 rows", "3 parts"}));
  BOOST_CHECK_EXCEPTION(counts(0, {1, 0, 0}), DataError, says({"0 rows"}));
}

BOOST_AUTO_TEST_CASE(division_is_a_seeded_draw_of_the_counts) {
  constexpr Index rows = 997;
  const Fractions fractions{0.6, 0.3, 0.1};
  const auto first = divide(rows, fractions, 1);
  const auto counts = split_counts(rows, fractions);
  for (const Split split : data::splits) {
    BOOST_TEST(std::ranges::count(first, split) == counts[data::index_of(split)]);
  }
  BOOST_TEST((divide(rows, fractions, 1) == first));
  BOOST_TEST((divide(rows, fractions, 2) != first));
  // The test rows are spread over the file: of the first half it has neither none nor all.
  const auto in_first_half = std::count(first.begin(), first.begin() + rows / 2, Split::test);
  BOOST_TEST(in_first_half > 20);
  BOOST_TEST(in_first_half < 80);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
