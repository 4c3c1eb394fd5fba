#include "fields.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using ode::LogDet;

// The stability polynomial Σ (ha)ᵏ/k! up to the order: the factor of a step for v = a x, if stages equal the order.
double growth(double ha, Index order) {
  double sum = 0, term = 1;
  for (Index k = 0; k <= order; ++k) {
    sum += term;
    term *= ha / static_cast<double>(k + 1);
  }
  return sum;
}

template <class T>
struct Outcome {
  Matrix<T> next;
  std::vector<double> log_det;
  std::vector<linalg::Sign> sign;
};

template <class T>
Outcome<T> step(const TestField<T>& of, std::string_view solver, LogDet log_det, const Matrix<T>& x, double t,
                double h) {
  const auto n = static_cast<std::size_t>(x.cols());
  Outcome<T> out{Matrix<T>(x.rows(), x.cols()), std::vector<double>(n), std::vector<linalg::Sign>(n)};
  auto method = plan_steps(of, solver, log_det, x.cols(), nn::Pass::evaluate);
  method->step({x, {}, t, h}, out.next, out.log_det, out.sign);
  return out;
}

const Matrix<double> diagonal =
    matrix_of<double>(2, 2, [](Index i, Index j) { return i == j ? (i == 0 ? 0.7 : -1.1) : 0; });
const Matrix<double> no_time = Matrix<double>(2, 5);

}  // namespace

BOOST_AUTO_TEST_SUITE(runge_kutta)

// For v = a x a method of s ≤ 4 stages and order s multiplies by its stability polynomial. This is the discrete
// log-det; the trace is h tr a, whatever the method is.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_linear_field_has_its_closed_form, T, Precisions) {
  const TestField<T> of(diagonal, no_time);
  const auto x = random_matrix<T>(2, 3, 1);
  const double h = -0.3;
  for (const auto& [solver, order] : {std::pair{"euler", 1}, {"heun", 2}, {"rk4", 4}}) {
    BOOST_TEST_CONTEXT(solver) {
      const double first = growth(h * 0.7, order), second = growth(h * -1.1, order);
      const auto discrete = step(of, solver, LogDet::discrete, x, 1, h);
      const auto trace = step(of, solver, LogDet::trace, x, 1, h);
      for (Index j = 0; j < 3; ++j) {
        const auto at = static_cast<std::size_t>(j);
        BOOST_TEST(close_relative(double(discrete.next(0, j)), first * double(x(0, j)), gamma<T>(40)));
        BOOST_TEST(close_relative(double(discrete.next(1, j)), second * double(x(1, j)), gamma<T>(40)));
        BOOST_TEST(close_absolute(discrete.log_det[at], std::log(first * second), gamma<T>(80)));
        BOOST_TEST(int(discrete.sign[at]) == 1);
        BOOST_TEST(close_absolute(trace.log_det[at], h * -0.4, gamma<T>(40)));
        BOOST_TEST(!close_absolute(trace.log_det[at], discrete.log_det[at], gamma<T>(80)));
      }
    }
  }
}

// A step that is too long for the field mirrors the first coordinate: 1 + h·0.7 < 0.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_step_that_folds_has_a_negative_sign, T, Precisions) {
  const TestField<T> of(diagonal, no_time);
  const auto x = random_matrix<T>(2, 2, 1);
  BOOST_TEST(int(step(of, "euler", LogDet::discrete, x, 1, -2.0).sign[0]) == -1);
  BOOST_TEST(int(step(of, "euler", LogDet::discrete, x, 1, -1.0).sign[0]) == 1);
}

// v = r τ(t) depends on time alone, so that Euler's step from x = 0 shows r τ(t) h at any t.
BOOST_AUTO_TEST_CASE(time_enters_as_its_features) {
  const auto r = matrix_of<double>(2, 5, [](Index i, Index j) { return i == 0 ? double(j + 1) : 0.5; });
  const TestField<double> of(Matrix<double>(2, 2), r);
  const Matrix<double> x(2, 1);
  for (const double t : {0.0, 0.3, 1.0}) {
    const double angle = std::numbers::pi * t;
    const double tau[] = {2 * t - 1, std::cos(angle), std::sin(angle), std::cos(2 * angle), std::sin(2 * angle)};
    const auto v = step(of, "euler", LogDet::none, x, t, 1).next;
    double first = 0, second = 0;
    for (int k = 0; k < 5; ++k) {
      first += (k + 1) * tau[k];
      second += 0.5 * tau[k];
    }
    BOOST_TEST(close_absolute(v(0, 0), first, 1e-14));
    BOOST_TEST(close_absolute(v(1, 0), second, 1e-14));
  }
}

