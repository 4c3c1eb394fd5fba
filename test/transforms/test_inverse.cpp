// The gradient through an inverse in pieces: reverse passes without a gradient of parameters and one after the other,
// transposed solves whatever the estimator of the log-det, and the fused inverse beside the general one.

#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/residual.hpp>

#include "conditional.hpp"
#include "inverses.hpp"

namespace pushforward::test {

namespace {

constexpr Index n = 4;

// A transform planned for a gradient, after a forward() at x.
template <class T>
struct Planned {
  Planned(const flow::Transform<T>& of, const Matrix<T>& at, const Matrix<T>& context = {}) : transform(of), x(at) {
    linalg::Workspace counted_kept, counted_scratch;
    transform.plan(counted_kept, counted_scratch, n, nn::Pass::gradient);
    kept = linalg::Workspace(counted_kept.peak());
    scratch = linalg::Workspace(counted_scratch.peak());
    state = transform.plan(kept, scratch, n, nn::Pass::gradient);
    Matrix<T> z(x.rows(), n);
    std::vector<double> log_det(n);
    std::vector<flow::Status> status(n);
    transform.forward(*state, {.x = x, .context = context, .draws = {.seed = 5}}, z, log_det, status);
  }

  Matrix<T> reverse(const Matrix<T>& z_bar, std::span<const T> weight, std::span<T> gradient) {
    Matrix<T> x_bar(x.rows(), n);
    transform.reverse(*state, x, z_bar, weight, x_bar, gradient);
    return x_bar;
  }
  Matrix<T> solve(const Matrix<T>& b) {
    Matrix<T> lambda(x.rows(), n);
    transform.solve_transposed(*state, x, b, lambda);
    return lambda;
  }

