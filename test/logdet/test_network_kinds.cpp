#include <pushforward/linalg/reference.hpp>
#include <pushforward/logdet/cost.hpp>

#include "moments.hpp"
#include "rates.hpp"
#include "trial.hpp"

#include <says.hpp>

#include <cmath>
#include <numeric>

namespace pushforward::test {

namespace {

using logdet::parse_method;
using nn::NetworkOptions;
using nn::Pass;

struct Kind {
  const char* name;
  NetworkOptions options;
};

// Contractions of 6 or 8 dimensions that are not plain, and one that is.
std::vector<Kind> kinds() {
  return {
      {"convolutional",
       {.in = 8, .out = 8, .hidden = {3, 2}, .lipschitz = 0.8, .height = 2, .width = 2, .kernels = {3, 1, 3}}},
      {"convolutional with a context",
       {.in = 6, .out = 6, .hidden = {4}, .lipschitz = 0.8, .context = 2, .height = 2, .width = 3, .kernels = {3, 3}}},
      {"one convolution", {.in = 6, .out = 6, .hidden = {}, .lipschitz = 0.8, .height = 6, .width = 1, .kernels = {3}}},
      {"angles", {.in = 6, .out = 6, .hidden = {9, 7}, .lipschitz = 0.8, .periodic = {0, 3, 5}}},
      {"a linear map of angles with a context",
       {.in = 6, .out = 6, .hidden = {}, .lipschitz = 0.8, .context = 1, .periodic = {1, 2}}},
      {"a context", {.in = 6, .out = 6, .hidden = {9, 7}, .lipschitz = 0.8, .context = 2}},
  };
}

// A network whose weights stand as they are, so that gradients with respect to effective weights are those.
TestNetwork<double> folded(const NetworkOptions& options) {
  TestNetwork<double> net(options);
  net.network.bake_normalization(net.parameters);
  net.prepare(nn::Normalization::stored);
  return net;
}

Matrix<double> contexts(const NetworkOptions& options, Index n) {
  return options.context > 0 ? random_matrix<double>(options.context, n, 62) : Matrix<double>();
}

// log|det(I + J)| of one sample, J by central differences of fourth order.
double difference_log_det(const TestNetwork<double>& net, ConstMatrixView<double> x, ConstMatrixView<double> context) {
  constexpr double h = 1e-3;
  const Index d = x.rows();
  Matrix<double> sum(d, d);
  Passes<double> passes(net.network, 1, 0, Pass::evaluate);
  const auto at = [&](Index j, double shift) {
    Matrix<double> moved(x), y(d, 1);
    moved(j, 0) += shift;
    net.network.forward(*passes, moved, y, context);
    return y;
  };
  for (Index j = 0; j < d; ++j) {
    const auto right = at(j, h), left = at(j, -h), far_right = at(j, 2 * h), far_left = at(j, -2 * h);
    for (Index i = 0; i < d; ++i) {
      sum(i, j) = (8 * (right(i, 0) - left(i, 0)) - (far_right(i, 0) - far_left(i, 0))) / (12 * h) + (i == j);
    }
  }
  return linalg::reference::log_det<double>(sum).log_abs;
}

template <class F>
void for_each_kind(F&& f) {
  for (const auto& kind : kinds()) {
    BOOST_TEST_CONTEXT(kind.name) {
      f(kind.options);
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(network_kinds)

BOOST_AUTO_TEST_CASE(exact_values_are_those_of_central_differences) {
  for_each_kind([](const NetworkOptions& options) {
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(options.in, 3, 61), context = contexts(options, 3);
    for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
      Trial<double> trial(net, x, "exact", pass, context);
      trial.estimate({});
      for (Index i = 0; i < 3; ++i) {
        const auto mine = options.context > 0 ? context.view().columns(i, 1) : ConstMatrixView<double>();
        const double expected = difference_log_det(net, x.view().columns(i, 1), mine);
        const double value = trial.value[i];
        BOOST_TEST(close_absolute(value, expected, 1e-9));
        BOOST_TEST(!close_absolute(1.01 * value, expected, 1e-9));
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(exact_gradients_pass_taylors_test) {
  for_each_kind([](const NetworkOptions& options) {
    auto net = folded(options);
    const auto x = random_matrix<double>(options.in, 2, 61), context = contexts(options, 2);
    Trial<double> trial(net, x, "exact", Pass::gradient, context);
    const std::vector<double> none{}, parameters = net.parameters;
    const auto gradient = trial.gradient({}, none);
    const auto f = [&](std::span<const double> at) {
      net.network.prepare(at.first(parameters.size()), nn::Normalization::stored);
      const auto moved = at.subspan(parameters.size());
      Trial<double> value(net, Matrix<double>(ConstMatrixView<double>(moved.data(), options.in, 2)), "exact",
                          Pass::evaluate, context);
      value.estimate({});
      return value.value[0] + value.value[1];
    };
    auto at = parameters;
    at.insert(at.end(), x.span().begin(), x.span().end());
    const std::span<const double> claimed(gradient);
    BOOST_TEST(is_gradient<double>(f, at, claimed, taylor_scale<double>()));
    BOOST_TEST(!is_gradient<double>(f, at, one_percent_off(claimed), taylor_scale<double>()));
  });
}

BOOST_AUTO_TEST_CASE(a_long_series_of_dense_powers_is_the_exact_value_and_gradient) {
  for_each_kind([](const NetworkOptions& options) {
    const auto net = folded(options);
    const auto x = random_matrix<double>(options.in, 3, 61), context = contexts(options, 3);
    const std::vector<double> weight{1, 0.5, 2};
    Trial<double> exact(net, x, "exact", Pass::gradient, context);
    Trial<double> series(net, x, "series:120,trace=exact", Pass::gradient, context);
    const auto expected = exact.gradient({}, weight);
    auto actual = series.gradient({}, weight);
    BOOST_TEST(close_absolute(series.value, exact.value, 1e-9));
    BOOST_TEST(close_relative(actual, expected, 1e-9));
    for (double& value : actual) value *= 1.01;
    BOOST_TEST(!close_relative(actual, expected, 1e-9));
  });
}

BOOST_AUTO_TEST_CASE(means_of_probes_are_the_exact_value) {
  for_each_kind([](const NetworkOptions& options) {
    const TestNetwork<double> net(options);
    const Index n = 3000;
    auto x = random_matrix<double>(options.in, n, 61), context = contexts(options, n);
    for (Index j = 1; j < n; ++j) {
      std::copy_n(x.data(), options.in, x.view().column(j));
      std::copy_n(context.data(), options.context, context.view().column(j));
    }
    Trial<double> exact(net, Matrix<double>(x.view().columns(0, 1)), "exact", Pass::evaluate,
                        options.context > 0 ? Matrix<double>(context.view().columns(0, 1)) : Matrix<double>());
    exact.estimate({});
    for (const char* const method : {"krylov:6", "series:40", "roulette:p=0.2"}) {
      Trial<double> trial(net, x, method, Pass::evaluate, context);
      trial.estimate({.seed = 63});
      const auto m = moments(trial.value);
      const double bias = logdet::truncation_bound(options.in, 0.8, 40);
      // Six steps are all that there is in six dimensions, and nearly in eight.
      BOOST_TEST(agrees(m, exact.value[0], bias + (options.in > 6 ? 1e-3 : 0)),
                 method << ": " << m.mean << " ± " << m.error << ", exact " << exact.value[0]);
      BOOST_TEST(!agrees(m, exact.value[0] + 10 * m.error, 0));
    }
  });
}

BOOST_AUTO_TEST_CASE(mean_gradients_of_probes_are_the_exact_gradient) {
  for_each_kind([](const NetworkOptions& options) {
    const auto net = folded(options);
    const auto x = random_matrix<double>(options.in, 4, 61), context = contexts(options, 4);
    const std::vector<double> none{};
    Trial<double> exact(net, x, "exact", Pass::gradient, context);
    const auto expected = exact.gradient({}, none);
    const auto direction = random_vector<double>(std::ssize(expected), 64);
    const auto along = [&](const std::vector<double>& g) {
      return std::inner_product(g.begin(), g.end(), direction.begin(), 0.0);
    };
    for (const auto& method : {fmt::format("krylov:{}", options.in), std::string("series:60")}) {
      Trial<double> trial(net, x, method, Pass::gradient, context);
      std::vector<double> values;
      for (std::uint64_t step = 0; step < 800; ++step) {
        values.push_back(along(trial.gradient({.seed = 65, .step = step}, none)));
      }
      const auto m = moments(values);
      BOOST_TEST(agrees(m, along(expected), 1e-4), method);
      BOOST_TEST(!agrees(m, along(expected) + 10 * m.error, 1e-4));
    }
  });
}

BOOST_AUTO_TEST_CASE(what_needs_dense_weights_is_refused_with_a_hint) {
  for_each_kind([](const NetworkOptions& options) {
    const auto refused = [&](const char* method, const char* hint) {
      BOOST_CHECK_EXCEPTION(logdet::make_estimator<double>(parse_method(method), options), OptionError,
                            says({method, "dense networks", hint}));
    };
    const auto accepted = [&](const char* method) {
      BOOST_CHECK_NO_THROW(logdet::make_estimator<double>(parse_method(method), options));
    };
    if (options.is_plain()) return accepted("trace+krylov:3");
    refused("trace+krylov:3", "use krylov or exact");
    refused("exact:through=narrowest", "use exact");
    for (const char* const method : {"exact", "exact:through=input", "krylov:3", "series:4,trace=exact", "roulette"}) {
      accepted(method);
    }
    BOOST_TEST(!logdet::exact_through({}, options).has_value());
  });
}

BOOST_AUTO_TEST_CASE(auto_is_exact_or_krylov_where_there_is_no_exact_trace) {
  const logdet::Rates rates{.gemm = 50, .lu = 5};
  const auto chosen = [&](const NetworkOptions& network, Pass pass) {
    return to_string(choose_method(parse_method("auto"), network, rates, pass));
  };
  for_each_kind([&](const NetworkOptions& options) { BOOST_TEST(chosen(options, Pass::gradient) == "exact"); });
  const NetworkOptions image{
      .in = 768, .out = 768, .hidden = {16, 16}, .height = 16, .width = 16, .kernels = {3, 1, 3}};
  BOOST_TEST(chosen(image, Pass::gradient) == "krylov:tol=0.1");
  BOOST_TEST(chosen(image, Pass::evaluate) == "krylov:6");
  // A narrow layer does not help where it cannot be gone through.
  const NetworkOptions narrow{.in = 512, .out = 512, .hidden = {512, 8}, .periodic = {0}};
  BOOST_TEST(chosen(narrow, Pass::gradient) == "krylov:tol=0.1");
  for (const auto& network : {image, narrow}) {
    const auto measured = logdet::measure_rates<float>(network, 10);
    BOOST_TEST((is_rate(measured.gemm) && is_rate(measured.lu)));
  }
}

BOOST_AUTO_TEST_CASE(operations_are_those_of_the_products) {
  // 4 pixels: patches of 9·2 into 3 channels, of 3 into 2.
  const NetworkOptions image{.in = 8, .out = 8, .hidden = {3}, .height = 2, .width = 2, .kernels = {3, 1}};
  BOOST_TEST(logdet::product_flops(image) == 2 * 4 * (18 * 3 + 3 * 2));
  BOOST_TEST(logdet::exact_flops_through_input(image, Pass::evaluate).gemm == 8 * 2 * 4 * 3 * 2);
  const NetworkOptions angles{.in = 4, .out = 4, .hidden = {5}, .periodic = {1, 2}};
  BOOST_TEST(logdet::product_flops(angles) == 2 * (6 * 5 + 5 * 4));
  for (const auto& network : {image, angles}) {
    const TestNetwork<double> net(network);
    double flops = 0;
    for (const auto& layer : net.network.layers()) flops += layer->flops(1);
    BOOST_TEST(logdet::product_flops(network) == flops);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
