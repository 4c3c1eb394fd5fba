// Closed forms, shapes and messages of the transforms without a network that have no file of their own.

#include <pushforward/maps/monotone_root.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/pixels.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/squeeze.hpp>

#include "passes.hpp"
#include "simple_maps.hpp"

namespace pushforward::test {

namespace {

using flow::Status;

template <class T>
Passes<T> simple(std::string_view kind, std::string_view detail, const Shape& shape) {
  return Passes<T>([&](nn::ParameterLayout& layout) { return make_simple<T>({kind, detail}, shape, layout); });
}

template <class T>
Matrix<T> counted(Index d) {
  return matrix_of<T>(d, 1, [](Index i, Index) { return i; });
}

template <class T>
void require_values(const Matrix<T>& actual, const std::vector<double>& expected, double tolerance = 0) {
  BOOST_TEST(close_absolute(actual.view(), matrix_from<T>(actual.rows(), expected).view(), tolerance));
}

template <class F>
void require_refused(F&& make, std::vector<std::string> parts) {
  BOOST_CHECK_EXCEPTION(make(), Error, says(std::move(parts)));
}

flow::Permutation<double> permutation(const flow::PermutationOptions& options, const Shape& shape, std::uint64_t seed) {
  nn::ParameterLayout layout;
  return {layout, "p", shape, options, seed, 1};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(simple_transforms)

BOOST_AUTO_TEST_CASE_TEMPLATE(actnorm_of_images_has_a_scale_per_channel, T, Precisions) {
  auto norm = simple<T>("actnorm", "", {2, 2, 3});
  BOOST_TEST(norm.layout.size() == 6);
  auto x = random_matrix<T>(12, 50, 95);
  for (Index j = 0; j < 50; ++j) {
    for (Index i = 1; i < 12; i += 3) x(i, j) = T(4) * x(i, j) + T(2);
  }
  dynamic_cast<const flow::Trained<T>&>(*norm.transform).initialize_from_data(norm.parameters, x);
  norm.prepare();
  const auto image = norm.forward(x);
  for (Index c = 0; c < 3; ++c) {
    double mean = 0, square = 0;
    for (Index j = 0; j < 50; ++j) {
      for (Index i = c; i < 12; i += 3) {
        mean += static_cast<double>(image.value(i, j)) / 200;
        square += std::pow(static_cast<double>(image.value(i, j)), 2) / 200;
      }
    }
    // Each value is rounded thrice; the scale once.
    BOOST_TEST(close_absolute(mean, 0, 10 * gamma<T>(3)));
    BOOST_TEST(close_absolute(square, 1, 10 * gamma<T>(5)));
  }
  double sum = 0;
  for (std::size_t c = 0; c < 3; ++c) sum += static_cast<double>(norm.parameters[c]);
  BOOST_TEST(close_absolute(image.log_det[0], 4 * sum, 1e-12));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_scaling_multiplies_each_value_by_its_own, T, Precisions) {
  auto scaling = simple<T>("scaling", "", {1, 2, 1});
  BOOST_TEST(scaling.layout.blocks()[0].name == "t/log_scale");
  require_values(scaling.forward(counted<T>(2)).value, {0, 1});
  scaling.parameters = {0, static_cast<T>(std::log(2.0))};
  scaling.prepare();
  const auto image = scaling.forward(matrix_from<T>(2, {3, 5}));
  require_values(image.value, {3, 10}, 10 * gamma<T>(3));
  BOOST_TEST(close_absolute(image.log_det[0], std::log(2.0), gamma<T>(1)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(planar_and_radial_flows_begin_at_the_identity, T, Precisions) {
  for (const auto kind : {"planar", "radial"}) {
    for (const Index d : {1, 2, 17}) {
      auto map = simple<T>(kind, "", Shape::vector(d));
      const auto x = random_matrix<T>(d, 5, 96);
      const auto image = map.forward(x);
      BOOST_TEST(close_absolute(image.value.view(), x.view(), gamma<T>(16 + d) * 8), kind << ' ' << d);
      for (const double value : image.log_det) BOOST_TEST(close_absolute(value, 0, gamma<T>(16 + d) * double(4 * d)));
    }
  }
}

// d = 1, w = 1, b = 0: x + c·tanh x, c = log(1 + eᵘ) − 1; and far below, where 1 + wᵀû is 4e-18, it still has a slope.
BOOST_AUTO_TEST_CASE(a_planar_flow_on_the_line_is_the_textbooks) {
  auto map = simple<double>("planar", "", Shape::vector(1));
  map.parameters = {2, 1, 0};
  map.prepare();
  const double c = std::log1p(std::exp(2.0)) - 1, t = std::tanh(0.5);
  auto image = map.forward(matrix_from<double>(1, {0.5}));
  require_values(image.value, {0.5 + c * t}, 1e-15);
  BOOST_TEST(close_absolute(image.log_det[0], std::log(1 + c * (1 - t * t)), 1e-15));
  map.parameters[0] = -40;
  map.prepare();
  image = map.forward(matrix_from<double>(1, {0, 1e-3, 3}));
  BOOST_TEST(close_relative(image.log_det[0], -40, 1e-15));
  BOOST_TEST(close_relative(image.log_det[1], 2 * std::log(std::tanh(1e-3)), 1e-10));
  const auto back = map.inverse(image.value);
  BOOST_TEST(close_absolute(back.value(0, 2), 3, 1e-14));
  for (const auto status : back.status) BOOST_TEST((status == Status::ok));
  map.parameters[1] = 0;
  map.prepare();
  BOOST_TEST((map.forward(matrix_from<double>(1, {1})).status[0] == Status::not_finite));
}

// About x₀ = (1, 0), α = 1, s = 3: at r = 2, q = 5/3; the radial slope is (4 + 4 + 3)/9.
BOOST_AUTO_TEST_CASE(a_radial_flow_stretches_about_its_center) {
  auto map = simple<double>("radial", "", Shape::vector(2));
  map.parameters = {1, 0, 0, std::log(std::expm1(3.0))};
  map.prepare();
  const auto image = map.forward(matrix_from<double>(2, {1, 2, 1, 0}));
  require_values(image.value, {1, 10.0 / 3, 1, 0}, 1e-14);
  BOOST_TEST(close_absolute(image.log_det[0], std::log(5.0 / 3) + std::log(11.0 / 9), 1e-14));
  BOOST_TEST(close_absolute(image.log_det[1], 2 * std::log(3.0), 1e-14));
  const auto back = map.inverse(image.value);
  require_values(back.value, {1, 2, 1, 0}, 1e-14);
}

BOOST_AUTO_TEST_CASE(the_root_of_an_increasing_function_is_found_to_rounding) {
  const auto cube = [](double u) { return flow::ValueAndSlope{u * u * u - 2, 3 * u * u}; };
  BOOST_TEST(close_relative(flow::monotone_root(cube, -10, 10), std::cbrt(2.0), 4e-16));
  // Newton's steps would leave for good.
  const auto steep = [](double u) { return flow::ValueAndSlope{std::atan(u - 9), 1 / (1 + (u - 9) * (u - 9))}; };
  BOOST_TEST(close_relative(flow::monotone_root(steep, -1000, 1000), 9, 4e-16));
  const auto nan = [](double) { return flow::ValueAndSlope{nan_of<double>, 1}; };
  BOOST_TEST(std::isnan(flow::monotone_root(nan, 0, 1)));
}

BOOST_AUTO_TEST_CASE(permutations_go_by_channel) {
  require_values(simple<double>("permutation", "reverse", {1, 2, 3}).forward(counted<double>(6)).value,
                 {2, 1, 0, 5, 4, 3});
  const flow::PermutationOptions given{.order = "given", .indices = {1, 2, 0}};
  auto map = Passes<double>([&](nn::ParameterLayout& layout) {
    return std::make_unique<flow::Permutation<double>>(layout, "p", Shape{1, 2, 3}, given, 1, 1);
  });
  const auto image = map.forward(counted<double>(6));
  require_values(image.value, {1, 2, 0, 4, 5, 3});
  BOOST_TEST(image.log_det[0] == 0);
  require_values(map.inverse(image.value).value, {0, 1, 2, 3, 4, 5});
}

BOOST_AUTO_TEST_CASE(a_random_permutation_is_drawn_once_and_kept) {
  const auto shape = Shape::vector(40);
  const auto drawn = permutation({}, shape, 1).resolved_options();
  BOOST_TEST(drawn.order == "given");
  BOOST_TEST(permutation(drawn, shape, 2).resolved_options().indices == drawn.indices);
  BOOST_TEST(permutation({}, shape, 1).resolved_options().indices == drawn.indices);
  BOOST_TEST(permutation({}, shape, 2).resolved_options().indices != drawn.indices);
  auto sorted = drawn.indices;
  std::ranges::sort(sorted);
  for (Index i = 0; i < 40; ++i) BOOST_TEST(sorted[i] == i);
}

// A 2 × 4 image with two channels, numbered: blocks of 2 × 2 pixels, upper left, upper right, lower left, lower right.
BOOST_AUTO_TEST_CASE(a_squeeze_makes_channels_of_pixels) {
  auto map = simple<double>("squeeze", "", {2, 4, 2});
  BOOST_TEST((map.transform->output_shape() == Shape{1, 2, 8}));
  require_values(map.forward(counted<double>(16)).value, {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15});
}

// The image has two pixels with three channels. Two channels of each pixel are kept.
BOOST_AUTO_TEST_CASE(a_split_puts_what_is_kept_first) {
  auto map = simple<double>("split", "", {1, 2, 3});
  BOOST_TEST((map.transform->output_shape() == Shape{1, 2, 2}));
  require_values(map.forward(counted<double>(6)).value, {0, 1, 3, 4, 2, 5});
  nn::ParameterLayout layout;
  const flow::FactorOut<double> split(layout, "s", {1, 2, 3}, {.keep = 1});
  BOOST_TEST((split.output_shape() == Shape{1, 2, 1}));
  BOOST_TEST(split.options().keep == 1);
}

BOOST_AUTO_TEST_CASE(options_are_declared_by_their_names) {
  using Keys = std::vector<std::string>;
  flow::PermutationOptions permutation;
  flow::LinearOptions linear;
  flow::FactorOutOptions split;
  flow::PlanarOptions planar;
  BOOST_TEST(permutation.declare().keys() == (Keys{"order", "indices"}));
  BOOST_TEST(linear.declare().keys() == (Keys{"form", "bias", "reflections", "indices", "signs"}));
  BOOST_TEST(split.declare().keys() == Keys{"keep"});
  BOOST_TEST(planar.declare().keys().empty());
  auto set = linear.declare();
  set.set_text("form", "householder", "test");
  set.set_text("signs", "-1,1", "test");
  BOOST_TEST(linear.form == "householder");
  BOOST_TEST(linear.signs == (std::vector<Index>{-1, 1}));
  BOOST_CHECK_EXCEPTION(set.set_text("form", "lu", "test"), OptionError, says({"must be one of", "plu"}));
}

BOOST_AUTO_TEST_CASE(shapes_and_options_that_do_not_fit_are_refused) {
  nn::ParameterLayout layout;
  require_refused(
      [&] {
        flow::Squeeze<double>(layout, "s", {3, 4, 2});
      },
      {"squeeze s: an image of 3 × 4 × 2", "height and width must be even"});
  require_refused([&] { flow::Squeeze<double>(layout, "s", Shape::vector(4)); }, {"1 × 1 × 4"});
  require_refused([&] { flow::FactorOut<double>(layout, "s", {4, 4, 1}, {}); }, {"split s: 1 channel", "at least 2"});
  for (const Index keep : {-1, 3}) {
    require_refused([&] { flow::FactorOut<double>(layout, "s", Shape::vector(3), {keep}); },
                    {fmt::format("split s: keep = {} of 3 channels", keep), "to 2"});
  }
  require_refused([&] { permutation({.order = "revers"}, Shape::vector(2), 1); }, {"did you mean 'reverse'?"});
  require_refused(
      [&] {
        permutation({.order = "reverse", .indices = {0, 1}}, Shape::vector(2), 1);
      },
      {"permutation p: 2 indices with order = 'reverse'"});
  for (const auto& indices : {std::vector<Index>{0}, {0, 2}, {0, 0}, {0, -1}, {0, 1, 2}}) {
    require_refused([&] { permutation({.order = "given", .indices = indices}, Shape::vector(2), 1); },
                    {"permutation p: indices = [", "must hold each of 0 to 1 once"});
  }
  const Matrix<double> wide(9, 2);
  require_refused([&] { flow::pixels_of({2, 2, 2}, wide.view().block(0, 0, 8, 2)); }, {"must be contiguous"});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
