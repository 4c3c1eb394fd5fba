
#include "passes.hpp"

#include <numbers>

namespace pushforward::test {

namespace {

using nn::Directions;
using nn::NetworkOptions;
using nn::Normalization;
using nn::Pass;

constexpr double infinity = std::numeric_limits<double>::infinity();

struct Kind {
  const char* name;
  NetworkOptions options;
};

// Networks with all that dense ones may have, alone and together.
std::vector<Kind> dense_kinds() {
  return {
      {"context", {.in = 3, .out = 3, .hidden = {6, 5}, .context = 2}},
      {"context of a linear map", {.in = 3, .out = 2, .hidden = {}, .context = 2}},
      {"free, with a context", {.in = 2, .out = 5, .hidden = {7}, .lipschitz = infinity, .context = 1}},
      {"an angle", {.in = 1, .out = 1, .hidden = {6}, .periodic = {0}}},
      {"angles among others", {.in = 4, .out = 4, .hidden = {7, 5}, .context = 2, .periodic = {0, 2}}},
      {"a linear map of angles", {.in = 3, .out = 3, .hidden = {}, .periodic = {1, 2}}},
      {"autoregressive", {.in = 4, .out = 8, .hidden = {9, 6}, .autoregressive = true}},
      {"autoregressive and free",
       {.in = 3, .out = 6, .hidden = {7}, .lipschitz = infinity, .context = 2, .autoregressive = true}},
      {"autoregressive in angles",
       {.in = 3, .out = 3, .hidden = {8, 7}, .context = 1, .periodic = {0, 2}, .autoregressive = true}},
      {"gates", {.in = 3, .out = 2, .hidden = {6, 5}, .lipschitz = infinity, .context = 2, .gates = 2}},
      {"gates by the first of a context, and angles",
       {.in = 3,
        .out = 3,
        .hidden = {6, 5, 9},
        .activation = "silu",
        .lipschitz = infinity,
        .context = 4,
        .gates = 3,
        .periodic = {1}}},
  };
}

std::vector<Kind> image_kinds() {
  return {
      {"convolutional", {.in = 12, .out = 12, .hidden = {3}, .height = 3, .width = 2, .kernels = {3, 3}}},
      {"convolutional with a context",
       {.in = 12, .out = 6, .hidden = {3, 2}, .context = 2, .height = 2, .width = 3, .kernels = {3, 1, 3}}},
      {"one convolution", {.in = 8, .out = 4, .hidden = {}, .context = 1, .height = 2, .width = 2, .kernels = {3}}},
      {"larger kernels than images, free",
       {.in = 4, .out = 8, .hidden = {2}, .lipschitz = infinity, .height = 1, .width = 4, .kernels = {1, 5}}},
  };
}

std::vector<Kind> all_kinds() {
  auto kinds = dense_kinds();
  for (auto& kind : image_kinds()) kinds.push_back(std::move(kind));
  return kinds;
}

template <class F>
void for_each(const std::vector<Kind>& kinds, F&& f) {
  for (const auto& kind : kinds) {
    BOOST_TEST_CONTEXT(kind.name) {
      f(kind.options);
    }
  }
}

// ∂g/∂x at one point by central differences of fourth order.
Matrix<double> difference_jacobian(const TestNetwork<double>& net, const Matrix<double>& x,
                                   ConstMatrixView<double> context) {
  constexpr double h = 1e-3;
  const Index d = net.network.in(), e = net.network.out();
  Matrix<double> jacobian(e, d);
  Passes<double> passes(net.network, 1, 0, Pass::evaluate);
  const auto at = [&](Index j, double shift) {
    auto moved = x;
    moved(j, 0) += shift;
    return forward(net, *passes, moved, context);
  };
  for (Index j = 0; j < d; ++j) {
    const auto right = at(j, h), left = at(j, -h), far_right = at(j, 2 * h), far_left = at(j, -2 * h);
    for (Index i = 0; i < e; ++i) {
      jacobian(i, j) = (8 * (right(i, 0) - left(i, 0)) - (far_right(i, 0) - far_left(i, 0))) / (12 * h);
    }
  }
  return jacobian;
}

Matrix<double> tangent_jacobian(const TestNetwork<double>& net, const Matrix<double>& x,
                                ConstMatrixView<double> context) {
  Passes<double> passes(net.network, 1, net.network.in(), Pass::evaluate);
  Matrix<double> jacobian(net.network.out(), net.network.in());
  forward(net, *passes, x, context);
  net.network.tangent(*passes, Directions<double>::identity(net.network.in()), jacobian);
  return jacobian;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(network_kinds)

BOOST_AUTO_TEST_CASE(tangents_agree_with_central_differences) {
  for_each(all_kinds(), [](const NetworkOptions& options) {
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(options.in, 1, 33), context = random_context<double>(options, 1);
    const auto expected = difference_jacobian(net, x, context);
    auto jacobian = tangent_jacobian(net, x, context);
    BOOST_TEST(close_absolute(jacobian.view(), expected.view(), 1e-9));
    for (double& value : jacobian.span()) value *= 1.01;
    BOOST_TEST(!close_absolute(jacobian.view(), expected.view(), 1e-9));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(cotangents_are_the_transpose_of_tangents, T, Precisions) {
  for_each(all_kinds(), [](const NetworkOptions& options) {
    for (const Index n : {0, 1, 5}) check_cotangents<T>(options, n);
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_is_the_gradient_of_value_and_tangents, T, Precisions) {
  std::uint64_t line = 90;
  for_each(all_kinds(), [&](const NetworkOptions& options) {
    for (const Index n : {1, 5}) check_reverse<T>(options, n, line);
  });
}

BOOST_AUTO_TEST_CASE(a_context_moves_the_value_without_a_bound) {
  const NetworkOptions options{.in = 2, .out = 2, .hidden = {6}, .lipschitz = 0.5, .context = 3};
  TestNetwork<double> net(options);
  Passes<double> passes(net.network, 1, 0, Pass::evaluate);
  const Matrix<double> x(2, 1);
  const auto u = random_matrix<double>(3, 1, 41, 20);
  const auto far = forward<double>(net, *passes, x, u), near = forward<double>(net, *passes, x, Matrix<double>(3, 1));
  BOOST_TEST(std::abs(far(0, 0) - near(0, 0)) > 1);
  // U as it is: only layers in x are shrunk.
  BOOST_TEST(net.layout.blocks()[2].name == "net/layer_0/context");
  BOOST_TEST(net.layout.blocks()[2].rows == 6);
  BOOST_TEST(net.layout.blocks()[2].cols == 3);
  const auto before = net.parameters;
  net.network.bake_normalization(net.parameters);
  const auto at = static_cast<std::size_t>(net.layout.blocks()[2].offset);
  BOOST_TEST(std::equal(before.begin() + std::ptrdiff_t(at), before.begin() + std::ptrdiff_t(at + 18),
                        net.parameters.begin() + std::ptrdiff_t(at)));
  BOOST_TEST(net.network.lipschitz() <= 0.5 * (1 + gamma<double>(100)));
}

BOOST_AUTO_TEST_CASE(samples_have_their_own_context) {
  const NetworkOptions options{.in = 2, .out = 2, .hidden = {6}, .context = 3};
  const TestNetwork<double> net(options);
  Passes<double> passes(net.network, 4, 0, Pass::evaluate);
  const auto x = random_matrix<double>(2, 4, 42), u = random_matrix<double>(3, 4, 43);
  const auto together = forward<double>(net, *passes, x, u);
  for (Index j = 0; j < 4; ++j) {
    const auto alone = forward<double>(net, *passes, Matrix<double>(x.view().columns(j, 1)), u.view().columns(j, 1));
    BOOST_TEST(close_absolute(alone.view(), together.view().columns(j, 1), gamma<double>(50)));
  }
}

// The values, and the gradient of Σ ȳ·g(x) with respect to parameters and x.
template <class T>
struct ValueGradient {
  Matrix<T> y, x_bar;
  std::vector<T> parameters;
};
template <class T>
ValueGradient<T> value_gradient(const TestNetwork<T>& net, const Matrix<T>& x, ConstMatrixView<T> context,
                                nn::Curvature curvature, bool with_x_bar = true) {
  const Index n = x.cols();
  linalg::Workspace counted_kept, counted_scratch;
  const nn::NetworkState<T> counted(net.network, counted_kept, counted_scratch, n, 0, Pass::gradient, curvature);
  linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
  nn::NetworkState<T> state(net.network, kept, scratch, n, 0, Pass::gradient, curvature);
  ValueGradient<T> out{forward<T>(net, state, x, context), Matrix<T>(net.network.in(), with_x_bar ? n : 0),
                       std::vector<T>(net.parameters.size())};
  const auto y_bar = random_matrix<T>(net.network.out(), n, 35);
  std::copy_n(y_bar.data(), y_bar.size(), state.value_seed().data());
  net.network.reverse(state, out.x_bar, out.parameters);
  return out;
}

// The twin has another context.
BOOST_AUTO_TEST_CASE_TEMPLATE(samples_may_share_a_context, T, Precisions) {
  for_each(all_kinds(), [](const NetworkOptions& options) {
    if (options.context == 0 || options.gates > 0) return;
    const TestNetwork<T> net(options);
    const auto x = random_matrix<T>(options.in, 5, 42), u = random_matrix<T>(options.context, 1, 43);
    const auto each = matrix_of<T>(options.context, 5, [&](Index i, Index) { return u(i, 0); });
    const auto other = matrix_of<T>(options.context, 5, [&](Index i, Index j) { return u(i, 0) + T(0.1) * T(j); });
    const auto shared = value_gradient<T>(net, x, u, nn::Curvature::kept);
    const auto agree = [&](const ValueGradient<T>& with) {
      auto verdict = close_absolute(shared.y.view(), with.y.view(), gamma<T>(200));
      if (verdict) verdict = close_absolute(shared.x_bar.view(), with.x_bar.view(), gamma<T>(400));
      if (verdict) verdict = close_relative(std::span<const T>(shared.parameters), with.parameters, gamma<T>(2000));
      return verdict;
    };
    BOOST_TEST(agree(value_gradient<T>(net, x, each, nn::Curvature::kept)));
    BOOST_TEST(!agree(value_gradient<T>(net, x, other, nn::Curvature::kept)));
  });
}

BOOST_AUTO_TEST_CASE(gates_take_the_context_of_each_sample) {
  const TestNetwork<double> net({.in = 2, .out = 2, .hidden = {4}, .lipschitz = infinity, .context = 2, .gates = 2});
  const auto x = random_matrix<double>(2, 3, 42), u = random_matrix<double>(2, 1, 43);
  BOOST_CHECK_THROW(value_gradient<double>(net, x, u, nn::Curvature::kept), ShapeError);
}

// The gradient of values needs neither φ″ nor the gradient with respect to x.
BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_of_values_needs_no_curvature, T, Precisions) {
  for_each(all_kinds(), [](const NetworkOptions& options) {
    const TestNetwork<T> net(options);
    const auto x = random_matrix<T>(options.in, 5, 42), u = random_context<T>(options, 5);
    const auto expected = value_gradient<T>(net, x, u, nn::Curvature::kept);
    const auto without = value_gradient<T>(net, x, u, nn::Curvature::none);
    const auto parameters_only = value_gradient<T>(net, x, u, nn::Curvature::none, false);
    BOOST_TEST(without.parameters == expected.parameters);
    BOOST_TEST(parameters_only.parameters == expected.parameters);
    BOOST_TEST(std::ranges::equal(without.x_bar.span(), expected.x_bar.span()));
    BOOST_TEST(std::ranges::any_of(expected.parameters, [](T value) { return value != 0; }));
  });
  const auto with_tangents = [] {
    const TestNetwork<T> net({.in = 2, .out = 2, .hidden = {4}});
    linalg::Workspace kept, scratch;
    nn::NetworkState<T>(net.network, kept, scratch, 3, 2, Pass::gradient, nn::Curvature::none);
  };
  BOOST_CHECK_THROW(with_tangents(), BugError);
}

// a = γ ∘ W h + V τ + b by plain loops, for one hidden layer after the first.
BOOST_AUTO_TEST_CASE(gates_scale_and_shift_hidden_layers) {
  const NetworkOptions options{
      .in = 2, .out = 2, .hidden = {3, 4}, .activation = "tanh", .lipschitz = infinity, .context = 3, .gates = 2};
  const TestNetwork<double> net(options);
  const auto array = [&](const std::string& name) {
    for (Index k = 0; k < std::ssize(net.layout.blocks()); ++k) {
      const bool is_it = net.layout.blocks()[k].name == "net/" + name;
      if (is_it) return nn::block_view(net.layout, k, std::span<const double>(net.parameters));
    }
    throw BugError("no array " + name);
  };
  const auto times = [](ConstMatrixView<double> a, std::span<const double> x, Index i) {
    double sum = 0;
    for (Index j = 0; j < a.cols(); ++j) sum += a(i, j) * x[j];
    return sum;
  };
  const auto x = random_matrix<double>(2, 5, 42), u = random_matrix<double>(3, 5, 43);
  Passes<double> passes(net.network, 5, 0, Pass::evaluate);
  const auto y = forward<double>(net, *passes, x, u);
  const auto plain = [&](Index j, double shift_factor) {
    std::vector<double> h(x.view().column_span(j).begin(), x.view().column_span(j).end());
    const std::vector<double> context{u(0, j), u(1, j), u(2, j)}, tau{u(0, j), u(1, j)};
    for (Index l = 0; l < 3; ++l) {
      const auto layer = fmt::format("layer_{}/", l);
      std::vector<double> next;
      for (Index i = 0; i < array(layer + "weight").rows(); ++i) {
        double a = times(array(layer + "weight"), h, i);
        if (l < 2) a *= 2 / (1 + std::exp(-times(array(layer + "gate"), tau, i)));
        if (l == 0) a += times(array(layer + "context"), context, i);
        if (l == 1) a += shift_factor * times(array(layer + "shift"), tau, i);
        a += array(layer + "bias")(i, 0);
        next.push_back(l < 2 ? std::tanh(a) : a);
      }
      h = next;
    }
    return h;
  };
  for (Index j = 0; j < 5; ++j) {
    const auto expected = plain(j, 1), without = plain(j, 0);
    BOOST_TEST(close_absolute(y.view().column_span(j), std::span<const double>(expected), 1e-13));
    BOOST_TEST(!close_absolute(y.view().column_span(j), std::span<const double>(without), 1e-13));
  }
}

// Samples with the same τ share their gates, and a sample has the same bits beside samples with another τ.
BOOST_AUTO_TEST_CASE_TEMPLATE(equal_gates_are_those_of_each_sample, T, Precisions) {
  const NetworkOptions options{.in = 2, .out = 2, .hidden = {5, 9}, .lipschitz = infinity, .context = 2, .gates = 2};
  const TestNetwork<T> net(options);
  Passes<T> passes(net.network, 4, 0, Pass::evaluate);
  const auto x = random_matrix<T>(2, 4, 42);
  auto u = random_matrix<T>(2, 4, 43);
  for (Index j = 1; j < 4; ++j) std::copy_n(u.view().column(0), 2, u.view().column(j));
  const auto same = forward<T>(net, *passes, x, u);
  u(0, 3) += T(1);
  const auto other = forward<T>(net, *passes, x, u);
  const auto first = [](const Matrix<T>& y, Index count) { return y.span().first(std::size_t(2 * count)); };
  BOOST_TEST(std::ranges::equal(first(same, 3), first(other, 3)));
  BOOST_TEST(!std::ranges::equal(first(same, 4), first(other, 4)));
}

// Gates that are fresh leave a network as it is without them.
BOOST_AUTO_TEST_CASE(fresh_gates_are_open) {
  const NetworkOptions with{.in = 2, .out = 2, .hidden = {5, 9}, .lipschitz = infinity, .context = 2, .gates = 2};
  NetworkOptions without = with;
  without.gates = 0;
  TestNetwork<double> gated(with), plain(without);
  const auto x = random_matrix<double>(2, 3, 42), u = random_matrix<double>(2, 3, 43);
  for (auto* const net : {&gated, &plain}) {
    net->network.initialize(net->parameters);
    for (const auto& block : net->layout.blocks()) {
      if (block.name == "net/layer_2/weight") net->parameters[block.offset] = 1;  // else g = 0
    }
    net->prepare(Normalization::svd);
  }
  Passes<double> of_gated(gated.network, 3, 0, Pass::evaluate), of_plain(plain.network, 3, 0, Pass::evaluate);
  const auto y = forward<double>(gated, *of_gated, x, u), z = forward<double>(plain, *of_plain, x, u);
  BOOST_TEST(close_absolute(y.view(), z.view(), 1e-15));
  BOOST_TEST(std::abs(y(0, 0)) > 1e-3);
}

BOOST_AUTO_TEST_CASE(only_networks_with_a_context_have_parameters_for_it) {
  const TestNetwork<double> net({.in = 2, .out = 2, .hidden = {6}});
  for (const auto& block : net.layout.blocks()) BOOST_TEST(block.name.find("context") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_fresh_network_with_a_context_is_zero) {
  for (const auto& hidden : {std::vector<Index>{}, {6, 6}}) {
    TestNetwork<double> net({.in = 2, .out = 2, .hidden = hidden, .context = 3});
    net.network.initialize(net.parameters);
    net.prepare(Normalization::svd);
    Passes<double> passes(net.network, 4, 0, Pass::evaluate);
    const auto y = forward<double>(net, *passes, random_matrix<double>(2, 4, 42), random_matrix<double>(3, 4, 43));
    BOOST_TEST(close_absolute(y.view(), Matrix<double>(2, 4).view(), 0));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(angles_have_period_two_pi_and_other_rows_have_not, T, Precisions) {
  const NetworkOptions options{.in = 4, .out = 4, .hidden = {7, 5}, .periodic = {0, 2}};
  const TestNetwork<T> net(options);
  Passes<T> passes(net.network, 5, 0, Pass::evaluate);
  const auto x = random_matrix<T>(4, 5, 44);
  const auto y = forward(net, *passes, x);
  for (Index row = 0; row < 4; ++row) {
    auto turned = x;
    for (Index j = 0; j < 5; ++j) turned(row, j) += T(2 * std::numbers::pi);
    const auto moved = forward(net, *passes, turned);
    const bool same(close_absolute(moved.view(), y.view(), gamma<T>(200)));
    BOOST_TEST(same == (row == 0 || row == 2));
  }
}

// Outputs of dimension i see x_j, j < i, and all that they may see.
BOOST_AUTO_TEST_CASE(autoregressive_outputs_see_what_comes_before) {
  for (const auto& [d, m] : {std::pair<Index, Index>{1, 2}, {2, 1}, {5, 3}, {6, 2}}) {
    for (const auto& hidden : {std::vector<Index>{}, {3}, {24, 17}}) {
      for (const std::vector<Index>& periodic : {std::vector<Index>{}, {0, d - 1}}) {
        if (d == 1 && !periodic.empty()) continue;
        const NetworkOptions options{.in = d,
                                     .out = m * d,
                                     .hidden = hidden,
                                     .activation = "tanh",
                                     .lipschitz = infinity,
                                     .context = 2,
                                     .periodic = periodic,
                                     .autoregressive = true};
        const TestNetwork<double> net(options);
        const auto x = random_matrix<double>(d, 1, 45), context = random_matrix<double>(2, 1, 46);
        const auto jacobian = difference_jacobian(net, x, context);
        BOOST_TEST(close_absolute(tangent_jacobian(net, x, context).view(), jacobian.view(), 1e-9));
        for (Index i = 0; i < m * d; ++i) {
          for (Index j = 0; j < d; ++j) {
            const double derivative = jacobian(i, j);
            if (j >= i / m) BOOST_TEST(derivative == 0);
            // With few hidden values, some must be left out.
            if (j < i / m && (hidden.empty() || hidden[0] >= 2 * d)) BOOST_TEST(std::abs(derivative) > 1e-8);
          }
        }
        // The context goes everywhere, the first dimension included.
        Passes<double> passes(net.network, 1, 0, Pass::evaluate);
        const auto y = forward<double>(net, *passes, x, context),
                   other = forward<double>(net, *passes, x, Matrix<double>(2, 1));
        for (Index i = 0; i < m * d; ++i) BOOST_TEST(std::abs(y(i, 0) - other(i, 0)) > 1e-8);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(masked_entries_are_zero_in_weights_gradients_and_files) {
  TestNetwork<double> net({.in = 4, .out = 8, .hidden = {9}, .autoregressive = true});
  const auto count_zeros = [&](std::span<const double> values) {
    return std::count(values.begin(), values.end(), 0.0);
  };
  std::vector<double> gradient(net.parameters.size(), 1.0);
  net.network.gradient_of_raw_parameters(gradient);
  auto folded = net.parameters, fresh = net.parameters;
  net.network.bake_normalization(folded);
  net.network.initialize(fresh);
  // Degrees 0 0 0 1 1 2 2 3 3: hidden values see 12 inputs of 36, outputs 2 · (3 + 5 + 7 + 9) hidden ones of 72.
  for (std::size_t l = 0; l < 2; ++l) {
    const auto& block = net.layout.blocks()[l == 0 ? 0 : 3];
    const auto at = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
    const Index zeros = 24;
    BOOST_TEST(count_zeros(std::span<const double>(gradient).subspan(at, size)) == zeros);
    BOOST_TEST(count_zeros(std::span<const double>(folded).subspan(at, size)) == zeros);
    BOOST_TEST(count_zeros(std::span<const double>(net.network.layers()[l]->weight().data(), size)) == zeros);
    if (l == 0) BOOST_TEST(count_zeros(std::span<const double>(fresh).subspan(at, size)) == zeros);
    BOOST_TEST(count_zeros(std::span<const double>(net.parameters).subspan(at, size)) == 0);
  }
}

BOOST_AUTO_TEST_CASE(options_that_contradict_each_other_are_refused) {
  const auto refused = [](const NetworkOptions& options, const std::vector<std::string>& parts) {
    nn::ParameterLayout layout;
    BOOST_CHECK_EXCEPTION(nn::Network<double>(layout, "here", options, 1, 1), OptionError, says(parts));
  };
  refused({.in = 3, .out = 4, .autoregressive = true}, {"network here", "4 must be a multiple of 3"});
  refused({.in = 3, .out = 3, .periodic = {3}}, {"network here: angles 3 must be rows of x, 0 to 2, ascending"});
  refused({.in = 3, .out = 3, .periodic = {1, 1}}, {"ascending"});
  refused({.in = 3, .out = 3, .periodic = {-1}}, {"angles -1"});
  refused({.in = 3, .out = 3, .context = -1}, {"a context of width -1"});
  refused({.in = 3, .out = 3, .lipschitz = infinity, .context = 1, .gates = 2},
          {"gates by 2 values of a context of width 1"});
  refused({.in = 3, .out = 3, .context = 1, .gates = 1}, {"without a Lipschitz bound"});
  refused({.in = 3, .out = 3, .hidden = {}, .lipschitz = infinity, .context = 1, .gates = 1}, {"for hidden layers"});
  refused({.in = 4, .out = 4, .height = 2, .width = 2}, {"images of 2 × 2 pixels need kernels"});
  const NetworkOptions image{.in = 8, .out = 8, .hidden = {3}, .height = 2, .width = 2, .kernels = {3, 1}};
  auto changed = [&image](auto&& change) {
    auto options = image;
    change(options);
    return options;
  };
  refused(changed([](auto& o) { o.kernels = {3}; }), {"1 kernels for 2 layers"});
  refused(changed([](auto& o) { o.kernels = {3, 2}; }), {"a kernel of 2 must be odd"});
  refused(changed([](auto& o) { o.in = 7; }), {"7 → 8 values are not whole channels of 2 × 2 pixels"});
  refused(changed([](auto& o) { o.periodic = {0}; }), {"for dense networks, not for those with kernels"});
  refused(changed([](auto& o) { o.autoregressive = true; }), {"for dense networks, not for those with kernels"});
  refused(changed([](auto& o) {
            o.lipschitz = infinity;
            o.context = o.gates = 1;
          }),
          {"for dense networks, not for those with kernels"});
}

BOOST_AUTO_TEST_CASE(a_context_that_does_not_fit_is_refused) {
  const TestNetwork<double> with({.in = 2, .out = 2, .hidden = {3}, .context = 3}), without({.in = 2, .out = 2});
  Passes<double> passes(with.network, 4, 0, Pass::evaluate), others(without.network, 4, 0, Pass::evaluate);
  const Matrix<double> x(2, 4);
  const auto refused = [&](const TestNetwork<double>& net, Passes<double>& state, Index rows, Index cols,
                           const std::string& part) {
    BOOST_CHECK_EXCEPTION(forward<double>(net, *state, x, Matrix<double>(rows, cols)), ShapeError, says({part}));
  };
  refused(with, passes, 0, 0,
          "network forward: a context (0 × 0) does not fit 4 samples of a network whose context "
          "has 3 values");
  refused(with, passes, 2, 4, "a context (2 × 4)");
  refused(with, passes, 3, 3, "a context (3 × 3)");
  refused(without, others, 3, 4, "whose context has 0 values");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
