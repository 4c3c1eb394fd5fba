#include "fields.hpp"

#include <cmath>
#include <numbers>

namespace pushforward::test {

namespace {

using nn::Pass;

// τ(t) of each time, as the values of the field v = τ.
template <class T>
Matrix<T> time_features(std::span<const double> t) {
  constexpr Index count = ode::VectorField<T>::time_features;
  const auto one = matrix_of<double>(count, count, [](Index i, Index j) { return i == j ? 1.0 : 0.0; });
  const TestField<T> of(Matrix<double>(count, count), one);
  const Index n = std::ssize(t);
  Planned<ode::FieldState<T>> state([&](auto& kept, auto& scratch) {
    return ode::FieldState<T>(of.field, kept, scratch, n, ode::Derivative::none, Pass::evaluate);
  });
  Matrix<T> v(count, n);
  of.field.forward(*state, Matrix<T>(count, n), t, {}, v);
  return v;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(vector_field)

// The features of a time do not depend on the times that stand with it.
BOOST_AUTO_TEST_CASE_TEMPLATE(features_of_times_are_sines_and_cosines, T, Precisions) {
  constexpr double pi = std::numbers::pi;
  std::vector<double> t{1, 0, 0.5, 0.25, 1e-300, 1 - 1e-16};
  for (int i = 0; i < 31; ++i) t.push_back(std::fmod(0.618033988749895 * i, 1));
  const auto all = time_features<T>(t);
  for (std::size_t j = 0; j < t.size(); ++j) {
    const auto of_one = time_features<T>(std::span(t).subspan(j, 1));
    const double expected[] = {2 * t[j] - 1, std::cos(pi * t[j]), std::sin(pi * t[j]), std::cos(2 * pi * t[j]),
                               std::sin(2 * pi * t[j])};
    for (Index i = 0; i < all.rows(); ++i) {
      BOOST_TEST(all(i, static_cast<Index>(j)) == of_one(i, 0));
      BOOST_TEST(close_absolute(static_cast<double>(of_one(i, 0)), expected[i], gamma<T>(8)), t[j]);
      BOOST_TEST(!close_absolute(static_cast<double>(of_one(i, 0)) + gamma<T>(40), expected[i], gamma<T>(8)));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
