// Scalar maps against the formulas as the papers write them, in long double, and against what any map of the kind must
// do: invert, have the slope that its log-det states and the gradient that its reverse gives.

#include <pushforward/maps/spline.hpp>

#include "../nn/taylor.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using flow::ScalarMap;
using Real = long double;

constexpr Index elements = 3, samples = 7;
constexpr double pi = std::numbers::pi;

// A map of the line or the circle with its options, by the name that ScalarMap::kind() has.
struct MapCase {
  std::string kind = "affine";
  double scale_limit = 3;
  Index bins = 8;
  double bound = 3;
  double min_width = 1e-3, min_height = 1e-3, min_derivative = 1e-3;
};

flow::ScalarMapOptions options_of(const MapCase& c) {
  if (c.kind == "additive" || c.kind == "rotation") return flow::AdditiveMapOptions();
  if (c.kind == "affine") return flow::AffineMapOptions{.scale_limit = c.scale_limit};
  if (c.kind == "spline" || c.kind == "circular_spline") {
    return flow::SplineOptions{c.bins, c.bound, c.min_width, c.min_height, c.min_derivative};
  }
  return flow::ScalarMapOptions(c.kind);
}

template <class T>
std::unique_ptr<flow::ScalarMap<T>> make_map(const MapCase& c) {
  return c.kind == "rotation" || c.kind == "circular_spline" ? flow::make_circle_map<T>(options_of(c))
                                                             : flow::make_scalar_map<T>(options_of(c));
}

const std::vector<MapCase>& all_maps() {
  static const std::vector<MapCase> maps{
      {.kind = "additive"},
      {.kind = "affine"},
      {.kind = "affine", .scale_limit = 0.5},
      {.kind = "spline", .bins = 2, .bound = 1.5},
      {.kind = "spline"},
      {.kind = "spline", .bins = 64, .bound = 5, .min_width = 2e-3, .min_height = 1e-4, .min_derivative = 0.1},
      {.kind = "circular_spline", .bins = 2},
      {.kind = "circular_spline"},
      {.kind = "circular_spline", .bins = 13, .min_width = 1e-2},
      {.kind = "rotation"}};
  return maps;
}

bool is_spline(const MapCase& o) {
  return o.kind.find("spline") != std::string::npos;
}
bool is_circular(const MapCase& o) {
  return o.kind == "circular_spline" || o.kind == "rotation";
}
Real bound_of(const MapCase& o) {
  return is_circular(o) ? std::numbers::pi_v<Real> : Real(o.bound);
}

std::string name_of(const MapCase& o) {
  return is_spline(o) ? fmt::format("{}, {} bins", o.kind, o.bins) : fmt::format("{}, {}", o.kind, o.scale_limit);
}

// Operands of one map: some elements inside of [−B, B], some outside, for angles some beyond ±π.
template <class T>
struct Operands {
  explicit Operands(const MapCase& options, Index e = elements, Index n = samples)
      : map(make_map<T>(options)),
        theta(random_matrix<T>(map->parameters(), e * n, 1, 0.8)),
        x(random_matrix<T>(e, n, 2, 2)),
        z_bar(random_matrix<T>(e, n, 3)),
        weight(random_vector<T>(n, 4)) {}

  std::unique_ptr<ScalarMap<T>> map;
  Matrix<T> theta, x, z_bar;
  std::vector<T> weight;
};

template <class T>
struct Image {
  Matrix<T> value;
  std::vector<double> log_det;
};

template <class T>
Image<T> forward(const ScalarMap<T>& map, ConstMatrixView<T> theta, ConstMatrixView<T> x) {
  Image<T> image{Matrix<T>(x.rows(), x.cols()), std::vector<double>(x.cols())};
  map.forward(theta, x, image.value, image.log_det);
  return image;
}

template <class T>
Image<T> inverse(const ScalarMap<T>& map, ConstMatrixView<T> theta, ConstMatrixView<T> z) {
  Image<T> image{Matrix<T>(z.rows(), z.cols()), std::vector<double>(z.cols())};
  map.inverse(theta, z, image.value, image.log_det);
  return image;
}

