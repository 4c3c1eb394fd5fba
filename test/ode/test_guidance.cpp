#include <pushforward/ode/guidance.hpp>

#include "fields.hpp"

#include <algorithm>

namespace pushforward::test {

namespace {

constexpr Index d = 3, c = 2, n = 5;

ode::FieldOptions options(std::vector<Index> hidden, std::vector<Sphere> spheres = {}) {
  return {.dimension = d, .hidden = std::move(hidden), .context = c, .optional_context = true, .spheres = spheres};
}

// The values, divergences and tangents of the identity that a field has at some points.
struct Field {
  Matrix<double> v = Matrix<double>(d, n), tangents = Matrix<double>(d, d*n);
  std::vector<double> divergence = std::vector<double>(n);
};

Field evaluate(TestField<double>& of, double scale, const Matrix<double>& u, std::span<const std::int8_t> none = {}) {
  of.field.set_guidance(scale);
  Field result;
  const auto x = random_matrix<double>(d, n, 6);
  constexpr double t = 0.3;
  const auto pass = [&](ode::Derivative derivative, auto&& then) {
    Planned<ode::FieldState<double>> state([&](auto& kept, auto& scratch) {
      return ode::FieldState<double>(of.field, kept, scratch, n, derivative, nn::Pass::evaluate);
    });
    of.field.forward(*state, x, std::span(&t, 1), u, result.v, none);
    then(*state);
  };
  pass(ode::Derivative::divergence, [&](auto& state) { of.field.divergence(state, result.divergence); });
  pass(ode::Derivative::tangents,
       [&](auto& state) { of.field.tangent(state, nn::Directions<double>::identity(d), result.tangents); });
  return result;
}

// (1 − S) a + S b
template <class A>
std::vector<double> on_line(double scale, const A& a, const A& b) {
  std::vector<double> out(std::size(a));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = (1 - scale) * a[i] + scale * b[i];
  return out;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(guidance)

// Values, divergences and tangents of the guided field are on the line through those with and without contexts: with a
// closed form of the trace, and without.
BOOST_AUTO_TEST_CASE(a_guided_field_is_on_the_line) {
  const auto u = random_matrix<double>(c, n, 7);
  const std::vector<std::int8_t> all(n, 1);
  for (const auto& hidden : {std::vector<Index>{8, 6}, std::vector<Index>{8, 6, 5}}) {
    for (const auto& spheres : {std::vector<Sphere>{}, std::vector<Sphere>{{0, 1, 2}}}) {
      TestField<double> of(options(hidden, spheres));
      const auto with = evaluate(of, 1, u), without = evaluate(of, 1, u, all);
      BOOST_TEST(!close_absolute(with.v.view(), without.v.view(), 0.01));
      for (const double scale : {-0.5, 0.0, 0.4, 3.0}) {
        const auto guided = evaluate(of, scale, u);
        BOOST_TEST(close_absolute(guided.v.span(), on_line(scale, without.v.span(), with.v.span()), 1e-13));
        BOOST_TEST(close_absolute(guided.divergence, on_line(scale, without.divergence, with.divergence), 1e-12));
        BOOST_TEST(close_absolute(guided.tangents.span(), on_line(scale, without.tangents.span(), with.tangents.span()),
                                  1e-12));
        BOOST_TEST(!close_absolute(guided.v.span(), on_line(scale + 0.1, without.v.span(), with.v.span()), 1e-3));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(strengths_1_and_0_are_the_plain_field_and_that_without_contexts) {
  TestField<double> of(options({8, 6}));
  const auto u = random_matrix<double>(c, n, 7), other = random_matrix<double>(c, n, 8);
  TestField<double> fresh(options({8, 6}));
  const auto are_same = [](const Matrix<double>& a, const Matrix<double>& b) {
    return std::ranges::equal(a.span(), b.span());
  };
  BOOST_TEST(are_same(evaluate(of, 1, u).v, evaluate(fresh, 1, u).v));
  BOOST_TEST(are_same(evaluate(of, 0, u).tangents, evaluate(of, 0, other).tangents));
  BOOST_TEST(!are_same(evaluate(of, 0.1, u).tangents, evaluate(of, 0.1, other).tangents));
}

// Samples without a context do not see it, and the others do not see that it is optional for their neighbors.
BOOST_AUTO_TEST_CASE(samples_without_a_context_stand_beside_others) {
  TestField<double> of(options({8, 6}));
  const auto u = random_matrix<double>(c, n, 7);
  const std::vector<std::int8_t> all(n, 1), some{0, 1, 1, 0, 0};
  const auto with = evaluate(of, 1, u), without = evaluate(of, 1, u, all), mixed = evaluate(of, 1, u, some);
  for (Index j = 0; j < n; ++j) {
    const auto& expected = some[j] == 1 ? without : with;
    BOOST_TEST(close_absolute(mixed.v.view().columns(j, 1), expected.v.view().columns(j, 1), 1e-14));
  }
  // No context is not a context of zeros.
  BOOST_TEST(!close_absolute(evaluate(of, 1, Matrix<double>(c, n)).v.view(), without.v.view(), 0.01));
}

BOOST_AUTO_TEST_CASE(the_bound_on_the_lipschitz_constant_grows) {
  TestField<double> of(options({8, 6}));
  const double plain = of.field.lipschitz();
  of.field.set_guidance(3);
  BOOST_TEST(close_relative(of.field.lipschitz(), 5 * plain, 1e-14));
}

BOOST_AUTO_TEST_CASE(fields_that_cannot_be_guided_say_so) {
  TestField<double> plain({.dimension = d, .hidden = {4}, .context = c}), of(options({4}));
  BOOST_CHECK_EXCEPTION(plain.field.set_guidance(2), OptionError, says({"strength 2", "objective.unconditional"}));
  BOOST_CHECK_EXCEPTION(of.field.set_guidance(std::numeric_limits<double>::infinity()), OptionError,
                        says({"must be finite"}));
  const std::vector<std::int8_t> all(n, 1), few(n - 1, 1);
  const Matrix<double> u(c, n);
  BOOST_CHECK_EXCEPTION(evaluate(plain, 1, u, all), ShapeError, says({"5 marks"}));
  BOOST_CHECK_EXCEPTION(evaluate(of, 1, u, few), ShapeError, says({"4 marks", "5 samples"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
