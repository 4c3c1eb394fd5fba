#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/dense.hpp>

#include "taylor.hpp"

namespace pushforward::test {

namespace {

using nn::DenseLayer;
using nn::Normalization;
using nn::ParameterLayout;
using nn::PowerIteration;

random::Stream start() {
  return {1, random::Purpose::power_start};
}

template <class T>
double largest_singular_value(ConstMatrixView<T> a) {
  return static_cast<double>(linalg::singular_values(a).front());
}

// A layer 5 → 7 with random parameters of the given size.
template <class T>
struct Layer {
  explicit Layer(double scale, double bound = 0.8)
      : dense(layout, "layer", 5, 7, static_cast<T>(bound), start()),
        parameters(random_vector<T>(layout.size(), 3, scale)) {}

  ConstMatrixView<T> weight() const { return {parameters.data(), 7, 5}; }
  // Power iteration until it no longer moves.
  void settle() {
    for (int i = 0; i < 500; ++i) dense.prepare(parameters, Normalization::power_iteration);
  }

  ParameterLayout layout;
  DenseLayer<T> dense;
  std::vector<T> parameters;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(parameters)

BOOST_AUTO_TEST_CASE(blocks_lie_one_after_the_other) {
  ParameterLayout layout;
  BOOST_TEST(layout.size() == 0);
  BOOST_TEST(layout.add("a", 2, 3) == 0);
  BOOST_TEST(layout.add("b", 4) == 1);
  BOOST_TEST(layout.size() == 10);
  std::vector<double> buffer(10);
  const auto b = nn::block_view(layout, 1, std::span(buffer));
  BOOST_TEST(b.data() == buffer.data() + 6);
  BOOST_TEST(b.rows() == 4);
  BOOST_TEST(b.cols() == 1);
  BOOST_CHECK_EXCEPTION(layout.add("a", 1), BugError, says({"parameter 'a' is declared twice"}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(power_iteration)

BOOST_AUTO_TEST_CASE_TEMPLATE(settles_on_the_largest_singular_value, T, Precisions) {
  const Index sizes[][2] = {{1, 1}, {1, 6}, {6, 1}, {7, 5}, {5, 7}, {48, 48}};
  for (const auto& [m, n] : sizes) {
    const auto w = random_matrix<T>(m, n, 4);
    PowerIteration<T> power(m, n, start());
    T sigma = 0;
    for (int i = 0; i < 100; ++i) sigma = power.update(w, T(0), 100);
    BOOST_TEST(close_relative(static_cast<double>(sigma), largest_singular_value<T>(w), 20 * gamma<T>(m + n)));
    BOOST_TEST(sigma == power.sigma());
    BOOST_TEST(close_relative(frobenius<T>({power.left().data(), m, 1}), 1, gamma<T>(2 * m + 4)));
    BOOST_TEST(close_relative(frobenius<T>({power.right().data(), n, 1}), 1, gamma<T>(2 * n + 4)));
    // σ = uᵀ w v.
    const auto wv = product<T>(w, ConstMatrixView<T>(power.right().data(), n, 1));
    BOOST_TEST(close_relative(static_cast<double>(product<T>(ConstMatrixView<T>(power.left().data(), 1, m), wv)(0, 0)),
                              static_cast<double>(sigma), gamma<T>(4 * (m + n))));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(is_a_lower_bound_however_early_it_stops, T, Precisions) {
  // Singular values 1, 1 − 10⁻⁴, 1 − 2·10⁻⁴, …: power iteration gets nowhere near the vectors.
  const auto clustered =
      matrix_of<T>(20, 20, [](Index i, Index j) { return i == j ? 1 - 1e-4 * static_cast<double>(i) : 0; });
  for (const int iterations : {1, 2, 5, 100}) {
    PowerIteration<T> power(20, 20, start());
    const auto sigma = static_cast<double>(power.update(clustered, T(0), iterations));
    BOOST_TEST(sigma <= 1 + gamma<T>(40));
    BOOST_TEST(sigma > 0.99);
  }
  for (std::uint64_t seed = 10; seed < 20; ++seed) {
    const auto w = random_matrix<T>(9, 6, seed);
    PowerIteration<T> power(9, 6, start());
    BOOST_TEST(static_cast<double>(power.update(w, T(0.1), 3)) <= largest_singular_value<T>(w) * (1 + gamma<T>(60)));
  }
}

BOOST_AUTO_TEST_CASE(stops_at_its_tolerance_and_goes_on_from_there) {
  const auto w = random_matrix<double>(30, 30, 5);
  const double exact = largest_singular_value<double>(w);
  PowerIteration<double> coarse(30, 30, start()), fine(30, 30, start());
  const double first = coarse.update(w, 0.05, 100);
  BOOST_TEST(fine.update(w, 1e-12, 10000) > first);
  double sigma = first;
  for (int i = 0; i < 2000; ++i) sigma = coarse.update(w, 0.05, 100);
  BOOST_TEST(close_relative(sigma, exact, 1e-9));
}

// Iterations by hand, from the vectors that it starts with: as many as its tolerance wants, or as it may take.
BOOST_AUTO_TEST_CASE(an_iteration_that_is_cut_short_is_that_many_iterations) {
  const Index m = 6, n = 4;
  const auto w = random_matrix<double>(m, n, 7);
  const auto by_hand = [&](double tolerance, int most) {
    PowerIteration<double> power(m, n, start());
    Matrix<double> u(ConstMatrixView<double>(power.left().data(), m, 1)), v(n, 1);
    double sigma = 0, before = 0;
    int taken = 0;
    do {
      const auto unit = [](Matrix<double> x) {
        const double norm = frobenius<double>(x);
        for (double& value : x.span()) value /= norm;
        return std::pair(x, norm);
      };
      v = unit(product<double>(w, u, linalg::Op::transpose)).first;
      before = sigma;
      std::tie(u, sigma) = unit(product<double>(w, v));
    } while (++taken < most && std::abs(sigma - before) > tolerance * sigma);
    return std::tuple(u, v, sigma, taken);
  };
  const auto agrees = [&](double tolerance, int most, int by_hand_most) {
    PowerIteration<double> power(m, n, start());
    const auto [u, v, sigma, taken] = by_hand(tolerance, by_hand_most);
    return close_relative(power.update(w, tolerance, most), sigma, 1e-12) &&
           close_relative(power.sigma(), sigma, 1e-12) && close_absolute(power.left(), u.span(), 1e-12) &&
           close_absolute(power.right(), v.span(), 1e-12);
  };
  const int enough = std::get<3>(by_hand(1e-4, 100));
  BOOST_TEST(enough > 3);
  BOOST_TEST(enough < 100);
  for (const int most : {1, 2, 3, enough - 1, enough, 100}) BOOST_TEST(agrees(1e-4, most, most), most);
  // The twins: one iteration more, and one less.
  for (const int most : {2, 3, enough - 1}) {
    BOOST_TEST(!agrees(1e-4, most, most + 1), most);
    BOOST_TEST(!agrees(1e-4, most, most - 1), most);
  }
}

BOOST_AUTO_TEST_CASE(a_matrix_of_zeros_leaves_the_vectors_as_they_were) {
  const auto w = random_matrix<double>(4, 3, 6);
  PowerIteration<double> power(4, 3, start());
  power.update(w, 1e-3, 100);
  const std::vector<double> left(power.left().begin(), power.left().end());
  BOOST_TEST(power.update(Matrix<double>(4, 3), 1e-3, 100) == 0);
  BOOST_TEST(power.sigma() == 0);
  BOOST_TEST(close_absolute(power.left(), left, 0));
  BOOST_TEST(power.update(w, 1e-3, 100) > 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(dense)

BOOST_AUTO_TEST_CASE_TEMPLATE(a_large_weight_is_shrunk_to_the_bound, T, Precisions) {
  Layer<T> layer(1);
  const double sigma = largest_singular_value<T>(layer.weight());
  BOOST_TEST(sigma > 0.8);
  layer.dense.prepare(layer.parameters, Normalization::svd);
  BOOST_TEST(layer.dense.norm() == T(0.8));
  BOOST_TEST(largest_singular_value<T>(layer.dense.weight()) <= 0.8 * (1 + gamma<T>(60)));
  const auto expected =
      matrix_of<T>(7, 5, [&](Index i, Index j) { return 0.8 / sigma * double(layer.weight()(i, j)); });
  BOOST_TEST(close_relative(layer.dense.weight(), expected.view(), gamma<T>(60)));
  layer.settle();
  BOOST_TEST(close_relative(layer.dense.weight(), expected.view(), 10 * gamma<T>(60)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_small_weight_is_left_alone, T, Precisions) {
  Layer<T> layer(0.01);
  for (const auto mode : {Normalization::power_iteration, Normalization::svd, Normalization::stored}) {
    layer.dense.prepare(layer.parameters, mode);
    BOOST_TEST(close_absolute(layer.dense.weight(), layer.weight(), 0));
    BOOST_TEST(static_cast<double>(layer.dense.norm()) <=
               largest_singular_value<T>(layer.weight()) * (1 + gamma<T>(60)));
    BOOST_TEST(close_absolute(layer.dense.bias(), std::span<const T>(layer.parameters).subspan(35), 0));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(stored_weights_are_left_as_they_are, T, Precisions) {
  Layer<T> layer(1);
  layer.dense.prepare(layer.parameters, Normalization::stored);
  BOOST_TEST(close_absolute(layer.dense.weight(), layer.weight(), 0));
  BOOST_TEST(static_cast<double>(layer.dense.norm()) == largest_singular_value<T>(layer.weight()));
  // So their gradient is the parameters' own.
  const auto before = random_vector<T>(layer.layout.size(), 7);
  auto gradient = before;
  layer.dense.gradient_of_raw_parameters(gradient);
  BOOST_TEST(gradient == before);
}

BOOST_AUTO_TEST_CASE(a_free_layer_is_not_normalized) {
  Layer<double> layer(3, std::numeric_limits<double>::infinity());
  for (const auto mode : {Normalization::power_iteration, Normalization::svd}) {
    layer.dense.prepare(layer.parameters, mode);
    BOOST_TEST(close_absolute(layer.dense.weight(), layer.weight(), 0));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(folding_again_changes_nothing, T, Precisions) {
  Layer<T> layer(1);
  const auto bake = [&] {
    layer.dense.prepare(layer.parameters, Normalization::svd);
    layer.dense.bake_normalization(layer.parameters);
  };
  bake();
  const auto folded = layer.parameters;
  BOOST_TEST(close_absolute(layer.weight(), layer.dense.weight(), 0));
  bake();
  BOOST_TEST(close_relative(std::span<const T>(layer.parameters), std::span<const T>(folded), gamma<T>(60)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(the_gradient_goes_through_the_norm, T, Precisions) {
  for (const double scale : {1.0, 0.01}) {
    Layer<T> layer(scale);
    Layer<double> exact(scale);
    layer.settle();
    const auto seed = random_matrix<double>(7, 5, 8);
    // f = ⟨seed, Ŵ(W)⟩.
    const auto f = [&](std::span<const double> weight) {
      std::copy(weight.begin(), weight.end(), exact.parameters.begin());
      exact.dense.prepare(exact.parameters, Normalization::svd);
      return linalg::dot(seed.span(), std::span<const double>(exact.dense.weight().data(), 35));
    };
    std::vector<T> gradient(layer.parameters.size());
    std::copy(seed.span().begin(), seed.span().end(), layer.dense.weight_gradient(gradient).data());
    layer.dense.gradient_of_raw_parameters(gradient);
    const std::vector<double> at(layer.parameters.begin(), layer.parameters.begin() + 35);
    const auto claimed = std::span<const T>(gradient).first(35);
    auto lines = taylor_scale<T>();
    lines.h *= scale;  // W must not reach its bound along the line
    BOOST_TEST(is_gradient<T>(f, at, claimed, lines));
    BOOST_TEST(!is_gradient<T>(f, at, one_percent_off(claimed), lines));
  }
}

BOOST_AUTO_TEST_CASE(the_gradient_through_the_norm_is_the_same_after_an_svd) {
  Layer<double> iterated(1), decomposed(1);
  for (int i = 0; i < 200; ++i) iterated.dense.prepare(iterated.parameters, Normalization::power_iteration);
  decomposed.dense.prepare(decomposed.parameters, Normalization::svd);
  std::vector<double> first(iterated.parameters.size(), 1.0), second = first, untouched = first;
  iterated.dense.gradient_of_raw_parameters(first);
  decomposed.dense.gradient_of_raw_parameters(second);
  BOOST_TEST(close_relative(second, first, 1e-6));
  BOOST_TEST(!close_relative(untouched, first, 1e-6));
}

BOOST_AUTO_TEST_CASE(initial_weights_have_variance_one_over_in) {
  ParameterLayout layout;
  const DenseLayer<double> layer(layout, "layer", 100, 50, 0.9, start());
  std::vector<double> parameters(layout.size(), 7);
  random::Stream stream(1, random::Purpose::parameters);
  layer.initialize(parameters, stream, false);
  const double square = std::pow(frobenius<double>({parameters.data(), 50, 100}), 2);
  BOOST_TEST(close_relative(square / 50, 1, 0.1));  // 5000 squares: standard deviation 2 %
  for (std::size_t i = 5000; i < parameters.size(); ++i) BOOST_TEST(std::abs(parameters[i]) <= 0.1);
  layer.initialize(parameters, stream, true);
  BOOST_TEST(parameters == std::vector<double>(parameters.size()));
}

BOOST_AUTO_TEST_CASE(sizes_and_bounds_that_make_no_layer_are_refused) {
  ParameterLayout layout;
  const auto make = [&](Index in, Index out, double bound) {
    DenseLayer<double>(layout, "here", in, out, bound, start());
  };
  BOOST_CHECK_EXCEPTION(make(0, 3, 1), ShapeError, says({"dense layer here: sizes 0 → 3 must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make(3, 0, 1), ShapeError, says({"sizes 3 → 0"}));
  BOOST_CHECK_EXCEPTION(make(3, 3, 0), OptionError, says({"dense layer here: Lipschitz bound 0 must be positive"}));
  BOOST_CHECK_EXCEPTION(make(3, 3, nan_of<double>), OptionError, says({"Lipschitz bound nan"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
