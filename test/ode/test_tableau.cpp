#include <pushforward/ode/tableau.hpp>

#include "../linalg/fixtures.hpp"

namespace pushforward::test {

namespace {

using ode::Tableau;

// Integrates dx/dt = f(x, t) from x(0) to t = 1.
double integrate(const Tableau& method, int steps, double x, const std::function<double(double, double)>& f) {
  const double h = 1.0 / steps;
  for (int n = 0; n < steps; ++n) {
    std::vector<double> k;
    for (Index i = 0; i < method.stages(); ++i) {
      double at = x;
      for (Index j = 0; j < i; ++j) at += h * method.a[i][j] * k[j];
      k.push_back(f(at, (n + method.c[i]) * h));
    }
    for (Index i = 0; i < method.stages(); ++i) x += h * method.b[i] * k[i];
  }
  return x;
}

// The exponent p of the error C hᵖ, between `steps` steps and twice as many, for dx/dt = x² cos t − x. Its solution
// from x(0) = ½ is x(t) = 2/(cos t − sin t + 3eᵗ), since w = 1/x has dw/dt = w − cos t.
double observed_order(const Tableau& method, int steps) {
  const auto f = [](double x, double t) { return x * x * std::cos(t) - x; };
  const double exact = 2 / (std::cos(1.0) - std::sin(1.0) + 3 * std::exp(1.0));
  return std::log2(std::abs(integrate(method, steps, 0.5, f) - exact) /
                   std::abs(integrate(method, 2 * steps, 0.5, f) - exact));
}

double sum_of_powers(const Tableau& method, Index q) {
  double sum = 0;
  for (Index i = 0; i < method.stages(); ++i) sum += method.b[i] * std::pow(method.c[i], static_cast<double>(q));
  return sum;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tableau)

BOOST_AUTO_TEST_CASE(rows_fit_and_sum_to_their_times) {
  for (const auto& method : Tableau::registry().all()) {
    BOOST_TEST_CONTEXT(method.name) {
      BOOST_TEST(std::ssize(method.a) == method.stages());
      BOOST_TEST(std::ssize(method.c) == method.stages());
      BOOST_TEST(!method.help.empty());
      for (Index i = 0; i < method.stages(); ++i) {
        BOOST_TEST(std::ssize(method.a[i]) == i);
        double sum = 0;
        for (const double a : method.a[i]) sum += a;
        BOOST_TEST(close_absolute(sum, method.c[i], 1e-14));
      }
    }
  }
}

// Σ bᵢ cᵢ^q = 1/(q + 1) for q below the order, as a quadrature of that order must.
// For v = λx with λ > 0 all terms of the bound have one sign, so it is hΦ itself: RK4 has e^{hλ} − 1 to fourth order.
BOOST_AUTO_TEST_CASE(the_bound_of_an_increment_is_that_of_a_growing_line) {
  const auto of = [](std::string_view solver, double hl) {
    return Tableau::registry().at(solver).increment_lipschitz(hl);
  };
  BOOST_TEST(close_absolute(of("euler", 0.7), 0.7, 1e-15));
  BOOST_TEST(close_absolute(of("heun", 0.7), 0.7 + 0.245, 1e-15));
  BOOST_TEST(close_absolute(of("rk4", 0.7), 0.7 + 0.49 / 2 + 0.343 / 6 + 0.2401 / 24, 1e-15));
  BOOST_TEST(!close_absolute(of("rk4", 0.7), std::exp(0.7) - 1, 1e-4));
  BOOST_TEST(of("dop853", 0.7) >= std::exp(0.7) - 1 - 1e-6);  // its coefficients have both signs
}

BOOST_AUTO_TEST_CASE(weights_integrate_powers) {
  for (const auto& method : Tableau::registry().all()) {
    BOOST_TEST_CONTEXT(method.name) {
      for (Index q = 0; q < method.order; ++q) {
        BOOST_TEST(close_absolute(sum_of_powers(method, q), 1.0 / static_cast<double>(q + 1), 2e-15));
      }
      auto broken = method;
      broken.b[0] += 1e-6;
      BOOST_TEST(!close_absolute(sum_of_powers(broken, 0), 1, 2e-15));
    }
  }
}

// The twin has rows of the same sums, one of which is wrong in two places, so that its order is 2 or less.
BOOST_AUTO_TEST_CASE(errors_fall_with_the_order) {
  for (const auto& method : Tableau::registry().all()) {
    BOOST_TEST_CONTEXT(method.name) {
      const int steps = method.order == 8 ? 2 : 20;
      const auto order = static_cast<double>(method.order);
      BOOST_TEST(close_absolute(observed_order(method, steps), order, 0.6));
      if (method.stages() < 3) continue;
      auto broken = method;
      broken.a.back()[0] += 0.01;
      broken.a.back()[1] -= 0.01;
      BOOST_TEST(!close_absolute(observed_order(broken, steps), order, 0.6));
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
