#include <pushforward/core/text.hpp>

#include <boost/test/unit_test.hpp>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(text)

BOOST_AUTO_TEST_CASE(nearest_word_is_the_one_with_fewest_edits) {
  const std::vector<std::string> words{"train.batch", "train.steps", "model.hidden"};
  BOOST_TEST(nearest_word("train.bacth", words) == "train.batch");
  BOOST_TEST(nearest_word("model.hiden", words) == "model.hidden");
  BOOST_TEST(nearest_word("train.batch", words) == "train.batch");
  BOOST_TEST(nearest_word("xyz", words) == "");
  BOOST_TEST(nearest_word("word", std::vector<std::string>{}) == "");
}

BOOST_AUTO_TEST_CASE(of_equally_near_words_the_first_is_taken) {
  BOOST_TEST(nearest_word("bat", std::vector<std::string>{"cat", "rat"}) == "cat");
}

BOOST_AUTO_TEST_CASE(a_suggestion_is_empty_when_nothing_is_near) {
  const std::vector<std::string> words{"adam", "adamax"};
  BOOST_TEST(suggestion("adm", words) == " (did you mean 'adam'?)");
  BOOST_TEST(suggestion("momentum", words) == "");
}

BOOST_AUTO_TEST_CASE(words_are_joined_with_the_separator_between_them) {
  BOOST_TEST(join(std::vector<std::string>{"a", "b", "c"}) == "a, b, c");
  BOOST_TEST(join(std::vector<std::string>{"a"}, "|") == "a");
  BOOST_TEST(join(std::vector<std::string>{}) == "");
}

BOOST_AUTO_TEST_CASE(a_text_has_one_part_more_than_separators) {
  using Parts = std::vector<std::string_view>;
  BOOST_TEST((parts_of("a,b,c", ',') == Parts{"a", "b", "c"}));
  BOOST_TEST((parts_of("a", ',') == Parts{"a"}));
  BOOST_TEST((parts_of("", ',') == Parts{""}));
  BOOST_TEST((parts_of(",a,,", ',') == Parts{"", "a", "", ""}));
}

BOOST_AUTO_TEST_CASE(a_number_is_the_whole_text) {
  BOOST_TEST(parse_number<Index>("12").value() == 12);
  BOOST_TEST(parse_number<Index>("-12").value() == -12);
  BOOST_TEST(parse_number<Index>("+12").value() == 12);
  BOOST_TEST(parse_number<Index>("9223372036854775807").value() == std::numeric_limits<Index>::max());
  for (const char* const text :
       {"", "+", "-", "+-1", "++1", " 1", "1 ", "1.5", "1e3", "0x1", "one", "1,2", "9223372036854775808"}) {
    BOOST_TEST(!parse_number<Index>(text), text);
    BOOST_TEST(!parse_number<Index>(text, Beyond::rounded), text);
  }
  BOOST_TEST(parse_number<double>("-1.25e-3").value() == -1.25e-3);
  BOOST_TEST(parse_number<double>("+.5").value() == 0.5);
  BOOST_TEST(parse_number<double>("5e-324").value() == 5e-324);
  BOOST_TEST(std::isinf(parse_number<double>("-inf").value()));
  BOOST_TEST(std::isnan(parse_number<double>("nan").value()));
  for (const char* const text : {"", "+", "+-1", " 1", "1 ", "1.5.2", "1e", "0x1", "one"}) {
    BOOST_TEST(!parse_number<double>(text), text);
    BOOST_TEST(!parse_number<double>(text, Beyond::rounded), text);
  }
}

BOOST_AUTO_TEST_CASE(a_number_beyond_its_type_is_refused_or_rounded) {
  for (const char* const text : {"1e999", "-1e999", "1e-999"}) BOOST_TEST(!parse_number<double>(text));
  constexpr double infinity = std::numeric_limits<double>::infinity();
  BOOST_TEST(parse_number<double>("1e999", Beyond::rounded).value() == infinity);
  BOOST_TEST(parse_number<double>("-1e999", Beyond::rounded).value() == -infinity);
  BOOST_TEST(parse_number<double>("1e-999", Beyond::rounded).value() == 0);
  BOOST_TEST(parse_number<double>("1e300", Beyond::rounded).value() == 1e300);
}

BOOST_AUTO_TEST_CASE(bytes_are_printed_in_powers_of_a_thousand) {
  BOOST_TEST(human_bytes(0) == "0 B");
  BOOST_TEST(human_bytes(999) == "999 B");
  BOOST_TEST(human_bytes(1230000) == "1.23 MB");
  BOOST_TEST(human_bytes(999.7e3) == "1 MB");
}

BOOST_AUTO_TEST_CASE(seconds_are_printed_with_the_unit_that_fits) {
  BOOST_TEST(human_seconds(0.85) == "850 ms");
  BOOST_TEST(human_seconds(12.34) == "12.3 s");
  BOOST_TEST(human_seconds(99.97) == "1 min 40 s");
  BOOST_TEST(human_seconds(245) == "4 min 05 s");
  BOOST_TEST(human_seconds(3599.6) == "1 h 00 min");
  BOOST_TEST(human_seconds(7380) == "2 h 03 min");
}

BOOST_AUTO_TEST_CASE(the_time_is_utc_in_iso_8601) {
  const std::string now = utc_now();
  BOOST_TEST(now.size() == std::string("2026-01-31T12:00:00Z").size());
  BOOST_TEST(now[10] == 'T');
  BOOST_TEST(now.back() == 'Z');
}

BOOST_AUTO_TEST_CASE(some_of_many_words_are_joined) {
  const std::vector<std::string> words{"a", "b", "c", "d", "e", "f", "g"};
  BOOST_TEST(join_some(std::span(words).first(0)) == "");
  BOOST_TEST(join_some(std::span(words).first(1)) == "a");
  BOOST_TEST(join_some(std::span(words).first(6)) == "a, b, c, d, e, f");
  BOOST_TEST(join_some(words) == "a, b, c, d, e, …, g (7 in all)");
  BOOST_TEST(join_some(words, 2) == "a, …, g (7 in all)");
  BOOST_TEST(join_some(words, 7) == join(words));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
