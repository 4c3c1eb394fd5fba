#include <pushforward/logdet/exact.hpp>

#include "../nn/networks.hpp"

namespace pushforward::test {

namespace {

using logdet::ExactLogDet;
using nn::NetworkOptions;
using nn::Pass;

constexpr Index dimensions[] = {1, 2, 5, 20, 64};

// The estimator at n points of a network, with all its memory.
template <class T>
struct Estimate {
  Estimate(const TestNetwork<T>& net, const Matrix<T>& at, Pass pass)
      : d(net.network.in()),
        n(at.cols()),
        x(at),
        y(d, n),
        passes(net.network, n, ExactLogDet<T>::tangents(d), pass),
        scratch(bytes(d, n)),
        exact(scratch, d, n),
        log_det(static_cast<std::size_t>(n)),
        sign(static_cast<std::size_t>(n)) {
    net.network.forward(*passes, x, y);
    exact.estimate(net.network, *passes, log_det, sign);
  }
  static Index bytes(Index d, Index n) {
    linalg::Workspace counter;
    const ExactLogDet<T> counted(counter, d, n);
    return counter.peak();
  }

  Index d, n;
  Matrix<T> x, y;
  Passes<T> passes;
  linalg::Workspace scratch;
  ExactLogDet<T> exact;
  std::vector<double> log_det;
  std::vector<linalg::Sign> sign;
};

NetworkOptions options_of(Index d) {
  return {.in = d, .out = d, .hidden = {d + 3, 16}, .lipschitz = 0.95};
}

// I + J at one point, by central differences of fourth order.
Matrix<double> difference_jacobian(const TestNetwork<double>& net, ConstMatrixView<double> x) {
  constexpr double h = 1e-3;
  const double offsets[] = {-2, -1, 1, 2}, weights[] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  const Index d = x.rows();
  Matrix<double> points(d, 4 * d), images(d, 4 * d), jacobian(d, d);
  for (Index j = 0; j < 4 * d; ++j) {
    std::copy_n(x.data(), d, points.view().column(j));
    points(j / 4, j) += h * offsets[j % 4];
  }
  Passes<double> passes(net.network, 4 * d, 0, Pass::evaluate);
  net.network.forward(*passes, points, images);
  for (Index j = 0; j < d; ++j) {
    for (Index i = 0; i < d; ++i) {
      jacobian(i, j) = i == j;
      for (Index k = 0; k < 4; ++k) jacobian(i, j) += weights[k] / h * images(i, 4 * j + k);
    }
  }
  return jacobian;
}

// A linear network with a free norm, whose Jacobian is the given matrix.
template <class T>
TestNetwork<T> linear_network(const Matrix<double>& jacobian) {
  const Index d = jacobian.rows();
  TestNetwork<T> net({.in = d, .out = d, .hidden = {}, .lipschitz = std::numeric_limits<double>::infinity()});
  std::transform(jacobian.span().begin(), jacobian.span().end(), net.parameters.begin(),
                 [](double value) { return static_cast<T>(value); });
  net.prepare(nn::Normalization::svd);
  return net;
}

struct KnownJacobian {
  const char* name;
  Matrix<double> jacobian;
  double log_det;
  int sign;
};

std::vector<KnownJacobian> known_jacobians(Index d) {
  const auto size = static_cast<double>(d);
  const auto make = [d](auto f) { return matrix_of<double>(d, d, f); };
  std::vector<KnownJacobian> all;
  all.push_back({"zero", Matrix<double>(d, d), 0, 1});
  all.push_back({"diagonal", make([](Index i, Index j) { return i == j ? -0.5 : 0.0; }), size * std::log(0.5), 1});
  all.push_back({"defective", make([](Index i, Index j) { return i == j       ? 0.25
                                                                 : j == i + 1 ? 0.5
                                                                              : 0.0; }),
                 size * std::log(1.25), 1});
  // det(I + s C) = 1 − (−s)ᵈ for a cyclic shift C.
  if (d > 1) {
    all.push_back({"rotation-like", make([d](Index i, Index j) { return i == (j + 1) % d ? 0.75 : 0.0; }),
                   std::log1p(-std::pow(-0.75, size)), 1});
  }
  all.push_back(
      {"nearly -I", make([](Index i, Index j) { return i == j ? -1 + 0x1p-20 : 0.0; }), size * std::log(0x1p-20), 1});
  all.push_back({"beyond -I", make([](Index i, Index j) { return i == j ? (i == 0 ? -3.0 : 1.0) : 0.0; }),
                 size * std::log(2.0), -1});
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(exact_log_det)

BOOST_AUTO_TEST_CASE_TEMPLATE(known_jacobians_of_linear_networks, T, Precisions) {
  for (const Index d : dimensions) {
    for (const auto& known : known_jacobians(d)) {
      const auto net = linear_network<T>(known.jacobian);
      const Estimate<T> e(net, random_matrix<T>(d, 3, 50), Pass::evaluate);
      Matrix<T> sum = converted<T>(known.jacobian);
      for (Index i = 0; i < d; ++i) sum(i, i) += 1;
      const auto reference = linalg::reference::log_det<T>(sum);
      const double tolerance = gamma<T>(20) * static_cast<double>(d) + gamma<double>(d) * std::abs(known.log_det);
      BOOST_TEST_CONTEXT(known.name << ", d = " << d) {
        BOOST_TEST(close_absolute(reference.log_abs, known.log_det, tolerance));
        for (std::size_t i = 0; i < 3; ++i) {
          BOOST_TEST(int{e.sign[i]} == known.sign);
          BOOST_TEST(close_absolute(e.log_det[i], known.log_det, tolerance));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(agrees_with_the_lu_of_central_differences) {
  for (const Index d : dimensions) {
    const TestNetwork<double> net(options_of(d));
    const Estimate<double> e(net, random_matrix<double>(d, 3, 51), Pass::evaluate);
    for (Index i = 0; i < e.n; ++i) {
      const auto jacobian = difference_jacobian(net, e.x.view().columns(i, 1));
      const auto reference = linalg::reference::log_det<double>(jacobian);
      BOOST_TEST(close_absolute(e.log_det[i], reference.log_abs, 1e-9));
      BOOST_TEST(int{e.sign[i]} == int{reference.sign});
      BOOST_TEST(std::abs(reference.log_abs) > 1e-3);  // far from what a rough estimate would give
    }
  }
}

BOOST_AUTO_TEST_CASE(float_agrees_with_double_for_any_purpose) {
  for (const Index d : dimensions) {
    const TestNetwork<double> exact(options_of(d));
    const TestNetwork<float> net(options_of(d));
    const auto x = random_matrix<float>(d, 3, 51);
    const Estimate<double> expected(exact, converted<double>(x), Pass::evaluate);
    for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
      const Estimate<float> e(net, x, pass);
      BOOST_TEST(close_absolute(std::span<const double>(e.log_det), std::span<const double>(expected.log_det),
                                1e-5 * std::sqrt(static_cast<double>(d))));
      BOOST_TEST((e.sign == expected.sign));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(its_pairs_give_the_gradient, T, Precisions) {
  for (const Index d : dimensions) {
    TestNetwork<T> net(options_of(d));
    TestNetwork<double> exact(options_of(d));
    net.settle();
    const auto x = random_matrix<T>(d, 2, 52);
    Estimate<T> e(net, x, Pass::gradient);
    Matrix<T> x_bar(d, 2);
    std::vector<T> gradient(net.parameters.size());
    std::fill_n(e.passes->value_seed().data(), 2 * d, T(0));
    net.network.reverse(*e.passes, x_bar, gradient);
    net.network.gradient_of_raw_parameters(gradient);

    const auto objective = [&](std::span<const double> parameters, const Matrix<double>& at) {
      exact.network.prepare(parameters, nn::Normalization::svd);
      const Estimate<double> value(exact, at, Pass::evaluate);
      return value.log_det[0] + value.log_det[1];
    };
    const std::vector<double> parameters(net.parameters.begin(), net.parameters.end());
    const auto at_x = converted<double>(x);
    const auto of_parameters = [&](std::span<const double> values) { return objective(values, at_x); };
    const auto of_x = [&](std::span<const double> values) {
      return objective(parameters, Matrix<double>(ConstMatrixView<double>(values.data(), d, 2)));
    };
    const std::span<const T> claimed(gradient), claimed_x = x_bar.span();
    const auto scale = taylor_scale<T>();
    BOOST_TEST_CONTEXT("d = " << d) {
      BOOST_TEST(is_gradient(of_parameters, parameters, claimed, scale));
      BOOST_TEST(!is_gradient<T>(of_parameters, parameters, one_percent_off(claimed), scale));
      BOOST_TEST(is_gradient(of_x, at_x.span(), claimed_x, scale));
      BOOST_TEST(!is_gradient<T>(of_x, at_x.span(), one_percent_off(claimed_x), scale));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(solve_applies_the_inverse_of_each_sample, T, Precisions) {
  for (const Index d : dimensions) {
    const TestNetwork<T> net(options_of(d));
    for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
      Estimate<T> e(net, random_matrix<T>(d, 3, 53), pass);
      const auto y = random_matrix<T>(d, 3, 54);
      Matrix<T> b(d, 3);
      net.network.tangent(*e.passes, nn::Directions<T>::given(y, 1), b);
      for (Index i = 0; i < b.size(); ++i) b.data()[i] += y.data()[i];
      e.exact.solve(b.view());
      BOOST_TEST(close_relative(b.view(), y.view(), 100 * gamma<T>(3 * d)));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_singular_or_broken_sample_is_its_own_problem, T, Precisions) {
  const auto minus_one = matrix_of<double>(3, 3, [](Index i, Index j) { return i == j ? -1.0 : 0.0; });
  const auto singular = linear_network<T>(minus_one);
  Estimate<T> e(singular, random_matrix<T>(3, 2, 55), Pass::gradient);
  BOOST_TEST(int{e.sign[0]} == 0);
  BOOST_TEST(e.log_det[0] == -std::numeric_limits<double>::infinity());
  BOOST_TEST(std::isnan(e.passes->tangent_seed(3)(0, 0)));

  const TestNetwork<T> net(options_of(3));
  auto x = random_matrix<T>(3, 3, 56);
  const Estimate<T> clean(net, x, Pass::gradient);
  x(1, 1) = nan_of<T>;
  const Estimate<T> broken(net, x, Pass::gradient);
  BOOST_TEST(int{broken.sign[1]} == 0);
  BOOST_TEST(std::isnan(broken.log_det[1]));
  for (const std::size_t i : {0, 2}) BOOST_TEST(broken.log_det[i] == clean.log_det[i]);
}

BOOST_AUTO_TEST_CASE(no_samples_are_legal) {
  const TestNetwork<double> net(options_of(3));
  const Estimate<double> e(net, Matrix<double>(3, 0), Pass::gradient);
  BOOST_TEST(e.log_det.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