// The quadrature of the trace against differences of the velocity at the points of RK4's stages. Fields of two hidden
// layers have the closed form, and deeper ones take d tangents.
BOOST_AUTO_TEST_CASE(the_trace_is_that_of_the_velocity) {
  const std::vector<std::pair<std::vector<Index>, const char*>> networks{
      {{8, 7}, "first"}, {{6, 8, 7}, "first"}, {{9}, "gates"}, {{8, 7}, "gates"}, {{6, 8, 7}, "gates"}};
  for (const auto& [hidden, time] : networks) {
    const TestField<double> of({.dimension = 3, .hidden = hidden, .time = time}, 0.5);
    const auto x = random_matrix<double>(3, 5, 2);
    const auto trace = step(of, "rk4", LogDet::trace, x, 0.6, -0.2);
    std::vector<double> sum(5);
    const auto velocity = [&](const Matrix<double>& at, double t) {
      auto v = step(of, "euler", LogDet::none, at, t, 1).next;
      for (Index i = 0; i < v.size(); ++i) v.data()[i] -= at.data()[i];
      return v;
    };
    const auto& method = ode::Tableau::registry().at("rk4");
    std::vector<Matrix<double>> k;
    for (Index s = 0; s < method.stages(); ++s) {
      Matrix<double> at(x);
      for (Index j = 0; j < s; ++j) {
        for (Index i = 0; i < at.size(); ++i) at.data()[i] += -0.2 * method.a[s][j] * k[j].data()[i];
      }
      const double t = 0.6 - 0.2 * method.c[s], e = 1e-5;
      for (Index i = 0; i < 3; ++i) {
        Matrix<double> up(at), down(at);
        for (Index j = 0; j < 5; ++j) {
          up(i, j) += e;
          down(i, j) -= e;
        }
        const auto high = velocity(up, t), low = velocity(down, t);
        for (Index j = 0; j < 5; ++j) sum[std::size_t(j)] += -0.2 * method.b[s] * (high(i, j) - low(i, j)) / (2 * e);
      }
      k.push_back(velocity(at, t));
    }
    BOOST_TEST(close_absolute(std::span<const double>(trace.log_det), std::span<const double>(sum), 1e-8));
    sum[0] += 1e-4;
    BOOST_TEST(!close_absolute(std::span<const double>(trace.log_det), std::span<const double>(sum), 1e-8));
  }
}

// No quotient of differences is above the bound, and for a linear field it is the largest singular value.
BOOST_AUTO_TEST_CASE(a_field_has_a_lipschitz_bound) {
  for (const char* const time : {"first", "gates"}) {
    const TestField<double> of({.dimension = 3, .hidden = {8, 7}, .time = time});
    const double bound = of.field.lipschitz();
    constexpr Index n = 60;
    const auto x = random_matrix<double>(3, n, 21), y = random_matrix<double>(3, n, 22);
    const auto values = [&](const Matrix<double>& at) {
      Planned<ode::FieldState<double>> state([&](auto& kept, auto& scratch) {
        return ode::FieldState<double>(of.field, kept, scratch, n, ode::Derivative::none, nn::Pass::evaluate);
      });
      Matrix<double> v(3, n);
      const double t = 0.3;
      of.field.forward(*state, at, std::span(&t, 1), {}, v);
      return v;
    };
    const auto at_x = values(x), at_y = values(y);
    double largest = 0;
    for (Index j = 0; j < n; ++j) {
      double up = 0, down = 0;
      for (Index i = 0; i < 3; ++i) {
        up += std::pow(at_x(i, j) - at_y(i, j), 2);
        down += std::pow(x(i, j) - y(i, j), 2);
      }
      largest = std::max(largest, std::sqrt(up / down));
    }
    BOOST_TEST(largest <= bound);
    BOOST_TEST(largest > 0.01 * bound);
  }
  const auto a = matrix_of<double>(2, 2, [](Index i, Index j) { return i == j ? 3.0 - static_cast<double>(i) : 0.0; });
  BOOST_TEST(close_absolute(TestField<double>(a, Matrix<double>(2, 5)).field.lipschitz(), 3, 1e-12));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  const TestField<double> of({.dimension = 2, .hidden = {4}, .context = 1});
  const Matrix<double> x(2, 3), u(2, 3);
  Matrix<double> next(2, 3);
  auto method = plan_steps(of, "rk4", LogDet::none, 3, nn::Pass::evaluate);
  BOOST_CHECK_EXCEPTION(method->step({x, u, 1, -0.1}, next, {}, {}), ShapeError,
                        says({"a context (2 × 3)", "3 samples with 1 context values"}));
  BOOST_CHECK_EXCEPTION(ode::Tableau::registry().at("rk5"), OptionError, says({"solver 'rk5'", "rk4"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
