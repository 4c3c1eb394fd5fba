
#include "closed_forms.hpp"
#include "passes.hpp"

namespace pushforward::test {

namespace {

using nn::Directions;
using nn::Network;
using nn::NetworkOptions;
using nn::Normalization;
using nn::Pass;

const std::vector<std::vector<Index>> depths{{}, {5}, {9, 4}, {6, 3, 7}};

// f(options, n) for networks of several depths and widths and batches of several sizes.
template <class F>
void for_each_network(F&& f) {
  for (const auto& hidden : depths) {
    for (const Index d : {1, 2, 5}) {
      for (const Index n : {0, 1, 7}) {
        for (const Index out : {d, d + 1}) {
          BOOST_TEST_CONTEXT(hidden.size() << " hidden layers, " << d << " to " << out << ", n = " << n) {
            f(NetworkOptions{.in = d, .out = out, .hidden = hidden, .lipschitz = 0.9}, n);
          }
        }
      }
    }
  }
}

// g(x) of one sample by plain loops in long double, with the network's effective weights.
template <class T>
std::vector<Real> naive_forward(const TestNetwork<T>& net, std::vector<Real> h) {
  const auto& layers = net.network.layers();
  for (std::size_t l = 0; l < layers.size(); ++l) {
    std::vector<Real> a(layers[l]->out());
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = layers[l]->bias()[i];
      for (std::size_t j = 0; j < h.size(); ++j) a[i] += Real(layers[l]->weight()(Index(i), Index(j))) * h[j];
    }
    if (l + 1 < layers.size()) {
      Real beta = 1;
      for (const auto& block : net.layout.blocks()) {
        if (block.name != fmt::format("net/layer_{}/log_beta", l)) continue;
        beta = std::exp(net.parameters[block.offset]);
      }
      for (Real& value : a) value = closed_form(net.network.options().activation, value, beta).value;
    }
    h = a;
  }
  return h;
}

template <class T>
std::vector<Real> as_reals(std::span<const T> column) {
  return {column.begin(), column.end()};
}

// J v of one sample by central differences of the naive forward.
template <class T>
std::vector<Real> naive_tangent(const TestNetwork<T>& net, std::span<const T> x, const std::vector<Real>& v) {
  constexpr Real h = 1e-5L;
  auto left = as_reals(x), right = left;
  for (std::size_t i = 0; i < v.size(); ++i) {
    left[i] -= h * v[i];
    right[i] += h * v[i];
  }
  auto jv = naive_forward(net, right);
  const auto at_left = naive_forward(net, left);
  for (std::size_t i = 0; i < jv.size(); ++i) jv[i] = (jv[i] - at_left[i]) / (2 * h);
  return jv;
}

// Whether a network with this activation may have a Lipschitz bound.
bool allows_a_bound(const std::string& activation) {
  return nn::ActivationKind::registry().at(activation).lipschitz <= 1;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(network)

BOOST_AUTO_TEST_CASE_TEMPLATE(forward_agrees_with_plain_loops, T, Precisions) {
  for (const std::string& activation : all_activations) {
    for_each_network([&](NetworkOptions options, Index n) {
      options.activation = activation;
      if (!allows_a_bound(activation)) options.lipschitz = std::numeric_limits<double>::infinity();
      const TestNetwork<T> net(options);
      Passes<T> state(net.network, 7, 0, Pass::evaluate);
      const auto x = random_matrix<T>(options.in, n, 33);
      const auto y = forward(net, *state, x);
      for (Index j = 0; j < n; ++j) {
        const auto expected = naive_forward(net, as_reals<T>(x.view().column_span(j)));
        for (Index i = 0; i < options.out; ++i) {
          BOOST_TEST(close_absolute(static_cast<double>(y(i, j)), double(expected[std::size_t(i)]), gamma<T>(150)));
        }
      }
    });
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tangents_agree_with_central_differences, T, Precisions) {
  for_each_network([](const NetworkOptions& options, Index n) {
    const TestNetwork<T> net(options);
    const auto x = random_matrix<T>(options.in, n, 33);
    for (const auto& [count, identity] : tangent_kinds) {
      const Tangents<T> t(options.in, n, count, identity);
      Passes<T> state(net.network, n, t.k, Pass::evaluate);
      forward(net, *state, x);
      Matrix<T> jv(options.out, n * t.k);
      net.network.tangent(*state, t.directions(), jv);
      Matrix<double> expected(jv.rows(), jv.cols());
      for (Index j = 0; j < n * t.k; ++j) {
        const auto column = naive_tangent(net, x.view().column_span(j / t.k), as_reals<T>(t.v.view().column_span(j)));
        std::copy(column.begin(), column.end(), expected.view().column(j));
      }
      auto actual = converted<double>(jv);
      BOOST_TEST(close_absolute(actual.view(), expected.view(), gamma<T>(150) + 1e-9));
      if (actual.size() == 0) continue;
      for (double& value : actual.span()) value *= 1.01;
      BOOST_TEST(!close_absolute(actual.view(), expected.view(), gamma<T>(150) + 1e-9));
    }
  });
}

// ⟨U, J V⟩ = ⟨Jᵀ U, V⟩.
BOOST_AUTO_TEST_CASE_TEMPLATE(cotangents_are_the_transpose_of_tangents, T, Precisions) {
  for_each_network([](const NetworkOptions& options, Index n) { check_cotangents<T>(options, n); });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(both_purposes_give_the_same_values, T, Precisions) {
  for_each_network([](const NetworkOptions& options, Index n) {
    const TestNetwork<T> net(options);
    const Tangents<T> t(options.in, n, 2, false);
    const auto x = random_matrix<T>(options.in, n, 33);
    Passes<T> light(net.network, n, t.k, Pass::evaluate), full(net.network, n, t.k, Pass::gradient);
    for (int repeat = 0; repeat < 2; ++repeat) {
      const auto y = forward(net, *light, x);
      BOOST_TEST(close_absolute(forward(net, *full, x).view(), y.view(), 0));
      Matrix<T> a(options.out, n * t.k), b(options.out, n * t.k);
      net.network.tangent(*light, t.directions(), a);
      net.network.tangent(*full, t.directions(), b);
      BOOST_TEST(close_absolute(a.view(), b.view(), 0));
    }
  });
}

// The gradient of Σ ȳ·g(x) + Σ uᵀ J(x) v with respect to every kind of parameter and to x, the values in double.
BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_is_the_gradient_of_value_and_tangents, T, Precisions) {
  std::uint64_t line = 40;
  for (const std::string activation : {"lipswish", "tanh", "softplus", "sine"}) {
    for_each_network([&](NetworkOptions options, Index n) {
      if (n == 0 || (activation != "lipswish" && (n == 1 || options.in == 2))) return;
      options.activation = activation;
      BOOST_TEST_CONTEXT(activation) {
        check_reverse<T>(options, n, line);
      }
    });
  }
}

BOOST_AUTO_TEST_CASE(reverse_adds_to_the_gradient) {
  TestNetwork<double> net({.in = 3, .out = 3, .hidden = {4}});
  Passes<double> state(net.network, 2, 1, Pass::gradient);
  forward(net, *state, random_matrix<double>(3, 2, 33));
  std::copy_n(random_matrix<double>(3, 2, 35).data(), 6, state->value_seed().data());
  Matrix<double> x_bar(3, 2);
  std::vector<double> once(net.parameters.size()), twice(net.parameters.size());
  net.network.reverse(*state, x_bar, once);
  net.network.reverse(*state, x_bar, twice);
  net.network.reverse(*state, x_bar, twice);
  for (double& value : once) value *= 2;
  BOOST_TEST(close_relative(std::span<const double>(twice), std::span<const double>(once), 1e-15));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_fresh_network_is_zero_and_its_hidden_layers_are_not, T, Precisions) {
  TestNetwork<T> net({.in = 3, .out = 3, .hidden = {8, 8}});
  net.network.initialize(net.parameters);
  net.prepare(Normalization::power_iteration);
  Passes<T> state(net.network, 4, 0, Pass::evaluate);
  const auto y = forward(net, *state, random_matrix<T>(3, 4, 33));
  BOOST_TEST(close_absolute(y.view(), Matrix<T>(3, 4).view(), 0));
  BOOST_TEST(net.network.layers()[0]->norm() > 0);
  BOOST_TEST(net.network.layers()[2]->norm() == 0);
  BOOST_TEST(net.network.lipschitz() == 0);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_certificate_holds_between_all_points, T, Precisions) {
  for (const std::string& activation : all_activations) {
    if (!allows_a_bound(activation)) continue;
    for (const auto& hidden : depths) {
      TestNetwork<T> net({.in = 4, .out = 4, .hidden = hidden, .activation = activation, .lipschitz = 0.8}, 2);
      BOOST_TEST(net.network.lipschitz() <= 0.8 * (1 + gamma<T>(100)));
      net.network.bake_normalization(net.parameters);
      net.prepare(Normalization::stored);
      const double certificate = net.network.lipschitz();
      BOOST_TEST(certificate <= 0.8 * (1 + gamma<T>(100)));
      const Index n = 60;
      Passes<T> state(net.network, n, 0, Pass::evaluate);
      // Far and near pairs.
      auto x = random_matrix<T>(4, n, 33, 3);
      for (Index j = n / 2; j < n; ++j) {
        for (Index i = 0; i < 4; ++i) x(i, j) = x(i, j - n / 2) + T(0.05) * x(i, j);
      }
      const auto y = forward(net, *state, x);
      const auto distance = [](const Matrix<T>& m, Index a, Index b) {
        double square = 0;
        for (Index i = 0; i < m.rows(); ++i) square += std::pow(static_cast<double>(m(i, a) - m(i, b)), 2);
        return std::sqrt(square);
      };
      double steepest = 0;
      for (Index a = 0; a < n; ++a) {
        for (Index b = 0; b < a; ++b) steepest = std::max(steepest, distance(y, a, b) / distance(x, a, b));
      }
      BOOST_TEST(steepest <= certificate * (1 + gamma<T>(1000)));
      BOOST_TEST(steepest > 0.01 * certificate);
    }
  }
}

BOOST_AUTO_TEST_CASE(a_bound_needs_slopes_of_at_most_one) {
  BOOST_TEST(!allows_a_bound("silu"));
  BOOST_CHECK_EXCEPTION(TestNetwork<double>({.in = 2, .out = 2, .hidden = {4}, .activation = "silu"}), OptionError,
                        says({"network net", "'silu' reaches 1.1", "slopes of at most 1", "lipswish"}));
}

BOOST_AUTO_TEST_CASE(what_does_not_fit_is_refused) {
  TestNetwork<double> net({.in = 2, .out = 3, .hidden = {4}});
  Passes<double> state(net.network, 5, 1, Pass::evaluate);
  Matrix<double> x(2, 5), y(3, 5), six(2, 6), y6(3, 6), j(3, 10), v(2, 10);
  const auto& g = net.network;
  BOOST_CHECK_EXCEPTION(g.forward(*state, six, y6), ShapeError,
                        says({"network forward: x (2 × 6) and y (3 × 6) do not fit a network 2 → 3 with room for 5"}));
  BOOST_CHECK_EXCEPTION(g.forward(*state, x, x), ShapeError, says({"x (2 × 5) and y (2 × 5) do not fit"}));
  g.forward(*state, x, y);
  BOOST_CHECK_EXCEPTION(g.tangent(*state, Directions<double>::given(v, 2), j), ShapeError,
                        says({"network tangent: 2 directions (2 × 10) for 5 samples", "room for 1"}));
  BOOST_CHECK_EXCEPTION(g.cotangent(*state, x, 1, x), ShapeError, says({"network cotangent: (2 × 5) to (2 × 5)"}));
  BOOST_CHECK_EXCEPTION(g.reverse(*state, x, net.parameters), ShapeError,
                        says({"network reverse: x_bar (2 × 5)", "a state that keeps no gradient"}));
  nn::ParameterLayout layout;
  const auto make = [&](double lipschitz) {
    Network<double>(layout, "here", {.in = 2, .out = 2, .lipschitz = lipschitz}, 1, 1);
  };
  BOOST_CHECK_EXCEPTION(make(0), OptionError, says({"network here: Lipschitz bound 0 must be positive"}));
  BOOST_CHECK_EXCEPTION(make(nan_of<double>), OptionError, says({"Lipschitz bound nan must be positive"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
