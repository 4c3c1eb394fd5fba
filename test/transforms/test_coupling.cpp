// Couplings and autoregressive transforms with linear networks, worked out by hand; their masks, and what they refuse.

#include "conditional.hpp"

namespace pushforward::test {

namespace {

using flow::AutoregressiveOptions;
using flow::CouplingMask;
using flow::CouplingOptions;
using Rows = std::vector<Index>;

constexpr double pi = std::numbers::pi;

Conditional linear_coupling(const std::string& mask, const std::string& map, const Domain& domain, Rows kernels = {}) {
  auto conditional = coupling(mask, map, domain, std::move(kernels));
  std::get<CouplingOptions>(conditional.options).hidden = {};
  return conditional;
}
Conditional linear_autoregressive(const std::string& map, const Domain& domain, bool inverse = false) {
  auto conditional = autoregressive(map, domain, inverse);
  std::get<AutoregressiveOptions>(conditional.options).hidden = {};
  return conditional;
}

// z and log-det of one sample with these parameters: those of layer 0, weight, bias and then context.
struct Point {
  std::vector<double> z;
  double log_det;
};
Point at(const Conditional& of, const std::vector<double>& parameters, const std::vector<double>& x,
         const std::vector<double>& context = {}) {
  const auto subject = make_subject<double>(of);
  BOOST_TEST_REQUIRE(subject->layout().size() == std::ssize(parameters));
  subject->set(parameters, nn::Normalization::svd);
  subject->condition(
      matrix_of<double>(std::ssize(context), 1, [&](Index i, Index) { return context[std::size_t(i)]; }));
  const auto image =
      subject->forward(matrix_of<double>(std::ssize(x), 1, [&](Index i, Index) { return x[std::size_t(i)]; }), 1);
  return {{image.value.span().begin(), image.value.span().end()}, image.log_det[0]};
}

Verdict is_at(const Point& point, const std::vector<double>& z, double log_det) {
  const auto verdict = close_absolute(std::span<const double>(point.z), std::span<const double>(z), 1e-14);
  return verdict ? close_absolute(point.log_det, log_det, 1e-14) : verdict;
}

// log scale of the maps of conditional.hpp.
double scale_of(double raw) {
  return 1.5 * std::tanh(raw / 1.5);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(couplings)

BOOST_AUTO_TEST_CASE(masks_name_the_values_that_stay) {
  const auto check = [](const char* mask, const Shape& shape, const Rows& passive, const Rows& active) {
    BOOST_TEST_CONTEXT(mask << " on " << to_string(shape)) {
      const CouplingMask actual(mask, shape);
      BOOST_TEST(actual.passive == passive, boost::test_tools::per_element());
      BOOST_TEST(actual.active == active, boost::test_tools::per_element());
    }
  };
  check("first", Shape::vector(2), {0}, {1});
  check("second", Shape::vector(2), {1}, {0});
  check("first", Shape::vector(5), {0, 1, 2}, {3, 4});
  check("second", Shape::vector(5), {3, 4}, {0, 1, 2});
  check("even", Shape::vector(5), {0, 2, 4}, {1, 3});
  check("odd", Shape::vector(5), {1, 3}, {0, 2, 4});
  check("first", {1, 2, 3}, {0, 1, 3, 4}, {2, 5});
  check("odd", {2, 1, 3}, {1, 4}, {0, 2, 3, 5});
  check("checkerboard", {2, 3, 1}, {0, 2, 4}, {1, 3, 5});
  check("checkerboard-odd", {2, 3, 1}, {1, 3, 5}, {0, 2, 4});
  check("checkerboard", {2, 2, 2}, {0, 1, 6, 7}, {2, 3, 4, 5});
}

BOOST_AUTO_TEST_CASE(a_linear_network_gives_what_a_hand_finds) {
  const auto map = linear_coupling("first", "affine", {.shape = Shape::vector(3), .context = 1});
  // t = 0.3 x₀ − 0.2 x₁ + 0.1 + 2u and raw = 0.5 x₀ + 0.4 x₁ − 0.6 − u; weights by columns.
  const std::vector<double> parameters{0.3, 0.5, -0.2, 0.4, 0.1, -0.6, 2, -1};
  const double t = 0.3 * 0.7 + 0.2 * 1.1 + 0.1 + 2 * 0.25, s = scale_of(0.5 * 0.7 - 0.4 * 1.1 - 0.6 - 0.25);
  const auto point = at(map, parameters, {0.7, -1.1, 2}, {0.25});
  BOOST_TEST(is_at(point, {0.7, -1.1, 2 * std::exp(s) + t}, s));
  BOOST_TEST(!is_at(at(map, parameters, {0.7, -1.1, 2}, {0.3}), point.z, point.log_det));
}

BOOST_AUTO_TEST_CASE(parameters_of_each_value_are_together) {
  const auto map = linear_coupling("odd", "affine", {.shape = Shape::vector(3)});
  // x₀ has t = x₁ and raw = 0.1 x₁; x₂ has t = 2 x₁ and raw = 0.2 x₁.
  const double x = 0.5, a = scale_of(0.05), b = scale_of(0.1);
  BOOST_TEST(is_at(at(map, {1, 0.1, 2, 0.2, 0, 0, 0, 0}, {3, x, -4}),
                   {3 * std::exp(a) + x, x, -4 * std::exp(b) + 2 * x}, a + b));
}

BOOST_AUTO_TEST_CASE(a_convolution_of_a_checkerboard_sees_the_neighbors_that_stay) {
  const auto map = linear_coupling("checkerboard", "additive", {.shape = {2, 3, 1}}, {3});
  // Weights of one: the sum of the passive pixels around.
  std::vector<double> parameters(10, 1);
  parameters[9] = 0.25;
  BOOST_TEST(is_at(at(map, parameters, {1, 20, 300, 4000, 50000, 600000}),
                   {1, 20 + 50301.25, 300, 4000 + 50001.25, 50000, 600000 + 50300.25}, 0));
}

BOOST_AUTO_TEST_CASE(a_convolution_of_channels_sees_those_that_stay) {
  const auto map = linear_coupling("even", "additive", {.shape = {1, 2, 3}}, {1});
  BOOST_TEST(is_at(at(map, {2, 3, 0.5}, {1, 10, 2, 3, 20, 4}), {1, 10 + 2 + 6 + 0.5, 2, 3, 20 + 6 + 12 + 0.5, 4}, 0));
  const auto other = linear_coupling("odd", "additive", {.shape = {1, 2, 3}}, {1});
  BOOST_TEST(is_at(at(other, {2, 3, 0.5, 0.25}, {1, 10, 2, 3, 20, 4}), {21.5, 10, 32.25, 43.5, 20, 64.25}, 0));
}

BOOST_AUTO_TEST_CASE(angles_are_seen_as_cos_and_sin_and_stay_on_the_circle) {
  const auto map = linear_coupling("first", "additive", {.shape = Shape::vector(2), .periodic = {0, 1}});
  const double t = 0.3 * std::cos(2.0) - 0.4 * std::sin(2.0) + 3;
  BOOST_TEST(
      is_at(at(map, {0.3, -0.4, 3}, {2 - 2 * pi, 1.5}), {2, 1.5 + t - 2 * pi * std::round((1.5 + t) / (2 * pi))}, 0));
}

BOOST_AUTO_TEST_CASE(angles_and_others_have_equally_many_outputs) {
  const Domain domain{.shape = Shape::vector(4), .periodic = {3}};
  const Index bins = map_of("spline").as<flow::SplineOptions>().bins;
  nn::ParameterLayout layout;
  const flow::Coupling<double> both(layout, "a", domain, {.mask = "first", .map = map_of("spline")}, 1, 1);
  BOOST_TEST(both.network().out() == 2 * (3 * bins + 1));
  const flow::Coupling<double> plain(layout, "b", domain, {.mask = "second", .map = map_of("spline")}, 1, 1);
  BOOST_TEST(plain.network().out() == 2 * (3 * bins - 1));
  BOOST_TEST(plain.network().options().periodic == Rows{1}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const auto refused = [](const Conditional& map, const std::string& message) {
    BOOST_CHECK_EXCEPTION(make_subject<double>(map), Error, says({message}));
  };
  const Domain vector{.shape = Shape::vector(5)}, image{.shape = {4, 4, 1}};
  refused(coupling("even", "affine", {.shape = Shape::vector(1)}),
          "1 value cannot be divided into some that stay and some that are mapped, which takes 2: use autoregressive, "
          "which takes 1 value");
  refused(coupling("evens", "affine", vector),
          "mask = 'evens' is unknown (did you mean 'even'?); there are first, second, even, odd, checkerboard, "
          "checkerboard-odd");
  refused(coupling("checkerboard", "affine", vector),
          "mask = 'checkerboard' of vectors of 5 values: a checkerboard needs images; use even or odd");
  refused(coupling("odd", "affine", image),
          "mask = 'odd' of images 4×4×1 with 1 channel: divides channels, of which there must be 2; use checkerboard, "
          "or squeeze before");
  refused(coupling("checkerboard", "affine", image, {3, 3}), "2 kernels for 3 layers");
  refused(coupling("checkerboard", "affine", image, {3, 2, 3}), "a kernel of 2 must be odd");
  refused(coupling("even", "affine", {.shape = Shape::vector(3), .periodic = {1}}),
          "map = 'affine' of value 1, which is an angle: takes 'additive' or 'spline'");
  refused(autoregressive("affine", {.shape = Shape::vector(3), .periodic = {2}}, false), "map = 'affine' of value 2");
  refused(autoregressive("splin", vector, false), "scalar map 'splin' is unknown (did you mean 'spline'?)");
  const auto subject = make_subject<double>(coupling("even", "affine", {.shape = Shape::vector(2), .context = 3}));
  BOOST_CHECK_EXCEPTION(subject->forward(Matrix<double>(2, 1), 1), ShapeError,
                        says({"a context (0 × 1) does not fit 1 samples of a network whose context has 3 values"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(autoregressive_transforms)

BOOST_AUTO_TEST_CASE(a_linear_network_gives_what_a_hand_finds) {
  const auto map = linear_autoregressive("affine", {.shape = Shape::vector(2)});
  // A value sees neither itself nor the values after it: its weights for them are 9 here. The columns are those of x₀
  // and x₁, then b.
  const std::vector<double> parameters{9, 9, 0.3, 0.5, 9, 9, 9, 9, 0.1, 0.2, -0.4, -0.6};
  const double s0 = scale_of(0.2), s1 = scale_of(0.5 * 0.7 - 0.6);
  BOOST_TEST(
      is_at(at(map, parameters, {0.7, -2}), {0.7 * std::exp(s0) + 0.1, -2 * std::exp(s1) + 0.3 * 0.7 - 0.4}, s0 + s1));
}

BOOST_AUTO_TEST_CASE(one_value_depends_on_the_context) {
  const auto map = linear_autoregressive("affine", {.shape = Shape::vector(1), .context = 2});
  // t = 0.1 + 2u₀ − u₁, raw = −0.3 + 0.5u₁; context weights by columns.
  const double u0 = 0.4, u1 = -0.2, s = scale_of(-0.3 + 0.5 * u1);
  const std::vector<double> parameters{9, 9, 0.1, -0.3, 2, 0, -1, 0.5};
  BOOST_TEST(is_at(at(map, parameters, {1.5}, {u0, u1}), {1.5 * std::exp(s) + 0.1 + 2 * u0 - u1}, s));
}

// [Kingma et al. 2016] is [Papamakarios et al. 2017] backwards.
BOOST_AUTO_TEST_CASE_TEMPLATE(the_inverse_kind_is_the_other_backwards, T, Precisions) {
  for (const auto* map : {"affine", "spline"}) {
    const Domain domain{.shape = Shape::vector(5), .periodic = {}, .context = 2};
    auto masked = make_case<T>(autoregressive(map, domain, false));
    auto inverse = make_case<T>(autoregressive(map, domain, true));
    const Index n = masked.x.cols();
    const auto z = masked.subject->forward(masked.x, n), z_inverse = inverse.subject->inverse(masked.x, {}, n);
    const auto x = masked.subject->inverse(masked.x, {}, n), x_inverse = inverse.subject->forward(masked.x, n);
    BOOST_TEST(close_absolute(z.value.view(), z_inverse.value.view(), 0));
    BOOST_TEST(close_absolute(x.value.view(), x_inverse.value.view(), 0));
    BOOST_TEST(z.log_det == z_inverse.log_det, boost::test_tools::per_element());
    BOOST_TEST(x.log_det == x_inverse.log_det, boost::test_tools::per_element());
    BOOST_TEST(!close_absolute(z.value.view(), x.value.view(), 1e-2));
  }
}

BOOST_AUTO_TEST_CASE(values_do_not_see_those_behind) {
  for (const auto* map : {"affine", "spline"}) {
    auto c = make_case<double>(autoregressive(map, {.shape = Shape::vector(5)}, false));
    const auto image = c.subject->forward(c.x, c.x.cols());
    for (Index moved = 0; moved < 5; ++moved) {
      Matrix<double> x(c.x);
      for (Index j = 0; j < x.cols(); ++j) x(moved, j) += 0.5;
      const auto other = c.subject->forward(x, x.cols());
      for (Index j = 0; j < x.cols(); ++j) {
        for (Index i = 0; i < 5; ++i) BOOST_TEST((other.value(i, j) == image.value(i, j)) == (i < moved));
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(conditional_maps)

BOOST_AUTO_TEST_CASE_TEMPLATE(fresh_ones_are_the_identity, T, Precisions) {
  const Domain vector{.shape = Shape::vector(5), .periodic = {}, .context = 2};
  const Domain angles{.shape = Shape::vector(5), .periodic = {0, 3}};
  for (const auto* kind : {"additive", "affine", "spline"}) {
    for (const auto& map :
         {coupling("even", kind, vector), coupling("checkerboard", kind, {.shape = {2, 3, 2}}, {3, 1, 3}),
          autoregressive(kind, vector, false), autoregressive(kind, vector, true),
          coupling("odd", std::string(kind) == "affine" ? "spline" : kind, angles)}) {
      BOOST_TEST_CONTEXT(map.name()) {
        nn::ParameterLayout layout;
        std::vector<T> parameters;
        {
          const auto transform = make_transform<T>(map, layout);
          parameters.resize(layout.size());
          initialize<T>(*transform, parameters);
        }
        const auto subject = make_subject<T>(map);
        subject->set(parameters, nn::Normalization::svd);
        if (map.domain.context > 0) subject->condition(random_matrix<T>(2, 4, 5));
        const auto x = random_matrix<T>(map.domain.size(), 4, 6, 0.5);
        // A spline of 4 bins rounds its knots at ±B, and there are as many log-slopes as values.
        for (const auto& image : {subject->forward(x, 4), subject->inverse(x, {}, 4)}) {
          BOOST_TEST(close_absolute(image.value.view(), x.view(), 40 * pi * gamma<T>(1)));
          BOOST_TEST(
              close_absolute(std::span<const double>(image.log_det), std::vector<double>(4), 12 * 40 * gamma<T>(1)));
        }
        for (T& value : parameters) value = T(0.5);
        subject->set(parameters, nn::Normalization::svd);
        BOOST_TEST(!close_absolute(subject->forward(x, 4).value.view(), x.view(), 1e-2));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_samples_are_fine, T, Precisions) {
  for (const auto& map : {coupling("even", "spline", {.shape = Shape::vector(3), .periodic = {1}, .context = 1}),
                          coupling("checkerboard", "affine", {.shape = {2, 2, 1}}, {3, 3, 3}),
                          autoregressive("spline", {.shape = Shape::vector(3)}, false),
                          autoregressive("affine", {.shape = Shape::vector(3)}, true)}) {
    nn::ParameterLayout layout;
    const auto transform = make_transform<T>(map, layout);
    prepare<T>(*transform, random_vector<T>(layout.size(), 1), nn::Normalization::svd);
    std::vector<T> gradient(layout.size());
    for (const auto pass : {nn::Pass::evaluate, nn::Pass::gradient}) {
      linalg::Workspace counted_kept, counted_scratch;
      transform->plan(counted_kept, counted_scratch, 5, pass);
      linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
      const auto state = transform->plan(kept, scratch, 5, pass);
      const Matrix<T> none(map.domain.size(), 0), context(map.domain.context, 0);
      Matrix<T> out(map.domain.size(), 0);
      const flow::Batch<T> batch{.x = none, .context = context};
      transform->forward(*state, batch, out, {}, {});
      if (pass == nn::Pass::evaluate) {
        transform->inverse(*state, batch, out, {}, {}, {});
      } else {
        transform->reverse(*state, none, none, {}, out, gradient);
        transform->solve_transposed(*state, none, none, out);
      }
    }
    BOOST_TEST(std::ranges::count(gradient, T(0)) == layout.size());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
