#pragma once

// Checks the four passes of any network at random points: tangents and cotangents are transposes of each other, and
// reverse is the gradient.

#include "networks.hpp"

#include <numeric>

namespace pushforward::test {

/// A context for n samples, random; empty where the network has none.
template <class T>
Matrix<T> random_context(const nn::NetworkOptions& options, Index n) {
  return options.context > 0 ? random_matrix<T>(options.context, n, 37) : Matrix<T>();
}

template <class T>
Matrix<T> forward(const TestNetwork<T>& net, nn::NetworkState<T>& state, const Matrix<T>& x,
                  ConstMatrixView<T> context = {}) {
  Matrix<T> y(net.network.out(), x.cols());
  net.network.forward(state, x, y, context);
  return y;
}

/// k random directions for each sample, or those of the identity.
template <class T>
struct Tangents {
  Tangents(Index d, Index n, Index count, bool is_identity)
      : identity(is_identity), k(is_identity ? d : count), v(random_matrix<T>(d, n * k, 32)) {
    for (Index j = 0; identity && j < n * k; ++j) {
      for (Index i = 0; i < d; ++i) v(i, j) = i == j % d ? T(1) : T(0);
    }
  }
  nn::Directions<T> directions() const {
    return identity ? nn::Directions<T>::identity(k) : nn::Directions<T>::given(v, k);
  }

