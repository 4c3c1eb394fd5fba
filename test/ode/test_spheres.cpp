#include "fields.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

constexpr double pi = std::numbers::pi;

// A field on S² of columns 0 to 2 with a = the matrix of f = a x and b = a constant part.
struct LinearOnSphere : TestField<double> {
  LinearOnSphere(const Matrix<double>& a, const std::vector<double>& b)
      : TestField({.dimension = 3, .hidden = {}, .spheres = {{0, 1, 2}}}, 0) {
    for (const auto& block : layout.blocks()) {
      if (block.name.ends_with("weight")) std::copy_n(a.data(), 9, parameters.data() + block.offset);
      if (block.name.ends_with("bias")) std::ranges::copy(b, parameters.data() + block.offset);
    }
    prepare();
  }
};

Matrix<double> unit_vectors(Index n, std::uint64_t seed) {
  auto x = random_matrix<double>(3, n, seed);
  for (Index j = 0; j < n; ++j) {
    const double radius = radius_of<double>({0, 1, 2}, x.view().column_span(j));
    for (Index i = 0; i < 3; ++i) x(i, j) /= radius;
  }
  return x;
}

// Points that share out the sphere evenly.
Matrix<double> fibonacci_lattice(Index n) {
  Matrix<double> x(3, n);
  const double golden = pi * (3 - std::sqrt(5.0));
  for (Index j = 0; j < n; ++j) {
    const double z = 1 - (2 * static_cast<double>(j) + 1) / static_cast<double>(n);
    const double around = golden * static_cast<double>(j), r = std::sqrt(1 - z * z);
    x(0, j) = r * std::cos(around);
    x(1, j) = r * std::sin(around);
    x(2, j) = z;
  }
  return x;
}

struct End {
  Matrix<double> z;
  std::vector<double> log_det;
};

End follow(const TestField<double>& of, const Matrix<double>& x, double tolerance) {
  const auto n = static_cast<std::size_t>(x.cols());
  End end{Matrix<double>(x.rows(), x.cols()), std::vector<double>(n)};
  std::vector<double> error(n);
  std::vector<Index> evaluations(n);
  std::vector<ode::Convergence> outcome(n);
  auto limit = plan_limit(of, x.cols());
  limit->solve(x, {}, 1, 0, {.tolerance = tolerance}, end.z, end.log_det, {error, evaluations, outcome});
  for (const auto o : outcome) BOOST_TEST(int(o) == int(ode::Convergence::reached));
  return end;
}

template <class F>
Matrix<double> three_by_three(F&& f) {
  return matrix_of<double>(3, 3, std::forward<F>(f));
}

const auto rotation = three_by_three([](Index i, Index j) { return i == 1 && j == 0 ? 2 : i == 0 && j == 1 ? -2 : 0; });

}  // namespace

BOOST_AUTO_TEST_SUITE(spheres)

// Back in time by 1, the sphere turns by −2 around its third axis.
BOOST_AUTO_TEST_CASE(a_rotation_keeps_areas) {
  const LinearOnSphere of(rotation, {0, 0, 0});
  const auto x = unit_vectors(20, 3);
  const auto end = follow(of, x, 1e-13);
  const double c = std::cos(2.0), s = std::sin(2.0);
  for (Index j = 0; j < x.cols(); ++j) {
    BOOST_TEST(close_absolute(end.log_det[j], 0, 1e-12));
    BOOST_TEST(close_absolute(end.z(0, j), c * x(0, j) + s * x(1, j), 1e-12));
    BOOST_TEST(close_absolute(end.z(1, j), c * x(1, j) - s * x(0, j), 1e-12));
    BOOST_TEST(close_absolute(end.z(2, j), x(2, j), 1e-12));
  }
  // The twin stretches one axis.
  auto stretched = rotation;
  stretched(0, 0) = 0.1;
  const auto other = follow(LinearOnSphere(stretched, {0, 0, 0}), x, 1e-13);
  BOOST_TEST(!close_absolute(other.log_det[0], 0, 1e-3));
}

// f = (0, 0, b) flows from one pole to the other. The height c obeys dc/dt = b (1 − c²), so it is tanh of a number that
// grows by b in unit time, and the log-det back in time is that of two such heights: 2 ln(cosh(a)/cosh(a − b)).
BOOST_AUTO_TEST_CASE(the_flow_between_poles_has_its_closed_form) {
  const double b = 1.3;
  const LinearOnSphere of(Matrix<double>(3, 3), {0, 0, b});
  const auto x = unit_vectors(20, 4);
  const auto end = follow(of, x, 1e-13);
  for (Index j = 0; j < x.cols(); ++j) {
    const double a = std::atanh(x(2, j));
    BOOST_TEST(close_absolute(end.z(2, j), std::tanh(a - b), 1e-12));
    BOOST_TEST(close_absolute(end.log_det[j], 2 * std::log(std::cosh(a) / std::cosh(a - b)), 1e-12));
    BOOST_TEST(close_absolute(radius_of<double>({0, 1, 2}, std::as_const(end.z).view().column_span(j)), 1, 1e-15));
  }
}

