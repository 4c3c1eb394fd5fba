#include <pushforward/ode/diffusion.hpp>

#include "fields.hpp"

namespace pushforward::test {

namespace {

using ode::Diffusion;

// Marginals with t-dependent coefficients; that they are of no path does not matter here.
Diffusion some_diffusion(double eta, Index steps) {
  return {.marginals = [](double t) { return ode::MarginalPoint{t, 1, 1 - t}; }, .eta = eta, .steps = steps};
}

template <class T>
Matrix<T> solve(const TestField<T>& of, const Diffusion& diffusion, const Matrix<T>& z, const logdet::Draws& draws) {
  const Index d = z.rows(), n = z.cols();
  Planned<ode::DiffusionSteps<T>> steps([&](auto&, auto& scratch) { return ode::DiffusionSteps<T>(d, scratch, n); });
  Planned<ode::FieldState<T>> state([&](auto& kept, auto& scratch) {
    return ode::FieldState<T>(of.field, kept, scratch, n, ode::Derivative::none, nn::Pass::evaluate);
  });
  Matrix<T> x(d, n);
  steps->solve(
      [&](ConstMatrixView<T> at, double t, MatrixView<T> v) { of.field.forward(*state, at, std::span(&t, 1), {}, v); },
      z, diffusion, draws, x);
  return x;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(diffusion)

// Without noise, the steps are those of Heun's method for the field itself.
BOOST_AUTO_TEST_CASE_TEMPLATE(without_noise_it_is_heuns_method, T, Precisions) {
  const TestField<T> of({.dimension = 3, .hidden = {8, 6}}, 0.5);
  const auto z = random_matrix<T>(3, 7, 3);
  const auto x = solve(of, some_diffusion(0, 4), z, {});
  auto heun = plan_steps(of, "heun", ode::LogDet::none, 7, nn::Pass::evaluate);
  Matrix<T> at(z), next(3, 7);
  for (Index k = 0; k < 4; ++k) {
    heun->step({at, {}, static_cast<double>(k) / 4, 0.25}, next, {}, {});
    std::swap(at, next);
  }
  BOOST_TEST(close_absolute(x.view(), at.view(), gamma<T>(200)));
  BOOST_TEST(!close_absolute(solve(of, some_diffusion(0.01, 4), z, {}).view(), at.view(), 1e-3));
}

// The noise of a sample depends on seed, step, sample and block, and on nothing else.
BOOST_AUTO_TEST_CASE(noise_depends_on_the_sample_alone) {
  const TestField<double> of({.dimension = 2, .hidden = {8}}, 0.5);
  const auto z = random_matrix<double>(2, 9, 4);
  const auto diffusion = some_diffusion(1, 5);
  const logdet::Draws draws{.seed = 8};
  const auto all = solve(of, diffusion, z, draws);
  const Matrix<double> last(z.view().columns(6, 3));
  const auto of_last = all.view().columns(6, 3);
  BOOST_TEST(close_absolute(solve(of, diffusion, last, draws.from(6)).view(), of_last, 1e-14));
  for (const auto& other :
       {draws, logdet::Draws{.seed = 9, .first = 6}, logdet::Draws{.seed = 8, .block = 1, .first = 6}}) {
    BOOST_TEST(!close_absolute(solve(of, diffusion, last, other).view(), of_last, 0.01));
  }
}

// Steps of a pure noise, v = 0 at β = 0, add up to ∫ 2ηD dt, which the midpoints give exactly for a linear D. Noise
// that were the same in each step would give more.
BOOST_AUTO_TEST_CASE(noise_adds_up) {
  constexpr Index n = 20'000;
  const TestField<double> of({.dimension = 1, .hidden = {}}, 0);
  const Diffusion diffusion{.marginals =
                                [](double t) {
                                  return ode::MarginalPoint{0, 0, 1 - t};
                                },
                            .eta = 2,
                            .steps = 4};
  const auto x = solve(of, diffusion, Matrix<double>(1, n), {.seed = 3});
  double square = 0;
  for (const double value : x.span()) square += value * value;
  BOOST_TEST(close_absolute(square / n, 2.0, 5 * 2 * std::sqrt(2.0 / n)));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
