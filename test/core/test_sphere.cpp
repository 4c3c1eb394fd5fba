#include <pushforward/core/error.hpp>
#include <pushforward/core/sphere.hpp>

#include "../linalg/fixtures.hpp"

#include <numbers>

namespace pushforward::test {

BOOST_AUTO_TEST_SUITE(sphere)

BOOST_AUTO_TEST_CASE(areas_are_those_of_circle_and_sphere) {
  constexpr double pi = std::numbers::pi;
  BOOST_TEST(close_absolute(log_area(2), std::log(2 * pi), 1e-14));
  BOOST_TEST(close_absolute(log_area(3), std::log(4 * pi), 1e-14));
  BOOST_TEST(close_absolute(log_area(4), std::log(2 * pi * pi), 1e-14));
}

BOOST_AUTO_TEST_CASE(marks_and_spheres_are_the_same_thing) {
  const std::vector<Sphere> spheres{{1, 4, 5}, {0, 3}};
  const auto marks = sphere_marks(spheres, 7);
  BOOST_TEST((marks == std::vector<double>{2, 1, 0, 2, 1, 1, 0}));
  BOOST_TEST((spheres_of(marks) == spheres));
  BOOST_TEST((columns_of(spheres) == std::vector<Index>{0, 1, 3, 4, 5}));
  BOOST_TEST(sphere_marks({}, 7).empty());
  BOOST_TEST(spheres_of({}).empty());
}

BOOST_AUTO_TEST_CASE(what_is_no_sphere_is_refused) {
  const auto refused = [](const std::vector<Sphere>& spheres, const std::string& message) {
    BOOST_CHECK_EXCEPTION(check_spheres(spheres, std::vector<Index>{3}, 5), OptionError, says({message}));
  };
  check_spheres(std::vector<Sphere>{{0, 2}, {1, 4}}, std::vector<Index>{3}, 5);
  refused({{1}}, "a sphere of 1 columns: at least 2");
  refused({{0, 5}}, "column 5 of a sphere: columns are from 0 to 4, ascending");
  refused({{2, 1}}, "column 1 of a sphere");
  refused({{-1, 1}}, "column -1 of a sphere");
  refused({{0, 1}, {1, 2}}, "column 1 is of two spheres");
  refused({{2, 3}}, "column 3 is of a sphere and an angle");
  const auto damaged = [](const std::vector<double>& marks, const std::string& message) {
    BOOST_CHECK_EXCEPTION(spheres_of(marks), DataError, says({message}));
  };
  damaged({1, 1.5}, "column 1 has the mark 1.5");
  damaged({-1, 0}, "column 0 has the mark -1");
  damaged({1, 1e300}, "has the mark");
  damaged({nan_of<double>, 0}, "column 0 has the mark nan");
  damaged({1, 0}, "sphere 1 has 1 columns");
  damaged({2, 2, 0}, "sphere 1 has 0 columns");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
