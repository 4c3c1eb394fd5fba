#include <pushforward/core/timer.hpp>
#include <pushforward/logdet/cost.hpp>

#include "trial.hpp"

#include <says.hpp>

namespace pushforward::test {

namespace {

using nn::NetworkOptions;
using nn::Pass;

constexpr const char* through_input = "exact:through=input";
constexpr const char* through_narrowest = "exact:through=narrowest";
constexpr Index d = 5;

// A walk of each form: from the first, a middle and the last hidden layer, with joined ends and without.
struct Shape {
  std::vector<Index> hidden;
  Index narrowest;
  bool joined;
};
const std::vector<Shape> shapes{{{3}, 0, true},         {{7}, 0, true},          {{12}, 0, true},
                                {{8, 3}, 1, true},      {{3, 8}, 0, true},       {{9, 9}, 0, true},
                                {{12, 12}, 0, false},   {{16, 11}, 1, true},     {{8, 3, 6}, 1, true},
                                {{6, 8, 3}, 2, true},   {{16, 3, 12}, 1, false}, {{11, 16, 12}, 0, false},
                                {{12, 16, 11}, 2, true}};

NetworkOptions options_of(const Shape& shape, const std::string& activation, double lipschitz = 0.9) {
  return {.in = d, .out = d, .hidden = shape.hidden, .activation = activation, .lipschitz = lipschitz};
}

// f(options, shape) for all shapes and both kinds of activations, with β and without.
template <class F>
void for_each_network(F&& f) {
  for (const auto activation : {"lipswish", "tanh"}) {
    for (const auto& shape : shapes) {
      BOOST_TEST_CONTEXT(activation << ", hidden " << fmt::format("{}", fmt::join(shape.hidden, " "))) {
        f(options_of(shape, activation), shape);
      }
    }
  }
}

// Gradients agree block by block, so that those of β are not lost among those of weights. Behind the blocks is x.
Verdict close_by_block(const nn::ParameterLayout& layout, std::span<const double> actual,
                       std::span<const double> expected, double tolerance) {
  const auto compare = [&](std::size_t at, std::size_t size, const std::string& name) {
    Verdict verdict = close_relative(actual.subspan(at, size), expected.subspan(at, size), tolerance);
    if (!verdict) verdict.message() << ", in " << name;
    return verdict;
  };
  for (const auto& block : layout.blocks()) {
    const auto verdict = compare(std::size_t(block.offset), std::size_t(block.size()), block.name);
    if (!verdict) return verdict;
  }
  return compare(std::size_t(layout.size()), expected.size() - std::size_t(layout.size()), "x");
}

// Counted by the profile while f runs.
template <class F>
logdet::Flops flops_of(F&& f) {
  const auto counted = [] {
    return logdet::Flops{profile()[Phase::tangents].flops + profile()[Phase::reverse].flops,
                         profile()[Phase::lu].flops};
  };
  const auto before = counted();
  f();
  const auto after = counted();
  return {after.gemm - before.gemm, after.lu - before.lu};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(narrow)

BOOST_AUTO_TEST_CASE(the_shapes_are_walks_of_each_form) {
  for (const auto& shape : shapes) {
    const auto options = options_of(shape, "tanh");
    BOOST_TEST(logdet::narrowest_hidden(options).value() == shape.narrowest);
    BOOST_TEST(logdet::joins_ends(options, shape.narrowest) == shape.joined);
  }
}

BOOST_AUTO_TEST_CASE(values_are_those_through_the_input) {
  double largest = 0;
  for_each_network([&](const NetworkOptions& options, const Shape& shape) {
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(d, 4, 71);
    Trial<double> expected(net, x, through_input, Pass::evaluate);
    expected.estimate({});
    for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
      Trial<double> trial(net, x, through_narrowest, pass);
      trial.estimate({});
      BOOST_TEST(close_absolute(trial.value, std::span<const double>(expected.value), 1e-11));
      BOOST_TEST((trial.sign == expected.sign));
      for (std::size_t i = 0; i < 4; ++i) {
        BOOST_TEST(trial.variance[i] == 0);
        BOOST_TEST(trial.products[i] == shape.hidden[std::size_t(shape.narrowest)]);
        largest = std::max(largest, std::abs(trial.value[i]));
      }
    }
  });
  BOOST_TEST(largest > 0.1);
}

// Beyond a contraction there are determinants of either sign.
BOOST_AUTO_TEST_CASE(signs_are_those_through_the_input) {
  Index negative = 0, all = 0;
  for (const auto& shape : shapes) {
    const TestNetwork<double> net(options_of(shape, "tanh", std::numeric_limits<double>::infinity()), 1.5);
    const auto x = random_matrix<double>(d, 20, 72);
    Trial<double> expected(net, x, through_input, Pass::evaluate);
    Trial<double> trial(net, x, through_narrowest, Pass::evaluate);
    expected.estimate({});
    trial.estimate({});
    BOOST_TEST((trial.sign == expected.sign));
    BOOST_TEST(close_absolute(trial.value, std::span<const double>(expected.value), 1e-8));
    all += std::ssize(trial.sign);
    negative += std::count(trial.sign.begin(), trial.sign.end(), linalg::Sign(-1));
  }
  BOOST_TEST((negative > all / 10 && negative < all * 9 / 10));
}

BOOST_AUTO_TEST_CASE(gradients_are_those_through_the_input) {
  const std::vector<double> weight{1, 0, 2, 0.5}, none{};
  for_each_network([&](const NetworkOptions& options, const Shape&) {
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(d, 4, 73);
    Trial<double> input(net, x, through_input, Pass::gradient), trial(net, x, through_narrowest, Pass::gradient);
    for (const auto& w : {weight, none}) {
      const auto expected = input.gradient({}, w), actual = trial.gradient({}, w);
      BOOST_TEST(close_by_block(net.layout, actual, expected, 1e-9));
      BOOST_TEST(!close_by_block(net.layout, one_percent_off<double>(actual), expected, 1e-9));
      // Nothing is left behind from one pass to the next.
      BOOST_TEST((trial.gradient({}, w) == actual));
    }
    BOOST_TEST(!close_by_block(net.layout, trial.gradient({}, none), input.gradient({}, weight), 1e-9));
  });
}

BOOST_AUTO_TEST_CASE(gradients_are_added_to_what_is_there) {
  for_each_network([&](const NetworkOptions& options, const Shape&) {
    const TestNetwork<double> net(options);
    Trial<double> trial(net, random_matrix<double>(d, 4, 73), through_narrowest, Pass::gradient);
    std::vector<double> from_zero(net.parameters.size()), from_one(net.parameters.size(), 1.0);
    for (auto* const gradient : {&from_zero, &from_one}) {
      trial.estimate({});
      trial.estimator->add_to_reverse(net.network, *trial.passes, *trial.state, {}, *gradient);
    }
    for (double& value : from_one) value -= 1;
    BOOST_TEST(close_absolute(from_one, std::span<const double>(from_zero), 1e-14));
  });
}

// As far as sums of a hundred terms let it; twenty would do.
BOOST_AUTO_TEST_CASE(float_agrees_with_double) {
  const std::vector<double> weight{1, 0, 2, 0.5};
  const std::vector<float> float_weight(weight.begin(), weight.end());
  for_each_network([&](const NetworkOptions& options, const Shape&) {
    const TestNetwork<double> exact(options);
    const TestNetwork<float> net(options);
    const auto x = random_matrix<float>(d, 4, 73);
    Trial<double> double_trial(exact, converted<double>(x), through_narrowest, Pass::gradient);
    Trial<float> trial(net, x, through_narrowest, Pass::gradient);
    const auto expected = double_trial.gradient({}, weight), actual = trial.gradient({}, float_weight);
    BOOST_TEST(close_absolute(trial.value, std::span<const double>(double_trial.value), gamma<float>(100)));
    const std::span<const double> a(actual), e(expected);
    const auto size = net.parameters.size();
    BOOST_TEST(close_relative(a.first(size), e.first(size), gamma<float>(100)));
    BOOST_TEST(close_relative(a.subspan(size), e.subspan(size), gamma<float>(100)));
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_pass_taylors_test, T, Precisions) {
  for_each_network([](const NetworkOptions& options, const Shape&) {
    TestNetwork<T> net(options);
    TestNetwork<double> exact(options);
    net.settle();
    const auto x = random_matrix<T>(d, 3, 74);
    const std::vector<double> weight{0.5, 2, 1};
    Trial<T> trial(net, x, through_narrowest, Pass::gradient);
    const auto gradient = trial.gradient({}, std::vector<T>(weight.begin(), weight.end()));
    std::vector<T> flat(gradient.begin(), gradient.begin() + net.layout.size());
    const std::vector<T> x_bar(gradient.begin() + net.layout.size(), gradient.end());
    net.network.gradient_of_raw_parameters(flat);

    const auto objective = [&](std::span<const double> parameters, const Matrix<double>& at) {
      exact.network.prepare(parameters, nn::Normalization::svd);
      Trial<double> value(exact, at, through_narrowest, Pass::evaluate);
      value.estimate({});
      double sum = 0;
      for (std::size_t i = 0; i < weight.size(); ++i) sum += weight[i] * value.value[i];
      return sum;
    };
    const std::vector<double> parameters(net.parameters.begin(), net.parameters.end());
    const auto at_x = converted<double>(x);
    const auto of_x = [&](std::span<const double> values) {
      return objective(parameters, Matrix<double>(ConstMatrixView<double>(values.data(), d, 3)));
    };
    const auto scale = taylor_scale<T>();
    BOOST_TEST(is_gradient<T>(of_x, at_x.span(), x_bar, scale));
    BOOST_TEST(!is_gradient<T>(of_x, at_x.span(), one_percent_off<T>(x_bar), scale));
    for (const auto& block : net.layout.blocks()) {
      const auto at = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
      const auto claimed = std::span<const T>(flat).subspan(at, size);
      const auto of_block = [&](std::span<const double> values) {
        auto moved = parameters;
        std::copy(values.begin(), values.end(), moved.begin() + block.offset);
        return objective(moved, at_x);
      };
      const auto here = std::span<const double>(parameters).subspan(at, size);
      BOOST_TEST(is_gradient<T>(of_block, here, claimed, scale), block.name);
      // The log-det knows nothing of the last bias: there is no gradient to be wrong by one per cent.
      const bool zero = std::all_of(claimed.begin(), claimed.end(), [](T value) { return value == 0; });
      BOOST_TEST(zero == (&block == &net.layout.blocks().back()));
      BOOST_TEST((zero || !is_gradient<T>(of_block, here, one_percent_off(claimed), scale)), block.name);
    }
  });
}

BOOST_AUTO_TEST_CASE(a_sample_does_not_depend_on_its_batch_mates) {
  for_each_network([](const NetworkOptions& options, const Shape&) {
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(d, 3, 75);
    Trial<double> all(net, x, through_narrowest, Pass::gradient);
    const auto together = all.gradient({}, {});
    std::vector<double> sum(together.size());
    for (Index i = 0; i < 3; ++i) {
      Trial<double> one(net, Matrix<double>(x.view().columns(i, 1)), through_narrowest, Pass::gradient);
      const auto alone = one.gradient({}, {});
      BOOST_TEST(close_absolute(one.value[0], all.value[i], 1e-12));
      for (Index k = 0; k < net.layout.size(); ++k) sum[std::size_t(k)] += alone[std::size_t(k)];
      std::copy_n(alone.begin() + net.layout.size(), d, sum.begin() + net.layout.size() + i * d);
    }
    BOOST_TEST(close_by_block(net.layout, together, sum, 1e-11));

    Trial<double> none(net, Matrix<double>(d, 0), through_narrowest, Pass::gradient);
    for (const double value : none.gradient({}, {})) BOOST_TEST(value == 0);
  });
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_singular_or_broken_sample_is_its_own_problem, T, Precisions) {
  // J = −2 e₁e₁ᵀ φ′, φ′(0) = 1/2 without its scale: I + J is singular where the sample is 0.
  TestNetwork<T> net({.in = 2,
                      .out = 2,
                      .hidden = {1},
                      .activation = "softplus",
                      .lipschitz = std::numeric_limits<double>::infinity()});
  net.parameters = {1, 0, 0, -2, 0, 0, 0};  // W₁, b₁, W₂, b₂
  net.prepare(nn::Normalization::svd);
  const auto at = matrix_of<T>(2, 3, [](Index i, Index j) { return i == 0 && j != 1 ? -1.0 : 0.0; });
  Trial<T> trial(net, at, through_narrowest, Pass::gradient);
  const auto gradient = trial.gradient({}, {});
  const auto x_bar = std::span<const double>(gradient).last(6);
  BOOST_TEST(int{trial.sign[1]} == 0);
  BOOST_TEST(trial.value[1] == -std::numeric_limits<double>::infinity());
  BOOST_TEST(std::isnan(x_bar[2]));
  // log(1 − 2σ(x)) at −1, and −2σ(1 − σ)/(1 − 2σ) along x₁.
  const double s = 1 / (1 + std::exp(1.0));
  for (const std::size_t i : {0, 2}) {
    BOOST_TEST(int{trial.sign[i]} == 1);
    BOOST_TEST(close_relative(trial.value[i], std::log(1 - 2 * s), gamma<T>(20)));
    BOOST_TEST(close_relative(x_bar[2 * i], -2 * s * (1 - s) / (1 - 2 * s), gamma<T>(20)));
    BOOST_TEST(x_bar[2 * i + 1] == 0);
  }

  for (const auto& shape : shapes) {
    const TestNetwork<T> other(options_of(shape, "lipswish"));
    auto x = random_matrix<T>(d, 3, 76);
    Trial<T> clean(other, x, through_narrowest, Pass::evaluate);
    x(1, 1) = nan_of<T>;
    Trial<T> broken(other, x, through_narrowest, Pass::evaluate);
    clean.estimate({});
    broken.estimate({});
    BOOST_TEST(int{broken.sign[1]} == 0);
    BOOST_TEST(std::isnan(broken.value[1]));
    for (const std::size_t i : {0, 2}) BOOST_TEST(close_absolute(broken.value[i], clean.value[i], gamma<T>(20)));
  }
}

// The operations counted are those of the cost model. In addition, P and its cotangent are formed once a batch.
BOOST_AUTO_TEST_CASE(operations_are_those_of_the_cost_model) {
  constexpr Index n = 4;
  for (const auto& shape : shapes) {
    const auto options = options_of(shape, "tanh");
    const TestNetwork<double> net(options);
    const auto x = random_matrix<double>(d, n, 77);
    const std::vector<double> none{};
    for (const Pass pass : {Pass::evaluate, Pass::gradient}) {
      Trial<double> trial(net, x, through_narrowest, pass);
      std::vector<double> gradient(net.parameters.size());
      net.network.forward(*trial.passes, trial.x, trial.y);
      const auto counted = flops_of([&] {
        trial.estimator->estimate(net.network, *trial.passes, *trial.state, {},
                                  {trial.value, trial.variance, trial.sign, trial.products});
        if (pass == Pass::evaluate) return;
        trial.estimator->add_to_reverse(net.network, *trial.passes, *trial.state, none, gradient);
      });
      auto expected = logdet::exact_flops_through_hidden(options, shape.narrowest, pass);
      const double joined = shape.joined ? linalg::gemm_flops(shape.hidden.front(), shape.hidden.back(), d) : 0;
      expected.gemm = n * expected.gemm + (pass == Pass::gradient ? 3 : 1) * joined;
      BOOST_TEST(close_absolute(counted.gemm, expected.gemm, 1e-9 * expected.gemm));
      BOOST_TEST(close_relative(counted.lu, n * expected.lu, 1e-9));
    }
    Trial<double> input(net, x, through_input, Pass::evaluate);
    net.network.forward(*input.passes, input.x, input.y);
    const auto counted = flops_of([&] {
      input.estimator->estimate(net.network, *input.passes, *input.state, {},
                                {input.value, input.variance, input.sign, input.products});
    });
    const auto expected = logdet::exact_flops_through_input(options, Pass::evaluate);
    BOOST_TEST(close_relative(counted.gemm, n * expected.gemm, 1e-9));
    BOOST_TEST(close_relative(counted.lu, n * expected.lu, 1e-9));
  }
}

BOOST_AUTO_TEST_CASE(exact_takes_the_cheaper_way_and_says_what_it_was_told) {
  const auto tangents = [](const std::string& text, std::vector<Index> hidden) {
    const TestNetwork<double> net({.in = 32, .out = 32, .hidden = std::move(hidden)});
    const auto estimator = logdet::make_estimator<double>(logdet::parse_method(text), net.network.options());
    BOOST_TEST(to_string(estimator->method()) == text);
    BOOST_TEST(estimator->bias_bound(32, 0.9) == 0);
    return estimator->tangents(net.network);
  };
  // The way through a hidden layer wants no tangents of the network's state.
  BOOST_TEST(tangents("exact", {64, 8}) == 0);
  BOOST_TEST(tangents("exact", {64, 64}) == 32);
  BOOST_TEST(tangents("exact", {}) == 32);
  BOOST_TEST(tangents(through_input, {64, 8}) == 32);
  BOOST_TEST(tangents(through_narrowest, {64, 64}) == 0);
  BOOST_CHECK_EXCEPTION(tangents(through_narrowest, {}), OptionError,
                        says({through_narrowest, "no hidden layer to go through"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
