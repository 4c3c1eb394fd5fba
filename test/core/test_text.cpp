#include <pushforward/core/text.hpp>

#include <boost/test/unit_test.hpp>

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

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