  bool identity;
  Index k;
  Matrix<T> v;
};

constexpr std::pair<Index, bool> tangent_kinds[] = {{0, false}, {1, false}, {3, false}, {0, true}};

template <class T>
double inner(const Matrix<T>& a, const Matrix<T>& b) {
  return std::inner_product(a.span().begin(), a.span().end(), b.span().begin(), 0.0, std::plus<>(),
                            [](T x, T y) { return static_cast<double>(x) * static_cast<double>(y); });
}

/// ⟨U, J V⟩ = ⟨Jᵀ U, V⟩ at n points; not when Jᵀ U is off along V by a hundredth of its size.
template <class T>
void check_cotangents(const nn::NetworkOptions& options, Index n) {
  const TestNetwork<T> net(options);
  const auto x = random_matrix<T>(options.in, n, 33);
  const auto context = random_context<T>(options, n);
  for (const auto& [count, identity] : tangent_kinds) {
    for (const nn::Pass pass : {nn::Pass::evaluate, nn::Pass::gradient}) {
      const Tangents<T> t(options.in, n, count, identity);
      Passes<T> state(net.network, n, t.k, pass);
      forward<T>(net, *state, x, context);
      Matrix<T> jv(options.out, n * t.k), jtu(options.in, n * t.k);
      const auto u = random_matrix<T>(options.out, n * t.k, 34);
      net.network.tangent(*state, t.directions(), jv);
      net.network.cotangent(*state, u, t.k, jtu);
      const double tolerance = gamma<T>(200) * (1 + frobenius<T>(u) * frobenius<T>(jv));
      BOOST_TEST(close_absolute(inner(u, jv), inner(jtu, t.v), tolerance));
      if (n * t.k == 0) continue;
      const double off = 0.01 * frobenius<T>(jtu) * frobenius<T>(t.v);
      BOOST_TEST(!close_absolute(inner(u, jv), inner(jtu, t.v) + off, tolerance));
    }
  }
}

/// The gradient with respect to given directions, v_bar, is Jᵀ U; not when it is off by a hundredth of its size.
template <class T>
void check_direction_bar(const TestNetwork<T>& net, const Matrix<T>& x, const Matrix<T>& context, const Matrix<T>& u,
                         const Matrix<T>& v_bar) {
  if (v_bar.size() == 0) return;
  const Index n = x.cols(), k = v_bar.cols() / n;
  Passes<T> state(net.network, n, k, nn::Pass::evaluate);
  forward<T>(net, *state, x, context);
  Matrix<T> expected(v_bar);
  net.network.cotangent(*state, u, k, expected);
  const double tolerance = gamma<T>(200) * (1 + frobenius<T>(expected)) * std::sqrt(static_cast<double>(x.rows()));
  BOOST_TEST(close_absolute(v_bar.view(), expected.view(), tolerance));
  Matrix<T> broken(v_bar);
  broken(0, 0) += static_cast<T>(0.01 * frobenius<T>(expected) + 0.01);
  BOOST_TEST(!close_absolute(broken.view(), expected.view(), tolerance));
}

/// The gradient of Σ ȳ·g(x) + Σ uᵀ J(x) v with respect to every kind of parameter and to x at n points, the values in
/// double. line: numbers the directions of Taylor's test.
template <class T>
void check_reverse(const nn::NetworkOptions& options, Index n, std::uint64_t& line) {
  TestNetwork<T> net(options);
  TestNetwork<double> exact(options);
  net.settle();
  const auto x = random_matrix<T>(options.in, n, 33);
  const auto context = random_context<T>(options, n);
  const auto exact_context = converted<double>(context);
  const auto y_bar = random_matrix<T>(options.out, n, 35);
  for (const auto& [count, identity] : tangent_kinds) {
    const Tangents<T> t(options.in, n, count, identity);
    const Tangents<double> exact_t(options.in, n, count, identity);
    const auto u = random_matrix<T>(options.out, n * t.k, 36);
    Passes<T> state(net.network, n, t.k, nn::Pass::gradient);
    Passes<double> exact_state(exact.network, n, t.k, nn::Pass::evaluate);

    const auto objective = [&](std::span<const double> parameters, const Matrix<double>& at) {
      exact.network.prepare(parameters, nn::Normalization::svd);
      Matrix<double> jv(options.out, n * t.k);
      const double value = inner(converted<double>(y_bar), forward<double>(exact, *exact_state, at, exact_context));
      exact.network.tangent(*exact_state, exact_t.directions(), jv);
      return value + inner(converted<double>(u), jv);
    };

    forward<T>(net, *state, x, context);
    Matrix<T> jv(options.out, n * t.k), x_bar(options.in, n);
    if (t.k > 0) net.network.tangent(*state, t.directions(), jv);
    std::copy_n(y_bar.data(), y_bar.size(), state->value_seed().data());
    if (t.k > 0) std::copy_n(u.data(), u.size(), state->tangent_seed(t.k).data());
    std::vector<T> gradient(net.parameters.size());
    Matrix<T> v_bar(options.in, identity ? 0 : n * t.k);
    net.network.reverse(*state, x_bar, gradient, v_bar);
    net.network.gradient_of_raw_parameters(gradient);
    check_direction_bar<T>(net, x, context, u, v_bar);

    const std::vector<double> parameters(net.parameters.begin(), net.parameters.end());
    const auto exact_x = converted<double>(x);
    for (const auto& block : net.layout.blocks()) {
      const auto at = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
      const auto f = [&](std::span<const double> values) {
        auto moved = parameters;
        std::copy(values.begin(), values.end(), moved.begin() + block.offset);
        return objective(moved, exact_x);
      };
      const auto claimed = std::span<const T>(gradient).subspan(at, size);
      BOOST_TEST_CONTEXT(block.name << ", k = " << t.k) {
        BOOST_TEST(is_gradient(f, std::span(parameters).subspan(at, size), claimed, taylor_scale<T>(), ++line));
        BOOST_TEST(!is_gradient<T>(f, std::span(parameters).subspan(at, size), one_percent_off(claimed),
                                   taylor_scale<T>(), line));
      }
    }
    const auto f = [&](std::span<const double> values) {
      return objective(parameters, Matrix<double>(ConstMatrixView<double>(values.data(), options.in, n)));
    };
    BOOST_TEST_CONTEXT("x, k = " << t.k) {
      BOOST_TEST(is_gradient<T>(f, exact_x.span(), x_bar.span(), taylor_scale<T>(), ++line));
      BOOST_TEST(!is_gradient<T>(f, exact_x.span(), one_percent_off<T>(x_bar.span()), taylor_scale<T>(), line));
    }
  }
}

}  // namespace pushforward::test
