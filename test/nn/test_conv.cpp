#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/parameters.hpp>

#include "reference_convolution.hpp"
#include "taylor.hpp"

namespace pushforward::test {

namespace {

using nn::ConvLayer;
using nn::ConvSize;
using nn::Normalization;
using nn::ParameterLayout;

constexpr double infinity = std::numeric_limits<double>::infinity();

random::Stream start() {
  return {1, random::Purpose::power_start};
}

// A layer with random parameters, its map as it is unless there is a bound.
template <class T>
struct Layer {
  explicit Layer(const ConvSize& of, double bound = infinity, double scale = 1)
      : size(of),
        conv(layout, "layer", of, static_cast<T>(bound), start()),
        parameters(random_vector<T>(layout.size(), 3, scale)),
        scratch(static_cast<std::size_t>(conv.scratch())) {
    conv.prepare(parameters, Normalization::power_iteration);
  }

  ConstMatrixView<T> weight() const { return {parameters.data(), size.channels, size.patch()}; }
  Index weights() const { return weight().size(); }
  Matrix<T> effective() {
    auto folded = parameters;
    conv.bake_normalization(folded);
    return Matrix<T>(ConstMatrixView<T>(folded.data(), size.channels, size.patch()));
  }
  void settle() {
    for (int i = 0; i < 500; ++i) conv.prepare(parameters, Normalization::power_iteration);
  }

