#include <pushforward/maps/scalar_function.hpp>
#include <pushforward/transforms/elementwise.hpp>

#include "passes.hpp"

namespace pushforward::test {

namespace {

using flow::Elementwise;
using flow::ElementwiseOptions;
using flow::Function;
using flow::ScalarFunction;
using flow::Status;

constexpr double infinity = std::numeric_limits<double>::infinity();

template <class T>
Passes<T> elementwise(const ElementwiseOptions& options, Index d) {
  return Passes<T>([&](nn::ParameterLayout& layout) {
    return std::make_unique<Elementwise<T>>(layout, "f", Shape::vector(d), options);
  });
}

double phi(double z) {
  return std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
}

// log of the density of the samples under N(0, I) of their latents.
template <class T>
std::vector<double> log_densities(const typename Subject<T>::Image& image) {
  auto log_p = image.log_det;
  for (std::size_t j = 0; j < log_p.size(); ++j) {
    log_p[j] += normal_log_density<T>(image.value.view().column_span(static_cast<Index>(j)));
  }
  return log_p;
}

// The slope in long double where the formula of a textbook is good in it.
long double textbook_slope(Function function, long double u) {
  switch (function) {
    case Function::softplus: return 1 / (1 + std::exp(-u));
    case Function::sigmoid: return std::exp(-std::abs(u)) / std::pow(1 + std::exp(-std::abs(u)), 2.0L);
    case Function::tanh: return 1 / std::pow(std::cosh(u), 2.0L);
    default: return 1 / (1 - std::exp(-u));  // inverse softplus
  }
}

ElementwiseOptions with(std::string function) {
  return {.function = std::move(function)};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(elementwise_functions)

BOOST_AUTO_TEST_CASE_TEMPLATE(an_affine_function_makes_any_normal_density, T, Precisions) {
  auto affine = elementwise<T>({.function = "affine", .shift = 1.5, .scale = 0.25}, 1);
  const auto x = matrix_from<T>(1, {-3, 0, 1.5, 2});
  const auto image = affine.forward(x);
  for (Index j = 0; j < 4; ++j) {
    const double u = (static_cast<double>(x(0, j)) - 1.5) / 0.25;
    BOOST_TEST(image.value(0, j) == static_cast<T>(u));
    BOOST_TEST(close_relative(log_densities<T>(image)[j], std::log(phi(u) / 0.25), 1e-13));
  }
}

// u = x³, v = y³ of standard normal x and y: p(u, v) = |uv|^(−2/3)/9 · φ(u^(1/3)) φ(v^(1/3)).
BOOST_AUTO_TEST_CASE_TEMPLATE(cubes_of_normal_variables_have_their_textbook_density, T, Precisions) {
  auto root = elementwise<T>(with("cube_root"), 2);
  const auto x = matrix_from<T>(2, {8, 1, -0.125, 27, 1e-9, -2, 0, 1});
  const auto image = root.forward(x);
  const auto log_p = log_densities<T>(image);
  for (Index j = 0; j < 3; ++j) {
    const auto u = static_cast<double>(x(0, j)), v = static_cast<double>(x(1, j));
    const double p = std::pow(std::abs(u * v), -2.0 / 3) / 9 * phi(std::cbrt(u)) * phi(std::cbrt(v));
    // The latents are rounded to T, of size 3 at most.
    BOOST_TEST(close_absolute(log_p[j], std::log(p), 20 * gamma<T>(1) + 1e-13));
  }
  BOOST_TEST(log_p[3] == infinity);
  for (const auto status : image.status) BOOST_TEST((status == Status::ok));

  // The other way: the density of the cube of x is 0 where its slope is.
  auto cube = elementwise<T>(with("cube"), 2);
  const auto other = cube.forward(matrix_from<T>(2, {2, 3, 0, 1}));
  BOOST_TEST(close_absolute(other.log_det[0], std::log(12.0 * 27), 1e-14));
  BOOST_TEST(other.log_det[1] == -infinity);
  BOOST_TEST((other.status[1] == Status::outside_support));
  const auto back = cube.inverse(other.value);
  BOOST_TEST((back.status[0] == Status::ok));
  BOOST_TEST((back.status[1] == Status::outside_support));
}

// RealNVP's: y = α + (1 − 2α)x, z = log(y/(1 − y)), log-det log(1/y + 1/(1 − y)) + log(1 − 2α).
BOOST_AUTO_TEST_CASE(the_logit_with_a_margin_is_that_of_real_nvp) {
  auto logit = elementwise<double>({.function = "logit", .margin = 0.05}, 1);
  const auto x = matrix_from<double>(1, {0, 0.25, 1});
  const auto image = logit.forward(x);
  for (Index j = 0; j < 3; ++j) {
    const double y = 0.05 + 0.9 * x(0, j);
    BOOST_TEST(close_absolute(image.value(0, j), std::log(y / (1 - y)), 1e-14));
    BOOST_TEST(close_absolute(image.log_det[j], std::log(1 / y + 1 / (1 - y)) + std::log(0.9), 1e-14));
  }
}

BOOST_AUTO_TEST_CASE(slopes_are_right_far_into_the_tails) {
  for (const auto function : {Function::softplus, Function::sigmoid, Function::tanh, Function::inverse_softplus}) {
    const ScalarFunction f(function, 0.1, 0);
    for (const double u : {-40.0, -20.0, -1.0, -0.1, 0.1, 0.7, 1.0, 20.0, 40.0}) {
      if (u < 0 && function == Function::inverse_softplus) continue;
      const auto expected = static_cast<double>(std::log(textbook_slope(function, u)));
      // Where the slope is 1 but for 4e-18, so is the textbook's to 2⁻⁶⁴, a part in 80 of that.
      const double tolerance = std::abs(expected) < 1e-15 ? 0.05 : std::abs(expected) < 1e-8 ? 1e-9 : 1e-14;
      BOOST_TEST(close_relative(f(u).log_slope, expected, tolerance),
                 flow::function_names()[static_cast<Index>(function)] << " at " << u);
    }
  }
}

BOOST_AUTO_TEST_CASE(each_function_and_its_inverse_undo_each_other) {
  for (const auto& name : flow::function_names()) {
    const bool margin = name == "logit" || name == "sigmoid";
    const ScalarFunction f(flow::function_of(name), 0.3, margin ? 0.05 : 0), g = f.inverse();
    BOOST_TEST((flow::inverse_of(flow::inverse_of(flow::function_of(name))) == flow::function_of(name)));
    for (const double u : {0.15, 0.5, 0.9}) {
      const auto [v, log_slope] = f(u);
      const auto [back, other] = g(v);
      BOOST_TEST(close_relative(back, u, 1e-14), name);
      BOOST_TEST(close_absolute(log_slope + other, 0, 1e-13), name);
      // The slope of log f′ by a central difference, whose error is h²/6 times a third derivative below 1e3 here.
      const double h = 1e-5, expected = (f(u + h).log_slope - f(u - h).log_slope) / (2 * h);
      BOOST_TEST(close_absolute(f.log_slope_derivative(u), expected, 1e-6), name);
      BOOST_TEST((std::abs(expected) < 1e-3 || !close_absolute(1.01 * f.log_slope_derivative(u), expected, 1e-6)));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(values_outside_the_domain_and_the_range_exclude_their_sample_alone, T, Precisions) {
  auto log = elementwise<T>({.function = "log", .columns = {1}, .shift = -1, .scale = 2}, 2);
  const auto x = matrix_from<T>(2, {-9, 1, 0, -1, 5, -3, 2, 3});
  auto image = log.forward(x);
  const std::vector<Status> expected{Status::ok, Status::outside_support, Status::outside_support, Status::ok};
  BOOST_TEST((image.status == expected));
  BOOST_TEST(image.value(0, 0) == T(-9));
  BOOST_TEST(image.value(1, 0) == T(0));
  BOOST_TEST(close_absolute(image.log_det[0], -std::log(2.0), 1e-15));
  BOOST_TEST(image.log_det[1] == -infinity);
  BOOST_TEST(image.log_det[2] == -infinity);
  BOOST_TEST(close_absolute(image.log_det[3], -std::log(4.0), 1e-15));

  auto exp = elementwise<T>(with("exp"), 1);
  const auto back = exp.inverse(matrix_from<T>(1, {0, -1, 1}));
  BOOST_TEST((back.status == std::vector{Status::outside_support, Status::outside_support, Status::ok}));
  BOOST_TEST(back.log_det[1] == infinity);
  BOOST_TEST(back.log_det[2] == 0);
}

BOOST_AUTO_TEST_CASE(a_status_that_is_not_ok_stays) {
  nn::ParameterLayout layout;
  const Elementwise<double> log(layout, "f", Shape::vector(1), with("log"));
  linalg::Workspace nothing;
  const auto x = matrix_from<double>(1, {-1});
  Matrix<double> z(1, 1);
  double log_det = 0;
  Status status = Status::not_converged;
  log.forward(*log.plan(nothing, nothing, 1, nn::Pass::evaluate), {x}, z, {&log_det, 1}, {&status, 1});
  BOOST_TEST((status == Status::not_converged));
}

BOOST_AUTO_TEST_CASE(the_support_is_that_of_the_shifted_and_scaled_function) {
  const auto support = [](const ElementwiseOptions& options, Index row) {
    const auto map = elementwise<double>(options, 2);
    return dynamic_cast<const flow::Supported&>(*map.transform).support(row);
  };
  using Interval = std::pair<double, double>;
  BOOST_TEST((support({.function = "log", .columns = {1}, .shift = 3}, 1) == Interval{3, infinity}));
  BOOST_TEST((support({.function = "log", .columns = {1}, .shift = 3}, 0) == Interval{-infinity, infinity}));
  BOOST_TEST((support({.function = "atanh", .shift = 1, .scale = 2}, 0) == Interval{-1, 3}));
  BOOST_TEST((support({.function = "logit", .scale = 256}, 0) == Interval{0, 256}));
  BOOST_TEST((support({.function = "logit", .margin = 0.25}, 0) == Interval{-0.5, 1.5}));
}

BOOST_AUTO_TEST_CASE(options_that_do_not_fit_are_refused) {
  const auto make = [](const ElementwiseOptions& options) { elementwise<double>(options, 3); };
  BOOST_CHECK_EXCEPTION(make(with("sofplus")), OptionError,
                        says({"function 'sofplus' is unknown (did you mean 'softplus'?)"}));
  BOOST_CHECK_EXCEPTION(make({.scale = 0}), OptionError, says({"elementwise f: scale = 0 must be positive"}));
  BOOST_CHECK_EXCEPTION(make({.slope = 2}), OptionError, says({"slope = 2 with function = 'affine'"}));
  BOOST_CHECK_EXCEPTION(make({.margin = 0.1}), OptionError, says({"margin = 0.1 with function = 'affine'"}));
  BOOST_CHECK_EXCEPTION(make({.function = "logit", .margin = 0.5}), OptionError, says({"margin = 0.5 must be"}));
  BOOST_CHECK_EXCEPTION(make({.columns = {0, 3}}), OptionError, says({"column 3 is not one of 0 to 2"}));
  BOOST_CHECK_EXCEPTION(make({.columns = {1, 1}}), OptionError, says({"column 1", "there twice"}));
  ElementwiseOptions options;
  auto set = options.declare();
  set.set_text("function", "cube", "test");
  set.set_text("columns", "0,2", "test");
  BOOST_TEST(options.function == "cube");
  BOOST_TEST(options.columns == (std::vector<Index>{0, 2}));
  BOOST_CHECK_THROW(set.set_text("function", "square", "test"), OptionError);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