// One element with one set of parameters.
struct Point {
  double value, log_det;
};
template <class T>
Point at(const ScalarMap<T>& map, const std::vector<T>& theta, T x) {
  Point p{0, 0};
  T z = 0;
  map.forward({theta.data(), std::ssize(theta), 1}, {&x, 1, 1}, {&z, 1, 1}, {&p.log_det, 1});
  p.value = static_cast<double>(z);
  return p;
}

// The representative of an angle that is nearest to another.
double near(const MapCase& options, double value, double to) {
  return is_circular(options) ? value - 2 * pi * std::round((value - to) / (2 * pi)) : value;
}

template <class U>
Matrix<U> converted(ConstMatrixView<float> a) {
  return matrix_of<U>(a.rows(), a.cols(), [&](Index i, Index j) { return static_cast<U>(a(i, j)); });
}
template <class U>
Matrix<U> converted(ConstMatrixView<double> a) {
  return matrix_of<U>(a.rows(), a.cols(), [&](Index i, Index j) { return static_cast<U>(a(i, j)); });
}

// The knots of a spline and their slopes.
struct Knots {
  std::vector<Real> x, y, slope;
};

template <class T>
Knots knots_of(const MapCase& o, const T* theta) {
  const auto axis = [&](const T* raw, double least) {
    Real sum = 0;
    for (Index j = 0; j < o.bins; ++j) sum += std::exp(Real(raw[j]));
    std::vector<Real> at{-bound_of(o)};
    for (Index j = 0; j < o.bins; ++j) {
      const Real part = Real(least) + (1 - Real(o.bins) * Real(least)) * std::exp(Real(raw[j])) / sum;
      at.push_back(at.back() + 2 * bound_of(o) * part);
    }
    return at;
  };
  const auto slope = [&](Index row) {
    const Real offset = std::log(std::exp(1 - Real(o.min_derivative)) - 1);
    return Real(o.min_derivative) + std::log1p(std::exp(Real(theta[2 * o.bins + row]) + offset));
  };
  Knots knots{axis(theta, o.min_width), axis(theta + o.bins, o.min_height), {}};
  for (Index k = 0; k <= o.bins; ++k) {
    const bool end = k == 0 || k == o.bins;
    knots.slope.push_back(is_circular(o) ? slope(k % o.bins) : end ? Real(1) : slope(k - 1));
  }
  return knots;
}

struct RealPoint {
  Real value, slope;
};

// Equations (4) and (5) of [Durkan et al. 2019].
template <class T>
RealPoint spline(const MapCase& o, const T* theta, Real x) {
  const Real bound = bound_of(o);
  if (is_circular(o)) {
    x += Real(theta[3 * o.bins]);
    x -= 2 * bound * std::floor((x + bound) / (2 * bound));
  }
  if (std::abs(x) >= bound) return {x, 1};
  const Knots knots = knots_of(o, theta);
  std::size_t k = 0;
  while (x >= knots.x[k + 1]) ++k;
  const Real w = knots.x[k + 1] - knots.x[k], h = knots.y[k + 1] - knots.y[k], s = h / w;
  const Real xi = (x - knots.x[k]) / w, d0 = knots.slope[k], d1 = knots.slope[k + 1];
  const Real denominator = s + (d1 + d0 - 2 * s) * xi * (1 - xi);
  return {knots.y[k] + h * (s * xi * xi + d0 * xi * (1 - xi)) / denominator,
          s * s * (d1 * xi * xi + 2 * s * xi * (1 - xi) + d0 * (1 - xi) * (1 - xi)) / (denominator * denominator)};
}

template <class T>
RealPoint closed_form(const MapCase& o, const T* theta, Real x) {
  if (o.kind == "additive" || o.kind == "rotation") return {x + Real(theta[0]), 1};
  if (is_spline(o)) return spline(o, theta, x);
  const Real scale = std::exp(Real(o.scale_limit) * std::tanh(Real(theta[1]) / Real(o.scale_limit)));
  return {x * scale + Real(theta[0]), scale};
}