  ConvSize size;
  ParameterLayout layout;
  ConvLayer<T> conv;
  std::vector<T> parameters, scratch;
};

// Images and kernels of many sizes, where something is left of the image.
template <class F>
void for_each_size(F&& f) {
  for (const Shape& image : {Shape{1, 1, 1}, {3, 4, 2}, {5, 5, 3}, {1, 6, 1}}) {
    for (const auto& [h, w] : {std::pair<Index, Index>{1, 1}, {2, 3}, {3, 1}, {5, 5}}) {
      for (const Index pad_h : {0, 1, 2}) {
        for (const Index pad_w : {0, 2}) {
          for (const Index channels : {1, 4}) {
            const ConvSize size{image, channels, h, w, pad_h, pad_w};
            if (size.output().height < 1 || size.output().width < 1) continue;
            BOOST_TEST_CONTEXT(to_string(image) << " to " << to_string(size.output()) << ", kernel " << h << " × " << w
                                                << ", padding " << pad_h << ", " << pad_w) {
              f(size);
            }
          }
        }
      }
    }
  }
}

const ConvSize image_of_many_chunks{{12, 12, 2}, 3, 3, 3, 1, 1};

template <class T>
void check_products(const ConvSize& size, Index m) {
  Layer<T> layer(size);
  const auto map = reference_matrix<T>(size, layer.weight());
  const auto tolerance = gamma<T>(2 * (size.patch() + size.channels * size.kernel_height * size.kernel_width) + 20);
  const auto x = random_matrix<T>(map.cols(), m, 5), y = random_matrix<T>(map.rows(), m, 6);
  const auto bounds = [&](ConstMatrixView<T> a, ConstMatrixView<T> b, linalg::Op op) {
    auto bound = product<T>(magnitudes<T>(a), magnitudes<T>(b), op);
    for (T& value : bound.span()) value = static_cast<T>(tolerance) * value;
    return bound;
  };
  // Arrays within padding, and contiguous ones, of which many columns go at a time.
  const auto forward = product<T>(map, x), back = product<T>(map, y, linalg::Op::transpose);
  const auto forward_bound = bounds(map, x, linalg::Op::none), back_bound = bounds(map, y, linalg::Op::transpose);
  const Padded<T> padded_x{ConstMatrixView<T>(x)}, padded_y{ConstMatrixView<T>(y)};
  Padded<T> to_y(map.rows(), m), to_x(map.cols(), m);
  Matrix<T> plain_y(map.rows(), m), plain_x(map.cols(), m);
  layer.conv.apply(x, plain_y, layer.scratch);
  layer.conv.apply(padded_x, to_y, layer.scratch);
  layer.conv.apply_transpose(y, plain_x, layer.scratch);
  layer.conv.apply_transpose(padded_y, to_x, layer.scratch);
  BOOST_TEST(elementwise_within<T>(plain_y, forward, forward_bound));
  BOOST_TEST(elementwise_within<T>(to_y.view(), forward, forward_bound));
  BOOST_TEST(elementwise_within<T>(plain_x, back, back_bound));
  BOOST_TEST(elementwise_within<T>(to_x.view(), back, back_bound));
  BOOST_TEST((to_y.padding_untouched() && to_x.padding_untouched()));

  // Σ y xᵀ, of which each weight gets what it stands for; on top of what is there.
  const auto all = product<T>(y, transposed<T>(x)),
             sizes = product<T>(magnitudes<T>(y), magnitudes<T>(transposed<T>(x)));
  const auto expected = reference_weight_gradient<T>(size, all);
  auto bound = reference_weight_gradient<T>(size, sizes);
  for (T& value : bound.span()) value = static_cast<T>(gamma<T>(2 * m * size.output().pixels() + 20)) * (1 + value);
  std::vector<T> gradient(layer.parameters.size(), T(1)), of_matrix(gradient);
  const auto added = [&](std::span<const T> of) {
    return matrix_of<T>(size.channels, size.patch(), [&](Index i, Index j) { return of[i + j * size.channels] - 1; });
  };
  layer.conv.add_weight_gradient(y, x, gradient, layer.scratch);
  BOOST_TEST(elementwise_within<T>(added(gradient), expected, bound));
  std::fill(gradient.begin(), gradient.end(), T(1));
  layer.conv.add_weight_gradient(padded_y, padded_x, gradient, layer.scratch);
  BOOST_TEST(elementwise_within<T>(added(gradient), expected, bound));
  layer.conv.add_matrix_gradient(all, of_matrix);
  BOOST_TEST(elementwise_within<T>(added(of_matrix), expected, bound));

  Matrix<T> dense(map.rows(), map.cols());
  dense.fill(nan_of<T>);
  layer.conv.to_matrix(dense);
  BOOST_TEST(close_absolute(dense.view(), map.view(), 0));

  std::vector<T> bias(layer.parameters.size());
  layer.conv.add_bias_gradient(padded_y, bias);
  for (Index o = 0; o < size.channels; ++o) {
    double sum = 0, magnitude = 0;
    for (Index i = o; i < y.rows(); i += size.channels) {
      for (Index j = 0; j < m; ++j) {
        sum += static_cast<double>(y(i, j));
        magnitude += std::abs(static_cast<double>(y(i, j)));
      }
    }
    BOOST_TEST(close_absolute(static_cast<double>(bias[layer.weights() + o]), sum,
                              gamma<T>(m * size.output().pixels()) * magnitude));
  }
}

template <class T>
double norm_of(const Matrix<T>& map) {
  return static_cast<double>(linalg::singular_values(map.view()).front());
}

// Taylor's test of the gradient of ⟨seed, Ŵ(W)⟩ with Ŵ in double by an SVD or what else `stands` for it.
template <class T>
void check_norm_gradient(const ConvSize& size, Normalization normalization) {
  Layer<T> layer(size, 0.8);
  Layer<double> exact(size, 0.8);
  if (normalization == Normalization::power_iteration) {
    layer.settle();
  } else {
    layer.conv.prepare(layer.parameters, normalization);
  }
  BOOST_TEST(layer.conv.norm() == T(0.8));
  const auto seed = random_matrix<T>(size.channels, size.patch(), 8);
  const auto f = [&](std::span<const double> weight) {
    std::copy(weight.begin(), weight.end(), exact.parameters.begin());
    exact.conv.prepare(exact.parameters, Normalization::svd);
    double sum = 0;
    const auto w = exact.effective();
    for (Index i = 0; i < w.size(); ++i) sum += static_cast<double>(seed.data()[i]) * w.data()[i];
    return sum;
  };
  std::vector<T> gradient(layer.parameters.size());
  std::copy(seed.span().begin(), seed.span().end(), gradient.begin());
  layer.conv.gradient_of_raw_parameters(gradient);
  const std::vector<double> at(layer.parameters.begin(), layer.parameters.begin() + layer.weights());
  const auto claimed = std::span<const T>(gradient).first(at.size());
  BOOST_TEST(is_gradient<T>(f, at, claimed, taylor_scale<T>()));
  BOOST_TEST(!is_gradient<T>(f, at, one_percent_off(claimed), taylor_scale<T>()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(conv)

BOOST_AUTO_TEST_CASE_TEMPLATE(products_agree_with_the_formula, T, Precisions) {
  for_each_size([](const ConvSize& size) {
    for (const Index m : {0, 1, 5}) check_products<T>(size, m);
  });
  check_products<T>(image_of_many_chunks, 60);
}

BOOST_AUTO_TEST_CASE(a_convolution_by_hand) {
  // A kernel of 1 × 2 that takes differences, on an image of one row, padded by one.
  ParameterLayout layout;
  ConvLayer<double> conv(layout, "layer", {{1, 3, 1}, 1, 1, 2, 0, 1}, infinity, start());
  conv.prepare(std::vector<double>{-1, 1, 7}, Normalization::stored);
  Matrix<double> x(3, 1), y(4, 1);
  for (Index i = 0; i < 3; ++i) x(i, 0) = static_cast<double>(1 + i * i);
  std::vector<double> scratch(conv.scratch());
  conv.apply(x, y, scratch);
  const std::vector<double> expected{1, 1, 3, -5};
  BOOST_TEST(std::equal(expected.begin(), expected.end(), y.data()));
  BOOST_TEST(conv.bias()[0] == 7);
  BOOST_TEST(layout.blocks()[0].name == "layer/weight");
  BOOST_TEST(layout.blocks()[0].cols == 2);
  BOOST_TEST(layout.blocks()[1].size() == 1);
  BOOST_TEST(conv.flops(3) == 2 * 1 * 2 * 12);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(norms_are_those_of_the_map, T, Precisions) {
  for_each_size([](const ConvSize& size) {
    Layer<T> layer(size, 1e3);
    const double exact = norm_of(reference_matrix<T>(size, layer.weight()));
    // Some sizes have all singular values equal: power iteration is done at once.
    layer.conv.prepare(layer.parameters, Normalization::power_iteration);
    BOOST_TEST(static_cast<double>(layer.conv.norm()) <= exact * (1 + gamma<T>(500)));
    layer.settle();
    const auto settled = static_cast<double>(layer.conv.norm());
    BOOST_TEST(close_relative(settled, exact, 1e-3));
    BOOST_TEST(!close_relative(1.01 * settled, exact, 1e-3));
    layer.conv.prepare(layer.parameters, Normalization::svd);
    const auto norm = static_cast<double>(layer.conv.norm());
    BOOST_TEST(close_relative(norm, exact, gamma<T>(500)));
    BOOST_TEST(!close_relative(1.01 * norm, exact, gamma<T>(500)));
    const auto certifies = [&](double bound) { return bound >= exact * (1 - gamma<T>(500)); };
    BOOST_TEST(certifies(static_cast<double>(layer.conv.circular_norm())));
    BOOST_TEST(!certifies(0.99 * exact));
    // The twin: a layer with other weights has another norm.
    Layer<T> other(size, 1e3, 1.1);
    other.conv.prepare(other.parameters, Normalization::svd);
    BOOST_TEST(!close_relative(static_cast<double>(other.conv.norm()), exact, 1e-3));
  });
}

// Images that are large against the kernel: what wraps around is little.
BOOST_AUTO_TEST_CASE(the_certificate_is_near_the_norm) {
  for (const Index channels : {1, 3, 6}) {
    const ConvSize size{{12, 12, 2}, channels, 3, 3, 1, 1};
    Layer<double> layer(size);
    const double exact = norm_of(reference_matrix<double>(size, layer.weight()));
    const double certificate = layer.conv.circular_norm();
    BOOST_TEST(certificate >= exact);
    BOOST_TEST(certificate <= 1.05 * exact);
    // The twin: what counts entries only is far off.
    BOOST_TEST(frobenius<double>(layer.weight()) * 3 > 1.05 * exact);
  }
  // With 1 × 1 kernels the certificate is the norm of the weight.
  const ConvSize pointwise{{40, 40, 3}, 5, 1, 1, 1, 0};
  Layer<double> layer(pointwise, 1e3);
  layer.conv.prepare(layer.parameters, Normalization::stored);
  const double exact = linalg::singular_values(layer.weight()).front();
  BOOST_TEST(close_relative(layer.conv.norm(), exact, gamma<double>(100)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(what_is_above_the_bound_is_shrunk_below_it, T, Precisions) {
  for (const ConvSize& size : {ConvSize{{3, 4, 2}, 3, 3, 3, 1, 1}, {{12, 12, 2}, 2, 3, 3, 1, 1}}) {
    Layer<T> layer(size, 0.8);
    layer.conv.prepare(layer.parameters, Normalization::svd);
    BOOST_TEST(layer.conv.norm() == T(0.8));
    const double norm = norm_of(reference_matrix<T>(size, layer.effective()));
    BOOST_TEST(norm <= 0.8 * (1 + gamma<T>(500)));
    BOOST_TEST(norm > 0.75);
    // Weights that are written are within the bound when they are read.
    layer.conv.bake_normalization(layer.parameters);
    layer.conv.prepare(layer.parameters, Normalization::stored);
    BOOST_TEST(static_cast<double>(layer.conv.norm()) <= 0.8 * (1 + gamma<T>(500)));
    Layer<T> small(size, 0.8, 1e-3);
    small.conv.prepare(small.parameters, Normalization::svd);
    BOOST_TEST(close_absolute(small.effective().view(), small.weight(), 0));
  }
  Layer<T> free({{3, 4, 2}, 3, 3, 3, 1, 1}, infinity, 5);
  free.conv.prepare(free.parameters, Normalization::svd);
  BOOST_TEST(close_absolute(free.effective().view(), free.weight(), 0));
  BOOST_TEST(free.conv.norm() == std::numeric_limits<T>::infinity());
}

// By power iteration, by an SVD of the map, by frequencies, and by those of a 1 × 1 kernel.
BOOST_AUTO_TEST_CASE_TEMPLATE(gradients_pass_through_the_norm, T, Precisions) {
  check_norm_gradient<T>({{3, 4, 2}, 3, 3, 3, 1, 1}, Normalization::power_iteration);
  check_norm_gradient<T>({{3, 4, 2}, 3, 2, 3, 0, 1}, Normalization::svd);
  check_norm_gradient<T>({{12, 12, 2}, 2, 3, 3, 1, 1}, Normalization::svd);
  check_norm_gradient<T>({{3, 3, 4}, 3, 1, 1, 0, 0}, Normalization::svd);
}

BOOST_AUTO_TEST_CASE(initial_weights_have_variance_one_over_what_an_output_sees) {
  ParameterLayout layout;
  const ConvLayer<double> layer(layout, "layer", {{8, 8, 10}, 40, 3, 5, 1, 2}, 0.9, start());
  std::vector<double> parameters(layout.size(), 7);
  random::Stream stream(1, random::Purpose::parameters);
  layer.initialize(parameters, stream, false);
  const double square = std::pow(frobenius<double>({parameters.data(), 40, 150}), 2);
  BOOST_TEST(close_relative(square / 40, 1, 0.1));  // 6000 squares: standard deviation 2 %
  for (std::size_t i = 6000; i < parameters.size(); ++i) BOOST_TEST(std::abs(parameters[i]) <= 1 / std::sqrt(150));
  layer.initialize(parameters, stream, true);
  BOOST_TEST(parameters == std::vector<double>(parameters.size()));
}

BOOST_AUTO_TEST_CASE(sizes_that_make_no_layer_are_refused) {
  ParameterLayout layout;
  const auto make = [&](const ConvSize& size, double bound = 1) {
    ConvLayer<double>(layout, "here", size, bound, start());
  };
  BOOST_CHECK_EXCEPTION(make({{3, 3, 1}, 1, 0, 3}), ShapeError,
                        says({"convolutional layer here: a kernel of 0 × 3 must have at least 1"}));
  BOOST_CHECK_EXCEPTION(make({{3, 3, 1}, 1, 3, 3, -1, 0}), ShapeError, says({"a padding of -1 × 0 at least 0"}));
  BOOST_CHECK_EXCEPTION(make({{3, 3, 1}, 1, 6, 3, 1, 0}), ShapeError,
                        says({"a kernel of 6 × 3 does not fit images of 3 × 3 with padding 1 × 0"}));
  BOOST_CHECK_EXCEPTION(make({{3, 3, 0}, 1, 3, 3}), ShapeError, says({"sizes 0 → 1 must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make({{3, 3, 1}, 0, 3, 3}), ShapeError, says({"sizes 9 → 0 must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make({{3, 3, 1}, 1, 3, 3}, 0), OptionError, says({"Lipschitz bound 0 must be positive"}));
}

BOOST_AUTO_TEST_CASE(a_dense_weight_is_for_dense_layers) {
  Layer<double> layer({{3, 3, 1}, 1, 3, 3, 1, 1});
  BOOST_CHECK_EXCEPTION(layer.conv.weight(), BugError, says({"only a dense layer has its map as a matrix"}));
  BOOST_CHECK_EXCEPTION(layer.conv.weight_gradient(layer.parameters), BugError, says({"only a dense layer"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
