
#include <predicates.hpp>

#include <cmath>
#include <limits>
#include <vector>

namespace pushforward::test {

namespace {

const double nan = std::numeric_limits<double>::quiet_NaN();
const double infinity = std::numeric_limits<double>::infinity();
using Doubles = std::vector<double>;
using Floats = std::vector<float>;

}  // namespace

BOOST_AUTO_TEST_SUITE(predicates)

BOOST_AUTO_TEST_CASE(absolute_tolerance_is_inclusive) {
  BOOST_TEST(close_absolute(1.0, 1.25, 0.25));
  BOOST_TEST(!close_absolute(1.0, 1.25, 0.2499));
  BOOST_TEST(!close_absolute(1.25, 1.0, 0.2499));
}

BOOST_AUTO_TEST_CASE(relative_tolerance_scales_with_what_is_expected) {
  BOOST_TEST(close_relative(1000.0, 1001.0, 1e-3));
  BOOST_TEST(!close_relative(1.0, 2.0, 1e-3));
  BOOST_TEST(close_relative(0.0, 0.0, 1e-3));
  BOOST_TEST(!close_relative(1e-300, 0.0, 1e-3));
}

BOOST_AUTO_TEST_CASE(nan_fails_on_either_side_and_as_tolerance) {
  BOOST_TEST(!close_absolute(nan, 1.0, infinity));
  BOOST_TEST(!close_absolute(1.0, nan, infinity));
  BOOST_TEST(!close_absolute(nan, nan, 1.0));
  BOOST_TEST(!close_absolute(1.0, 2.0, nan));
  BOOST_TEST(!close_relative(nan, nan, 1.0));
  BOOST_TEST(!close_relative(Doubles{1, nan}, Doubles{1, 2}, 1.0));
  BOOST_TEST(!close_relative(Doubles{1, 2}, Doubles{1, nan}, 1.0));
}

BOOST_AUTO_TEST_CASE(infinities_are_close_when_equal) {
  BOOST_TEST(close_absolute(-infinity, -infinity, 0.0));
  BOOST_TEST(!close_absolute(-infinity, infinity, 1.0));
  BOOST_TEST(!close_absolute(1.0, infinity, 1.0));
}

BOOST_AUTO_TEST_CASE(arrays_are_compared_normwise) {
  BOOST_TEST(close_relative(Doubles{1e-9, 100}, Doubles{0, 100}, 1e-10));
  BOOST_TEST(!close_relative(Doubles{1e-7, 100}, Doubles{0, 100}, 1e-10));
  BOOST_TEST(close_absolute(Floats{1, 2}, Floats{1, 2.5F}, 0.5));
  BOOST_TEST(!close_relative(Floats{1, 2}, Floats{1, 2.5F}, 0.1));
  BOOST_TEST(close_absolute(Doubles{}, Doubles{}, 0.0));
}

BOOST_AUTO_TEST_CASE(sizes_that_differ_fail) {
  BOOST_TEST(!close_absolute(Doubles{1, 2}, Doubles{1}, infinity));
  BOOST_TEST(!close_absolute(Matrix<double>(2, 3).view(), Matrix<double>(3, 2).view(), infinity));
}

BOOST_AUTO_TEST_CASE(padding_between_columns_is_not_compared) {
  Doubles a{1, 2, nan, 3, 4, nan}, b{1, 2, 7, 3, 4, 8};
  BOOST_TEST(close_absolute(ConstMatrixView<double>(a.data(), 2, 2, 3), {b.data(), 2, 2, 3}, 0.0));
}

BOOST_AUTO_TEST_CASE(the_message_names_the_worst_element) {
  Matrix<float> a(2, 2), b(2, 2);
  a(0, 0) = 1;
  a(1, 1) = 3;
  Verdict verdict = close_absolute(a, b, 0.5);
  BOOST_TEST(verdict.message().str() == "element (1, 1): actual 3, expected 0, difference 3 is not at most 0.5");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