// Rounding of a spline: sums of up to K lengths move its knots by K·u·B, and within a bin by as much relative to its
// width; slopes by that, relative, over what a bin is wide. An exponential has the error of its argument, |s| ≤ c.
template <class T>
double value_tolerance(const MapCase& o, double slope) {
  const double size = is_spline(o) ? static_cast<double>(bound_of(o)) : 10 * (1 + o.scale_limit);
  return gamma<T>(is_spline(o) ? 4 * o.bins + 20 : 20) * size * (1 + slope);
}
template <class T>
double log_det_tolerance(const MapCase& o) {
  return is_spline(o) ? gamma<T>((4 * o.bins + 40) * 10 * o.bins) : gamma<T>(40) * (1 + o.scale_limit);
}

// Σ z̄·z + Σ w·log_det of the map in double, angles taken where they are nearest to `middle`.
double objective(const MapCase& options, const Operands<double>& o, ConstMatrixView<double> theta,
                 ConstMatrixView<double> x, const Matrix<double>& middle) {
  const auto image = forward<double>(*o.map, theta, x);
  double sum = 0;
  for (Index i = 0; i < x.cols(); ++i) {
    sum += o.weight[i] * image.log_det[i];
    for (Index r = 0; r < x.rows(); ++r) sum += o.z_bar(r, i) * near(options, image.value(r, i), middle(r, i));
  }
  return sum;
}

template <class T>
struct Gradients {
  Matrix<T> x, theta;
};
template <class T>
Gradients<T> gradients(const Operands<T>& o) {
  Gradients<T> g{Matrix<T>(o.x.rows(), o.x.cols()), Matrix<T>(o.theta.rows(), o.theta.cols())};
  g.theta.fill(nan_of<T>);  // to be written, not added to
  o.map->reverse(o.theta, o.x, o.z_bar, o.weight, g.x, g.theta);
  return g;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scalar_maps)