// The density of the uniform latents' images integrates to 1: the mean of e^log_det over an even lattice.
BOOST_AUTO_TEST_CASE(densities_integrate_to_one) {
  const TestField<double> of({.dimension = 3, .hidden = {16, 16}, .spheres = {{0, 1, 2}}}, 0.5);
  const auto x = fibonacci_lattice(40'000);
  const auto end = follow(of, x, 1e-6);
  double mean = 0, least = 0, without = 0;
  for (const double value : end.log_det) {
    mean += std::exp(value) / static_cast<double>(x.cols());
    without += std::exp(1.02 * value) / static_cast<double>(x.cols());
    least = std::min(least, value);
  }
  BOOST_TEST(close_absolute(mean, 1, 1e-3));
  BOOST_TEST(!close_absolute(without, 1, 1e-3));
  BOOST_TEST(least < -1);  // far from uniform
}

// The map of a few coarse steps has an exact density as well, which integrates to 1. The quadrature of the divergence
// along the same steps does not.
BOOST_AUTO_TEST_CASE(densities_of_coarse_grids_integrate_to_one) {
  const TestField<double> of({.dimension = 3, .hidden = {16, 16}, .spheres = {{0, 1, 2}}}, 0.5);
  const auto lattice = fibonacci_lattice(40'000);
  const auto integral = [&](ode::LogDet log_det) {
    auto method = plan_steps(of, "heun", log_det, lattice.cols(), nn::Pass::evaluate);
    Matrix<double> x(lattice), next(lattice);
    const auto n = static_cast<std::size_t>(lattice.cols());
    std::vector<double> log_dets(n);
    std::vector<linalg::Sign> sign(n);
    for (const double t : {1.0, 0.75, 0.5, 0.25}) {
      method->step({x, {}, t, -0.25}, next, log_dets, sign);
      BOOST_TEST(std::ranges::count(sign, 1) == (log_det == ode::LogDet::discrete ? lattice.cols() : 0));
      std::swap(x, next);
    }
    double mean = 0;
    for (const double value : log_dets) mean += std::exp(value) / static_cast<double>(n);
    return mean;
  };
  BOOST_TEST(close_absolute(integral(ode::LogDet::discrete), 1, 1e-3));
  BOOST_TEST(!close_absolute(integral(ode::LogDet::trace), 1, 1e-3));
}

// Networks of up to two hidden layers have the closed form with a tangent for each sphere; deeper ones and those that
// see angles take d tangents. Both are the divergence of v in ℝᵈ, at any length of x, and v is tangent.
BOOST_AUTO_TEST_CASE(the_divergence_is_that_of_the_velocity) {
  struct Setting {
    std::vector<Index> hidden, periodic;
  };
  const std::vector<Sphere> groups{{0, 2, 5}, {1, 6}};
  for (const auto& [hidden, periodic] : {Setting{{8, 7}, {}}, {{8}, {}}, {{}, {}}, {{6, 8, 7}, {}}, {{8, 7}, {3}}}) {
    const TestField<double> of({.dimension = 7, .hidden = hidden, .periodic = periodic, .spheres = groups}, 0.5);
    const Index d = 7, n = 4;
    const auto x = random_matrix<double>(d, n, 5);
    const auto plan = [&](ode::Derivative derivative) {
      return Planned<ode::FieldState<double>>([&, derivative](auto& kept, auto& scratch) {
        return ode::FieldState<double>(of.field, kept, scratch, n, derivative, nn::Pass::evaluate);
      });
    };
    auto state = plan(ode::Derivative::divergence);
    const double t = 0.3, e = 1e-5;
    Matrix<double> v(d, n), up(d, n), down(d, n);
    std::vector<double> divergence(n), differences(n);
    of.field.forward(*state, x, std::span(&t, 1), {}, v);
    of.field.divergence(*state, divergence);
    for (Index j = 0; j < n; ++j) {
      for (const auto& sphere : groups) {
        double along = 0;
        for (const Index i : sphere) along += x(i, j) * v(i, j);
        BOOST_TEST(close_absolute(along, 0, 1e-13));
      }
    }
    auto values = plan(ode::Derivative::none);
    for (Index i = 0; i < d; ++i) {
      Matrix<double> above(x), below(x);
      for (Index j = 0; j < n; ++j) {
        above(i, j) += e;
        below(i, j) -= e;
      }
      of.field.forward(*values, above, std::span(&t, 1), {}, up);
      of.field.forward(*values, below, std::span(&t, 1), {}, down);
      for (Index j = 0; j < n; ++j) differences[j] += (up(i, j) - down(i, j)) / (2 * e);
    }
    BOOST_TEST(close_absolute(std::span<const double>(divergence), std::span<const double>(differences), 1e-8));
    differences[0] += 1e-4;
    BOOST_TEST(!close_absolute(std::span<const double>(divergence), std::span<const double>(differences), 1e-8));
  }
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const auto field = [](const std::vector<Index>& periodic, const std::vector<Sphere>& groups) {
    return TestField<double>({.dimension = 4, .hidden = {4}, .periodic = periodic, .spheres = groups});
  };
  BOOST_CHECK_EXCEPTION(field({}, {{3, 4}}), OptionError, says({"column 4 of a sphere"}));
  BOOST_CHECK_EXCEPTION(field({1}, {{0, 1}}), OptionError, says({"column 1 is of a sphere and an angle"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
