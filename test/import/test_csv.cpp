#include <pushforward/core/error.hpp>
#include <pushforward/import/import_csv.hpp>

#include <predicates.hpp>
#include <says.hpp>

#include <cmath>
#include <limits>

namespace pushforward::test {

namespace {

using data::CsvFormat;
using data::Table;

Table parse(std::string_view text, const CsvFormat& format = {}) {
  return data::parse_csv(text, "F.csv", format);
}

const std::vector<double> one_to_four{1, 2, 3, 4};
constexpr double missing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

BOOST_AUTO_TEST_SUITE(csv)

BOOST_AUTO_TEST_CASE(the_same_table_in_many_dresses) {
  for (const char* text : {"1,2\n3,4\n", "1,2\n3,4", "1,2\r\n3,4\r\n", "1;2\n3;4\n", "1\t2\n3\t4\n", "1 2\n3 4\n",
                           "  1   2 \n\t3\t 4\n", "1, 2\n3, 4\n",
                           "\xEF\xBB\xBF"
                           "1,2\n3,4\n",
                           "# a comment\n1,2\n\n3,4\n", "\"1\",2\n3,\"4\"\n", "+1,2.0\n3e0,.4e1\n",
                           "\"1\" 2\n3 \"4\"\n", "1,2\n\r\n3,4\n#\n"}) {
    const auto table = parse(text);
    BOOST_TEST(table.dimension() == 2, text);
    BOOST_TEST(!table.named, text);
    BOOST_TEST(close_absolute(table.values, one_to_four, 0), text);
  }
}

BOOST_AUTO_TEST_CASE(headers_are_found_or_given) {
  const auto found = parse("\xEF\xBB\xBFx,\"the y, in m\"\r\n1,2\r\n3,4\r\n");
  BOOST_TEST(found.named);
  BOOST_TEST(found.names == (std::vector<std::string>{"x", "the y, in m"}), boost::test_tools::per_element());
  BOOST_TEST(close_absolute(found.values, one_to_four, 0));

  const auto given = parse("1990,1991\n1,2\n3,4\n", {.header = CsvFormat::Header::yes});
  BOOST_TEST(given.names == (std::vector<std::string>{"1990", "1991"}), boost::test_tools::per_element());
  BOOST_TEST(given.rows() == 2);

  const auto row = parse("1990,1991\n1,2\n", {.header = CsvFormat::Header::no});
  BOOST_TEST(row.names == (std::vector<std::string>{"x1", "x2"}), boost::test_tools::per_element());
  BOOST_TEST(row.rows() == 2);
  const auto denied = parse("x,y\n1,2\n", {.header = CsvFormat::Header::no});
  BOOST_TEST(!denied.text[0].empty());
}

BOOST_AUTO_TEST_CASE(numbers_beyond_double_are_rounded) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const auto table = parse("a,b,c\n1e999,-1e999,+1e-999\n");
  BOOST_TEST(table.values == (std::vector<double>{infinity, -infinity, 0}), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(missing_values_are_nan) {
  const auto table = parse("a,b\n1,\nNA,2\nnan,?\n-inf,1e999\n");
  BOOST_TEST(table.values[0] == 1);
  for (const std::size_t i : {1U, 2U, 4U, 5U}) BOOST_TEST(std::isnan(table.values[i]));
  BOOST_TEST(table.values[3] == 2);
  BOOST_TEST(table.values[6] == -std::numeric_limits<double>::infinity());
  BOOST_TEST(table.values[7] == std::numeric_limits<double>::infinity());
  BOOST_TEST(table.text[0].empty());
  BOOST_TEST(table.text[1].empty());
  BOOST_TEST(!close_absolute(std::vector{missing}, std::vector{missing}, 0));
}

BOOST_AUTO_TEST_CASE(text_is_named_with_its_place) {
  const auto table = parse("# made by hand\nx,species,y\n1,setosa,2\n3,virginica,4\n");
  BOOST_TEST(table.text[0].empty());
  BOOST_TEST(
      table.text[1] ==
      "F.csv:3: 'setosa' in column 2 (species) is not a number; leave the column out with --exclude 2, or take its "
      "classes with --context 2 --one-hot 2");
  BOOST_TEST(std::isnan(table.values[1]));
  BOOST_TEST(table.values[2] == 2);
  for (const char* word : {"1x", "0x1g", "1e", "--1", "+-1", "1_000", "1d", "0x", "tru", "1.2.3"}) {
    BOOST_TEST(!parse(fmt::format("1,{}\n", word), {.header = CsvFormat::Header::no}).text[1].empty(), word);
  }
}

BOOST_AUTO_TEST_CASE(ragged_text_is_refused) {
  BOOST_CHECK_EXCEPTION(parse("x,y\n1,2\n\n3,4,5\n"), DataError, says({"F.csv:4: 3 fields, where line 1 has 2"}));
  BOOST_CHECK_EXCEPTION(parse("1,2\n3\n"), DataError, says({"F.csv:2: 1 fields, where line 1 has 2"}));
  BOOST_CHECK_EXCEPTION(parse("a,b\n\"1\n1\",2\n3,4,5\n"), DataError, says({"F.csv:4: 3 fields"}));
}

BOOST_AUTO_TEST_CASE(text_without_rows_is_refused) {
  for (const char* text : {"", "\n\n", "# nothing\n", "\xEF\xBB\xBF"}) {
    BOOST_CHECK_EXCEPTION(parse(text), DataError, says({"F.csv: has no rows"}));
  }
  BOOST_CHECK_EXCEPTION(parse("x,y\n"), DataError, says({"F.csv: has a header, but no rows"}));
  BOOST_CHECK_EXCEPTION(parse(std::string_view("1,2\n\0,4\n", 9)), DataError, says({"not text in UTF-8", "byte 4"}));
}

BOOST_AUTO_TEST_CASE(a_given_separator_counts) {
  const auto table = parse("1,2;3\n", {.separator = ','});
  BOOST_TEST(table.dimension() == 2);
  BOOST_TEST(!table.text[1].empty());
}

BOOST_AUTO_TEST_CASE(numbers_are_read_exactly) {
  std::string text;
  std::vector<double> expected;
  double value = 1;
  for (int i = 0; i < 5000; ++i) {
    value = std::fmod(value * 1664525.25 + 0.1, 9973.7) * (i % 2 == 0 ? 1 : -1e-3);
    expected.push_back(value);
    text += fmt::format("{}{}", value, i % 5 == 4 ? '\n' : ',');
  }
  BOOST_TEST(close_absolute(parse(text).values, expected, 0));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