BOOST_AUTO_TEST_CASE(every_kind_has_a_subject) {
  const auto is_tested = [](const std::string& name) {
    return std::ranges::any_of(all_maps(), [&](const MapCase& c) { return c.kind == name; });
  };
  for (const auto& kind : flow::ScalarMapKind::registry().all()) {
    BOOST_TEST_CONTEXT(kind.name) {
      BOOST_TEST(!kind.help.empty());
      BOOST_TEST(is_tested(std::string(kind.line.make<double>(kind.options())->kind())));
      if (kind.circle) BOOST_TEST(is_tested(std::string(kind.circle->make<double>(kind.options())->kind())));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(values_and_slopes_are_those_of_the_closed_forms, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const Operands<T> o(options, 20, 10);
      const auto image = forward<T>(*o.map, o.theta, o.x);
      for (Index i = 0; i < o.x.cols(); ++i) {
        double log_det = 0;
        for (Index r = 0; r < o.x.rows(); ++r) {
          const auto exact = closed_form(options, o.theta.data() + o.theta.rows() * (r + i * 20), Real(o.x(r, i)));
          const auto value = static_cast<double>(exact.value), slope = static_cast<double>(exact.slope);
          log_det += std::log(slope);
          const double z = near(options, static_cast<double>(image.value(r, i)), value);
          BOOST_TEST(close_absolute(z, value, value_tolerance<T>(options, slope)));
          BOOST_TEST(!close_absolute(z + 1e-3, value, value_tolerance<T>(options, slope)));
        }
        const double tolerance = 20 * log_det_tolerance<T>(options);
        BOOST_TEST(close_absolute(image.log_det[i], log_det, tolerance));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(forward_and_inverse_undo_each_other, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const Operands<T> o(options);
      const auto z = forward<T>(*o.map, o.theta, o.x);
      const auto back = inverse<T>(*o.map, o.theta, z.value);
      const auto x = inverse<T>(*o.map, o.theta, o.x);
      const auto forth = forward<T>(*o.map, o.theta, x.value);
      for (Index i = 0; i < samples; ++i) {
        for (Index r = 0; r < elements; ++r) {
          const auto* theta = o.theta.data() + o.theta.rows() * (r + i * elements);
          const double value = static_cast<double>(o.x(r, i));
          const auto slope = static_cast<double>(closed_form(options, theta, Real(o.x(r, i))).slope);
          const auto other = static_cast<double>(closed_form(options, theta, Real(x.value(r, i))).slope);
          BOOST_TEST(close_absolute(near(options, static_cast<double>(back.value(r, i)), value), value,
                                    2 * value_tolerance<T>(options, 1) * (1 + 1 / slope)));
          BOOST_TEST(close_absolute(near(options, static_cast<double>(forth.value(r, i)), value), value,
                                    2 * value_tolerance<T>(options, 1) * (1 + other)));
        }
        const auto at = static_cast<std::size_t>(i);
        const double tolerance = 10 * log_det_tolerance<T>(options);
        BOOST_TEST(close_absolute(back.log_det[at], -z.log_det[at], tolerance));
        BOOST_TEST(close_absolute(forth.log_det[at], -x.log_det[at], tolerance));
      }
      // Other parameters are another map.
      const auto wrong = inverse<T>(*o.map, random_matrix<T>(o.theta.rows(), o.theta.cols(), 9), z.value);
      BOOST_TEST(!close_absolute(wrong.value.view(), o.x.view(), 1e-2));
    }
  }
}

BOOST_AUTO_TEST_CASE(log_det_is_the_logarithm_of_the_slope) {
  const double h = 1e-6;
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const auto map = make_map<double>(options);
      const auto theta = random_vector<double>(map->parameters(), 1, 0.8);
      for (const double x : random_vector<double>(50, 2, 2)) {
        const auto middle = at(*map, theta, x);
        const double right = near(options, at(*map, theta, x + h).value, middle.value);
        const double left = near(options, at(*map, theta, x - h).value, middle.value);
        const double slope = (right - left) / (2 * h);
        BOOST_TEST(close_relative(std::exp(middle.log_det), slope, 1e-6));
        BOOST_TEST(!close_relative(std::exp(1.01 * middle.log_det + 0.01), slope, 1e-6));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_gives_the_gradient, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const Operands<T> o(options);
      Operands<double> exact(options);  // the same numbers, since they are rounded to float
      const auto g = gradients(o);
      const auto middle = forward<double>(*exact.map, exact.theta, exact.x).value;
      auto scale = taylor_scale<T>();
      scale.h /= 4;  // bins are narrow, and at their ends the second derivative jumps
      const auto of_x = [&](std::span<const double> x) {
        return objective(options, exact, exact.theta, {x.data(), elements, samples}, middle);
      };
      const auto of_theta = [&](std::span<const double> theta) {
        return objective(options, exact, {theta.data(), exact.theta.rows(), exact.theta.cols()}, exact.x, middle);
      };
      const std::span<const T> x_bar = g.x.span(), theta_bar = g.theta.span();
      for (const std::uint64_t seed : {1, 2, 3}) {
        BOOST_TEST(is_gradient<T>(of_x, exact.x.span(), x_bar, scale, seed));
        BOOST_TEST(is_gradient<T>(of_theta, exact.theta.span(), theta_bar, scale, seed));
        BOOST_TEST(!is_gradient<T>(of_x, exact.x.span(), one_percent_off(x_bar), scale, seed));
        BOOST_TEST(!is_gradient<T>(of_theta, exact.theta.span(), one_percent_off(theta_bar), scale, seed));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_weights_are_weights_of_one, T, Precisions) {
  for (const auto& options : all_maps()) {
    Operands<T> o(options);
    const auto other = gradients(o);
    o.weight.assign(o.weight.size(), T(1));
    const auto with = gradients(o);
    o.weight.clear();
    const auto without = gradients(o);
    BOOST_TEST(close_absolute(with.x.view(), without.x.view(), 0));
    BOOST_TEST(close_absolute(with.theta.view(), without.theta.view(), 0));
    // Weights of other sizes are something else where there are log-dets to be weighted.
    const bool keeps_volume = options.kind == "additive" || options.kind == "rotation";
    BOOST_TEST(bool(close_absolute(other.theta.view(), without.theta.view(), 1e-3)) == keeps_volume);
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(blocks_of_larger_arrays_and_results_in_place_give_the_same, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const Operands<T> o(options);
      const auto z = forward<T>(*o.map, o.theta, o.x), x = inverse<T>(*o.map, o.theta, o.x);
      const auto g = gradients(o);
      const Padded<T> theta(o.theta.view());
      std::vector<double> log_det(samples, 1.0);
      Padded<T> in_place(o.x.view());
      o.map->forward(theta, in_place, in_place, log_det);
      BOOST_TEST(close_absolute(Matrix<T>(in_place.view()).view(), z.value.view(), 0));
      BOOST_TEST(in_place.padding_untouched());
      for (std::size_t i = 0; i < log_det.size(); ++i) BOOST_TEST(log_det[i] == 1 + z.log_det[i]);
      Padded<T> back(o.x.view());
      o.map->inverse(theta, back, back, log_det);
      BOOST_TEST(close_absolute(Matrix<T>(back.view()).view(), x.value.view(), 0));
      Padded<T> bar(o.z_bar.view()), theta_bar(o.theta.rows(), o.theta.cols());
      o.map->reverse(theta, Padded<T>(o.x.view()), bar, o.weight, bar, theta_bar);
      BOOST_TEST(close_absolute(Matrix<T>(bar.view()).view(), g.x.view(), 0));
      BOOST_TEST(close_absolute(Matrix<T>(theta_bar.view()).view(), g.theta.view(), 0));
      BOOST_TEST(bar.padding_untouched());
      BOOST_TEST(theta_bar.padding_untouched());
    }
  }
}

// More elements of a sample, and more samples, than are worked at a time.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_sample_alone_gives_what_it_gives_among_others, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      for (const auto& [e, n] : {std::pair<Index, Index>{1, 1030}, {7, 150}, {512, 2}, {1100, 3}}) {
        const Operands<T> all(options, e, n);
        const auto z = forward<T>(*all.map, all.theta, all.x), x = inverse<T>(*all.map, all.theta, all.x);
        const auto g = gradients(all);
        for (const Index i : {Index{0}, n / 2, n - 1}) {
          Operands<T> one(options, e, 1);
          one.theta = Matrix<T>(all.theta.view().columns(i * e, e));
          one.x = Matrix<T>(all.x.view().columns(i, 1));
          one.z_bar = Matrix<T>(all.z_bar.view().columns(i, 1));
          const auto at = static_cast<std::size_t>(i);
          one.weight = {all.weight[at]};
          const auto z_one = forward<T>(*one.map, one.theta, one.x), x_one = inverse<T>(*one.map, one.theta, one.x);
          const auto g_one = gradients(one);
          BOOST_TEST(close_absolute(z_one.value.view(), z.value.view().columns(i, 1), 0));
          BOOST_TEST(close_absolute(x_one.value.view(), x.value.view().columns(i, 1), 0));
          BOOST_TEST(z_one.log_det[0] == z.log_det[at]);
          BOOST_TEST(x_one.log_det[0] == x.log_det[at]);
          BOOST_TEST(close_absolute(g_one.x.view(), g.x.view().columns(i, 1), 0));
          BOOST_TEST(close_absolute(g_one.theta.view(), g.theta.view().columns(i * e, e), 0));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(zero_parameters_are_the_identity, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const auto map = make_map<T>(options);
      std::vector<T> theta(map->parameters());
      for (const T x : random_vector<T>(50, 2, 2)) {
        const auto p = at(*map, theta, x);
        const double value = static_cast<double>(x);
        BOOST_TEST(close_absolute(near(options, p.value, value), value, value_tolerance<T>(options, 1)));
        BOOST_TEST(close_absolute(p.log_det, 0, log_det_tolerance<T>(options)));
      }
      theta[0] = 1;
      BOOST_TEST(!close_absolute(at(*map, theta, T(0.3)).value, 0.3, 1e-3));
    }
  }
}

BOOST_AUTO_TEST_CASE(precisions_agree) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      const Operands<float> low(options);
      const Operands<double> high(options);
      const auto z = forward<float>(*low.map, low.theta, low.x), exact = [&] {
        const auto image = forward<double>(*high.map, high.theta, high.x);
        return Image<float>{converted<float>(image.value.view()), image.log_det};
      }();
      for (Index i = 0; i < samples; ++i) {
        for (Index r = 0; r < elements; ++r) {
          const double value = static_cast<double>(exact.value(r, i));
          const double found = near(options, static_cast<double>(z.value(r, i)), value);
          BOOST_TEST(close_absolute(found, value, value_tolerance<float>(options, 10)));
          BOOST_TEST(!close_absolute(found + 0.01, value, value_tolerance<float>(options, 10)));
        }
      }
      // 64 bins may add up to a tenth of a nat, by their bound.
      const double tolerance = 10 * log_det_tolerance<float>(options);
      auto log_det = z.log_det;
      BOOST_TEST(close_absolute(std::span<const double>(log_det), exact.log_det, tolerance));
      for (double& value : log_det) value += options.bins > 13 ? 0.2 : 0.02;
      BOOST_TEST(!close_absolute(std::span<const double>(log_det), exact.log_det, tolerance));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(splines)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_spline_goes_through_its_knots_with_their_slopes, T, Precisions) {
  for (const auto& options : all_maps()) {
    if (!is_spline(options)) continue;
    BOOST_TEST_CONTEXT(name_of(options)) {
      const auto map = make_map<T>(options);
      auto theta = random_vector<T>(map->parameters(), 1, 0.8);
      if (is_circular(options)) theta.back() = 0;
      const Knots knots = knots_of(options, theta.data());
      const double tiny = 1e-5;
      for (std::size_t k = 0; k < knots.x.size(); ++k) {
        const auto x = static_cast<double>(knots.x[k]), y = static_cast<double>(knots.y[k]);
        const auto slope = static_cast<double>(knots.slope[k]);
        // On both sides of the knot, and at it as it is rounded to T. The slope's slope is below 2 max(s, d)²/(s·w).
        for (const double step : {-tiny, 0.0, tiny}) {
          const auto p = at(*map, theta, static_cast<T>(x + step));
          const double expected = y + slope * step;
          const double found = near(options, p.value, expected);
          const double tolerance = value_tolerance<T>(options, slope) + 1e-8 * static_cast<double>(options.bins);
          BOOST_TEST(close_absolute(found, expected, tolerance));
          BOOST_TEST(!close_absolute(found + 0.01, expected, tolerance));
          BOOST_TEST(close_absolute(p.log_det, std::log(slope), log_det_tolerance<T>(options) + 1e-2));
          BOOST_TEST(!close_absolute(p.log_det + 0.1, std::log(slope), log_det_tolerance<T>(options) + 1e-2));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tails_are_the_identity, T, Precisions) {
  const MapCase options{.kind = "spline"};
  const auto map = make_map<T>(options);
  const auto theta = random_vector<T>(map->parameters(), 1, 2);
  for (const double x : {3.0, 3.001, 10.0, 1e10, 1e30}) {
    for (const T value : {static_cast<T>(x), static_cast<T>(-x)}) {
      const auto p = at(*map, theta, value);
      BOOST_TEST(p.value == static_cast<double>(value));
      BOOST_TEST(p.log_det == 0);
    }
  }
  const T inside = std::nextafter(T(3), T(0));
  BOOST_TEST(close_absolute(at(*map, theta, inside).value, 3, 20 * gamma<T>(1)));
}

BOOST_AUTO_TEST_CASE(maps_of_the_circle_have_period_two_pi) {
  for (const auto& options : all_maps()) {
    if (!is_circular(options)) continue;
    const auto map = make_map<double>(options);
    auto theta = random_vector<double>(map->parameters(), 1, 0.8);
    for (const double x : random_vector<double>(50, 2, 2)) {
      const auto p = at(*map, theta, x), next = at(*map, theta, x + 2 * pi), last = at(*map, theta, x - 2 * pi);
      BOOST_TEST((p.value >= -pi && p.value < pi));
      for (const auto& q : {next, last}) {
        BOOST_TEST(close_absolute(near(options, q.value, p.value), p.value, 1e-12));
        BOOST_TEST(close_absolute(q.log_det, p.log_det, 1e-12));
      }
      BOOST_TEST(!close_absolute(near(options, at(*map, theta, x + 6).value, p.value), p.value, 1e-3));
    }
    // A shift by a whole turn is none.
    const auto before = at(*map, theta, 0.3);
    theta.back() += 2 * pi;
    BOOST_TEST(close_absolute(near(options, at(*map, theta, 0.3).value, before.value), before.value, 1e-12));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(values_and_slopes_meet_where_a_circle_closes, T, Precisions) {
  const MapCase options{.kind = "circular_spline"};
  const auto map = make_map<T>(options);
  const auto theta = random_vector<T>(map->parameters(), 1, 0.8);
  const double seam = pi - static_cast<double>(theta.back());  // where x + shift = π
  const auto left = at(*map, theta, static_cast<T>(seam - 1e-4)), right = at(*map, theta, static_cast<T>(seam + 1e-4));
  BOOST_TEST(close_absolute(near(options, right.value, left.value), left.value, 1e-3));
  BOOST_TEST(close_absolute(right.log_det, left.log_det, 1e-2));
  // Anywhere else they would not.
  const auto beyond = at(*map, theta, static_cast<T>(seam + 0.3));
  BOOST_TEST(!close_absolute(near(options, beyond.value, left.value), left.value, 1e-3));
  BOOST_TEST(!close_absolute(beyond.log_det, left.log_det, 1e-2));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(hard_cases)

BOOST_AUTO_TEST_CASE_TEMPLATE(saturated_parameters_leave_all_finite, T, Precisions) {
  for (const auto& options : all_maps()) {
    BOOST_TEST_CONTEXT(name_of(options)) {
      Operands<T> o(options, 10, 20);
      random::Stream stream(5, random::Purpose::check);
      for (T& value : o.theta.span()) value = static_cast<T>(1000 * (std::floor(3 * stream.uniform()) - 1));
      const auto z = forward<T>(*o.map, o.theta, o.x);
      const auto x = inverse<T>(*o.map, o.theta, o.x);
      const auto g = gradients(o);
      const auto finite = [](const auto& values) {
        return std::all_of(values.begin(), values.end(), [](auto value) { return std::isfinite(value); });
      };
      BOOST_TEST(finite(z.value.span()));
      BOOST_TEST(finite(z.log_det));
      BOOST_TEST(finite(x.value.span()));
      BOOST_TEST(finite(x.log_det));
      BOOST_TEST(finite(g.x.span()));
      BOOST_TEST(finite(g.theta.span()));
      // Still invertible, with slopes up to the thousands of the parameters times the steepest bin.
      if (std::is_same_v<T, double> && is_spline(options)) {
        const auto back = forward<T>(*o.map, o.theta, x.value);
        for (std::size_t i = 0; i < o.x.span().size(); ++i) {
          const auto value = static_cast<double>(o.x.span()[i]), got = static_cast<double>(back.value.span()[i]);
          BOOST_TEST(close_absolute(near(options, got, value), value, value_tolerance<T>(options, 1e6)));
        }
      }
      // Still increasing, element by element.
      for (Index j = 0; j < o.theta.cols(); ++j) {
        const std::vector<T> theta(o.theta.data() + j * o.theta.rows(), o.theta.data() + (j + 1) * o.theta.rows());
        if (is_circular(options)) continue;
        double last = -1e30;
        for (double step = -6; step < 6; step += 0.1) {
          const double value = at(*o.map, theta, static_cast<T>(step)).value;
          BOOST_TEST(value >= last - value_tolerance<T>(options, 0));
          last = value;
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_not_finite_stays_in_its_sample, T, Precisions) {
  for (const auto& options : all_maps()) {
    for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity(), -std::numeric_limits<T>::infinity()}) {
      BOOST_TEST_CONTEXT(name_of(options) << ", " << bad) {
        Operands<T> o(options);
        const auto clean_z = forward<T>(*o.map, o.theta, o.x), clean_x = inverse<T>(*o.map, o.theta, o.x);
        const auto clean_g = gradients(o);
        o.x(1, 2) = bad;
        const auto z = forward<T>(*o.map, o.theta, o.x), x = inverse<T>(*o.map, o.theta, o.x);
        const auto g = gradients(o);
        BOOST_TEST(!std::isfinite(z.value(1, 2)));
        BOOST_TEST(!std::isfinite(x.value(1, 2)));
        for (Index i = 0; i < samples; ++i) {
          for (Index r = 0; r < elements; ++r) {
            if (i == 2 && r == 1) continue;
            BOOST_TEST(z.value(r, i) == clean_z.value(r, i));
            BOOST_TEST(x.value(r, i) == clean_x.value(r, i));
            BOOST_TEST(g.x(r, i) == clean_g.x(r, i));
          }
          if (i != 2) BOOST_TEST(z.log_det[std::size_t(i)] == clean_z.log_det[std::size_t(i)]);
          if (i != 2) BOOST_TEST(x.log_det[std::size_t(i)] == clean_x.log_det[std::size_t(i)]);
        }
        // Parameters that are not finite are no place outside of an array, either.
        o.theta.fill(bad);
        forward<T>(*o.map, o.theta, o.x);
        inverse<T>(*o.map, o.theta, o.x);
        gradients(o);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_elements_and_no_samples_are_fine, T, Precisions) {
  for (const auto& options : all_maps()) {
    for (const auto& [e, n] : std::vector<std::pair<Index, Index>>{{0, 3}, {3, 0}, {0, 0}, {1, 1}}) {
      const Operands<T> o(options, e, n);
      const auto z = forward<T>(*o.map, o.theta, o.x), x = inverse<T>(*o.map, o.theta, o.x);
      const auto g = gradients(o);
      BOOST_TEST(z.value.rows() == e);
      if (e == 0) BOOST_TEST(z.log_det == std::vector<double>(n));
    }
  }
}

BOOST_AUTO_TEST_CASE(operands_that_do_not_fit_are_refused) {
  const Operands<double> o({.kind = "affine"}, 2, 3);
  Matrix<double> z(2, 3), z_short(2, 2), theta_bar(2, 6);
  std::vector<double> log_det(3), log_det_short(2), weight_short(2);
  BOOST_CHECK_EXCEPTION(o.map->forward(o.theta.view().columns(0, 5), o.x, z, log_det), ShapeError,
                        says({"affine map: parameters (2 × 5), result (2 × 3) and 3 log-dets do not fit elements "
                              "(2 × 3) of 2 parameters each"}));
  BOOST_CHECK_EXCEPTION(o.map->forward(o.theta, o.x, z_short, log_det), ShapeError, says({"result (2 × 2)"}));
  BOOST_CHECK_EXCEPTION(o.map->inverse(o.theta, o.x, z, log_det_short), ShapeError, says({"2 log-dets"}));
  BOOST_CHECK_EXCEPTION(o.map->reverse(o.theta, o.x, z, weight_short, z, theta_bar), ShapeError,
                        says({"affine map: gradients (2 × 3) and (2 × 6) and 2 weights do not fit elements (2 × 3) and "
                              "parameters (2 × 6)"}));
  BOOST_CHECK_EXCEPTION(o.map->reverse(o.theta, o.x, z, {}, z_short, theta_bar), ShapeError, says({"(2 × 2)"}));
}

BOOST_AUTO_TEST_CASE(options_out_of_range_are_refused) {
  const auto refused = [](const MapCase& options, const std::string& message) {
    BOOST_CHECK_EXCEPTION(make_map<float>(options), OptionError, says({message}));
  };
  refused({.kind = "splines"},
          "scalar map 'splines' is unknown (did you mean 'spline'?); there are additive, affine, spline");
  refused({.kind = "affine", .scale_limit = 0}, "affine map: scale_limit = 0 must be in (0, 40]");
  refused({.kind = "affine", .scale_limit = nan_of<double>}, "scale_limit = nan must be in (0, 40]");
  refused({.kind = "spline", .bins = 1}, "spline: bins = 1 must be from 2 to 64");
  refused({.kind = "circular_spline", .bins = 65}, "circular_spline: bins = 65 must be from 2 to 64");
  refused({.kind = "spline", .bound = -1}, "spline: bound = -1 must be positive and finite");
  refused({.kind = "spline", .bins = 4, .min_width = 0.25},
          "spline: min_width = 0.25 and min_height = 0.001 must be at least 1e-05 and below 1/bins = 0.25");
  refused({.kind = "spline", .min_height = 1e-6}, "min_height = 1e-06");
  refused({.kind = "spline", .min_derivative = 1}, "spline: min_derivative = 1 must be in (0, 1)");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
