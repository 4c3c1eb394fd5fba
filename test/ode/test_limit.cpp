#include "fields.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using ode::Convergence;

template <class T>
struct Result {
  Matrix<T> z;
  std::vector<double> log_det, error;
  std::vector<Index> evaluations;
  std::vector<Convergence> outcome;
};

template <class T>
Result<T> solve(const TestField<T>& of, const Matrix<T>& x, const ode::LimitOptions& options, double from = 1,
                double to = 0) {
  const auto n = static_cast<std::size_t>(x.cols());
  Result<T> r{Matrix<T>(x.rows(), x.cols()), std::vector<double>(n), std::vector<double>(n), std::vector<Index>(n),
              std::vector<Convergence>(n)};
  auto limit = plan_limit(of, x.cols());
  limit->solve(x, {}, from, to, options, r.z, r.log_det, {r.error, r.evaluations, r.outcome});
  return r;
}

// The field of a rotation by the angle ω in unit time, with a shrinking by s: a = (s, −ω; ω, s).
Matrix<double> spiral(double s, double omega) {
  return matrix_of<double>(2, 2, [&](Index i, Index j) { return i == j ? s : (i > j ? omega : -omega); });
}

}  // namespace

BOOST_AUTO_TEST_SUITE(limit)

// The path of a spiral is known: back in time by 1, the plane turns by −ω and grows by e⁻ˢ. The log-det is −2s.
BOOST_AUTO_TEST_CASE(a_spiral_has_its_closed_form) {
  const double s = -0.4, omega = 5;
  const TestField<double> of(spiral(s, omega), Matrix<double>(2, 5));
  const auto x = random_matrix<double>(2, 20, 3);
  const auto r = solve(of, x, {.tolerance = 1e-12});
  for (Index j = 0; j < x.cols(); ++j) {
    const auto at = static_cast<std::size_t>(j);
    const double c = std::cos(omega), sine = std::sin(omega), g = std::exp(-s);
    BOOST_TEST(close_absolute(r.z(0, j), g * (c * x(0, j) + sine * x(1, j)), 1e-12));
    BOOST_TEST(close_absolute(r.z(1, j), g * (-sine * x(0, j) + c * x(1, j)), 1e-12));
    BOOST_TEST(close_absolute(r.log_det[at], -2 * s, 1e-12));
    BOOST_TEST(int(r.outcome[at]) == int(Convergence::reached));
    BOOST_TEST(r.error[at] <= 1e-12);
  }
}

// The reported error is above the true one, which a much finer grid gives, and both are within the tolerance.
BOOST_AUTO_TEST_CASE(the_reported_error_covers_the_true_one) {
  const TestField<double> of({.dimension = 2, .hidden = {16, 16}}, 0.6);
  const auto x = random_matrix<double>(2, 200, 4);
  const auto exact = solve(of, x, {.tolerance = 1e-13});
  for (const double tolerance : {1e-4, 1e-6, 1e-8}) {
    const auto r = solve(of, x, {.tolerance = tolerance});
    int covered = 0;
    for (std::size_t j = 0; j < r.error.size(); ++j) {
      const double true_error = std::abs(r.log_det[j] - exact.log_det[j]);
      BOOST_TEST(true_error <= tolerance);
      BOOST_TEST(r.error[j] <= tolerance);
      covered += true_error <= r.error[j] + 1e-13 ? 1 : 0;
    }
    BOOST_TEST(covered >= 198);
  }
}

BOOST_AUTO_TEST_CASE(there_and_back_cancels) {
  const TestField<double> of({.dimension = 3, .hidden = {12, 9}}, 0.5);
  const auto x = random_matrix<double>(3, 10, 5);
  const auto there = solve(of, x, {.tolerance = 1e-10}), back = solve(of, there.z, {.tolerance = 1e-10}, 0, 1);
  BOOST_TEST(close_absolute(back.z.view(), x.view(), 1e-8));
  for (std::size_t j = 0; j < 10; ++j) BOOST_TEST(close_absolute(there.log_det[j] + back.log_det[j], 0, 1e-8));
}

// A sample that needs a fine grid, and one that is not finite, change nothing for their mates.
BOOST_AUTO_TEST_CASE(samples_do_not_depend_on_their_batch_mates) {
  const TestField<double> of({.dimension = 2, .hidden = {16, 16}}, 0.6);
  auto x = random_matrix<double>(2, 6, 6);
  x(0, 1) = 60;
  x(1, 4) = nan_of<double>;
  const auto together = solve(of, x, {.tolerance = 1e-9});
  for (Index j = 0; j < 6; ++j) {
    const auto at = static_cast<std::size_t>(j);
    const auto alone = solve(of, Matrix<double>(std::as_const(x).view().columns(j, 1)), {.tolerance = 1e-9});
    BOOST_TEST(alone.evaluations[0] == together.evaluations[at]);
    if (j == 4) continue;
    BOOST_TEST(close_absolute(alone.log_det[0], together.log_det[at], 1e-13 * (1 + std::abs(alone.log_det[0]))));
  }
  BOOST_TEST(int(together.outcome[4]) == int(Convergence::not_finite));
  BOOST_TEST(together.evaluations[4] == 36);  // two grids, and no more
}

// A field that is too fast for the finest grid ends, with an outcome and the error that was reached.
BOOST_AUTO_TEST_CASE(the_work_is_bounded) {
  const TestField<double> fast(spiral(0, 400), Matrix<double>(2, 5));
  const auto x = random_matrix<double>(2, 3, 7);
  const auto r = solve(fast, x, {.tolerance = 1e-8, .max_steps = 8});
  for (std::size_t j = 0; j < 3; ++j) {
    BOOST_TEST(int(r.outcome[j]) != int(Convergence::reached));
    BOOST_TEST(r.evaluations[j] == 12 * (1 + 2 + 4 + 8));
    BOOST_TEST(!(r.error[j] <= 1e-8));
  }
  // Back in time, this one grows by e^1000.
  const TestField<double> exploding(spiral(-1000, 0), Matrix<double>(2, 5));
  const auto e = solve(exploding, x, {.max_steps = 64});
  for (std::size_t j = 0; j < 3; ++j) BOOST_TEST(int(e.outcome[j]) != int(Convergence::reached));
}

// In float, a tolerance below rounding is met at rounding.
BOOST_AUTO_TEST_CASE(float_stops_at_rounding) {
  const TestField<float> of({.dimension = 2, .hidden = {16, 16}}, 0.6);
  const TestField<double> exact({.dimension = 2, .hidden = {16, 16}}, 0.6);
  const auto x = random_matrix<float>(2, 50, 8);
  const auto r = solve(of, x, {.tolerance = 1e-12});
  const auto e = solve(exact, random_matrix<double>(2, 50, 8), {.tolerance = 1e-12});
  for (std::size_t j = 0; j < 50; ++j) {
    BOOST_TEST(int(r.outcome[j]) == int(Convergence::reached));
    BOOST_TEST(close_absolute(r.log_det[j], e.log_det[j], 1e-3));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