  const flow::Transform<T>& transform;
  const Matrix<T>& x;
  linalg::Workspace kept, scratch;
  std::unique_ptr<flow::TransformState<T>> state;
};

const std::vector<std::string>& methods() {
  static const std::vector<std::string> all{
      "exact:through=input",        "exact:through=narrowest", "series:6", "series:6,trace=exact",
      "roulette:p=0.3,length=step", "poisson:rate=2,probes=2", "krylov:2", "trace+krylov:1,probe=hadamard,probes=3"};
  return all;
}

// A residual block with values of which some are angles, or none.
std::unique_ptr<flow::ResidualBlock<double>> block_of(nn::ParameterLayout& layout, bool angles,
                                                      const std::string& method) {
  nn::NetworkOptions network{.in = 5, .out = 5, .hidden = {8, 4}, .lipschitz = 0.9};
  if (angles) network.periodic = {1, 3};
  auto block = std::make_unique<flow::ResidualBlock<double>>(layout, "block", Shape::vector(5), network, 1, 1);
  block->set_log_det(nn::Pass::gradient, logdet::parse_method(method));
  const auto parameters = random_vector<double>(layout.size(), 7);
  block->prepare(parameters, nn::Normalization::svd);
  return block;
}

bool fits(const std::string& method, bool angles) {
  return !angles || (method.find("trace") == std::string::npos && method.find("narrowest") == std::string::npos);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients_through_inverses)

BOOST_AUTO_TEST_CASE(reverse_passes_may_leave_parameters_out_and_follow_each_other) {
  const auto x = random_matrix<double>(5, n, 1), z_bar = random_matrix<double>(5, n, 2);
  const std::vector<double> weight{0.5, -1, 0, 2};
  for (const auto& method : methods()) {
    for (const bool angles : {false, true}) {
      if (!fits(method, angles)) continue;
      BOOST_TEST_CONTEXT(method << (angles ? ", angles" : "")) {
        nn::ParameterLayout layout;
        const auto block = block_of(layout, angles, method);
        std::vector<double> first(layout.size()), second(first.size());
        Planned<double> planned(*block, x);
        const auto x_bar = planned.reverse(z_bar, weight, first);
        const auto without = planned.reverse(z_bar, weight, {});
        const auto again = planned.reverse(z_bar, weight, second);
        BOOST_TEST(close_absolute(without.view(), x_bar.view(), 0));
        BOOST_TEST(close_absolute(again.view(), x_bar.view(), 0));
        BOOST_TEST((first == second));
        BOOST_TEST(std::ranges::any_of(first, [](double value) { return value != 0; }));
      }
    }
  }
}

// J has nothing to do with the estimator of its log-det.
BOOST_AUTO_TEST_CASE(transposed_solves_do_not_depend_on_the_estimator) {
  const auto x = random_matrix<double>(5, n, 1), b = random_matrix<double>(5, n, 2);
  for (const bool angles : {false, true}) {
    nn::ParameterLayout layout;
    const auto exact = block_of(layout, angles, "exact:through=input");
    const auto expected = Planned<double>(*exact, x).solve(b);
    for (const auto& method : methods()) {
      if (!fits(method, angles)) continue;
      BOOST_TEST_CONTEXT(method << (angles ? ", angles" : "")) {
        nn::ParameterLayout other_layout;
        const auto block = block_of(other_layout, angles, method);
        Planned<double> planned(*block, x);
        BOOST_TEST(close_absolute(planned.solve(b).view(), expected.view(), 1e-12));
        planned.reverse(b, std::vector<double>(n, 3.0), {});
        BOOST_TEST(close_absolute(planned.solve(b).view(), expected.view(), 1e-12));
        BOOST_TEST(!close_absolute(planned.solve(b).view(), b.view(), 1e-2));
      }
    }
  }
}

// An IAF, which has a fused pass, beside two reverse passes and a transposed solve.
BOOST_AUTO_TEST_CASE_TEMPLATE(the_fused_inverse_has_the_gradient_of_the_general_one, T, Precisions) {
  for (const auto* map : {"affine", "spline"}) {
    const Conditional maf = autoregressive(map, {.shape = Shape::vector(5), .periodic = {}, .context = 2}, false);
    nn::ParameterLayout layout, general_layout, off_layout;
    flow::Inverse<T> fused(make_transform<T>(maf, layout));
    flow::Inverse<T> general(std::make_unique<ScaledSolve<T>>(make_transform<T>(maf, general_layout), 1));
    flow::Inverse<T> off(std::make_unique<ScaledSolve<T>>(make_transform<T>(maf, off_layout), 1.01));
    const auto parameters = random_vector<T>(layout.size(), 3, 0.3);
    const auto x = random_matrix<T>(5, n, 1), z_bar = random_matrix<T>(5, n, 2), context = random_matrix<T>(2, n, 4);
    const auto gradients = [&](flow::Inverse<T>& transform) {
      transform.prepare(parameters, nn::Normalization::svd);
      Planned<T> planned(transform, x, context);
      std::vector<T> gradient(parameters.size());
      auto x_bar = planned.reverse(z_bar, {}, gradient);
      gradient.insert(gradient.end(), x_bar.span().begin(), x_bar.span().end());
      return gradient;
    };
    const auto expected = gradients(general);
    double largest = 0;
    for (const T value : expected) largest = std::max(largest, std::abs(static_cast<double>(value)));
    const double tolerance = (std::is_same_v<T, float> ? 1e-4 : 1e-12) * largest;
    BOOST_TEST(close_absolute(std::span<const T>(gradients(fused)), std::span<const T>(expected), tolerance));
    BOOST_TEST(!close_absolute(std::span<const T>(gradients(off)), std::span<const T>(expected), tolerance));
  }
}

BOOST_AUTO_TEST_CASE(values_that_are_factored_out_have_no_inverse_transform) {
  nn::ParameterLayout layout;
  const auto make = [&] {
    return std::make_unique<flow::FactorOut<double>>(layout, "s", Shape::vector(3), flow::FactorOutOptions{1});
  };
  BOOST_CHECK_EXCEPTION(flow::Inverse<double>{make()}, ShapeError,
                        says({"inverse of split", "of 3 values, 2 are factored out"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
