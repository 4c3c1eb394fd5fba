#include <pushforward/transforms/linear.hpp>

#include "passes.hpp"

namespace pushforward::test {

namespace {

using flow::Linear;
using flow::LinearOptions;
using flow::Status;

template <class T>
Passes<T> linear(const LinearOptions& options, const Shape& shape, std::uint64_t seed = 1) {
  return Passes<T>(
      [&](nn::ParameterLayout& layout) { return std::make_unique<Linear<T>>(layout, "w", shape, options, seed, 1); });
}

template <class T>
const LinearOptions& options_of(const Passes<T>& passes) {
  return static_cast<const Linear<T>&>(*passes.transform).resolved_options();
}

// W, as the images of unit vectors less that of 0.
template <class T>
Matrix<T> matrix_of_map(Passes<T>& map, Index c) {
  auto w = map.forward(matrix_of<T>(c, c, [](Index i, Index j) { return i == j ? 1 : 0; })).value;
  const auto bias = map.forward(Matrix<T>(c, 1)).value;
  for (Index j = 0; j < c; ++j) {
    for (Index i = 0; i < c; ++i) w(i, j) -= bias(i, 0);
  }
  return w;
}

const std::vector<std::string> all_forms{"dense", "plu", "householder"};

}  // namespace

BOOST_AUTO_TEST_SUITE(linear_maps)

// To rounding: of c reflections or of one factorization of a matrix of norm 1.
BOOST_AUTO_TEST_CASE_TEMPLATE(each_form_begins_orthogonal_without_bias, T, Precisions) {
  for (const auto& form : all_forms) {
    for (const Index c : {1, 2, 7, 16}) {
      auto map = linear<T>({.form = form}, Shape::vector(c));
      const auto w = matrix_of_map(map, c);
      const auto identity = matrix_of<T>(c, c, [](Index i, Index j) { return i == j ? 1 : 0; });
      BOOST_TEST(close_absolute(product<T>(w, w, linalg::Op::transpose).view(), identity.view(), gamma<T>(20 * c)),
                 form << " " << c);
      const auto zero = map.forward(Matrix<T>(c, 1));
      BOOST_TEST(close_absolute(zero.value.view(), Matrix<T>(c, 1).view(), 0));
      BOOST_TEST(close_absolute(zero.log_det[0], 0, gamma<T>(20 * c) * static_cast<double>(c)));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(plu_is_the_product_of_its_factors, T, Precisions) {
  // L = (1 0; 3 1), U + diag(s) = (−2 5; 0 4), rows exchanged.
  auto map = linear<T>({.form = "plu", .indices = {1, 0}, .signs = {-1, 1}}, Shape::vector(2));
  map.parameters = {static_cast<T>(std::log(2.0)), 3, 5, static_cast<T>(std::log(4.0)), 7, 8};
  map.prepare();
  const auto image = map.forward(matrix_from<T>(2, {1, 0, 0, 1}));
  // L (U + diag(s)) = (−2 5; −6 19).
  BOOST_TEST(
      close_absolute(image.value.view(), matrix_from<T>(2, {-6 + 7, -2 + 8, 19 + 7, 5 + 8}).view(), 26 * gamma<T>(8)));
  BOOST_TEST(close_absolute(image.log_det[0], std::log(8.0), 8 * gamma<T>(2)));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_pixel_at_a_time_with_as_many_log_dets, T, Precisions) {
  for (const auto& form : all_forms) {
    auto image_map = linear<T>({.form = form}, {2, 3, 4}), vector_map = linear<T>({.form = form}, Shape::vector(4));
    BOOST_TEST(image_map.layout.size() == vector_map.layout.size());
    for (auto* map : {&image_map, &vector_map}) {
      map->parameters = random_vector<T>(map->layout.size(), 91);
      map->prepare();
    }
    const auto x = random_matrix<T>(24, 3, 92);
    const auto image = image_map.forward(x);
    const auto pixels = vector_map.forward(Matrix<T>(ConstMatrixView<T>(x.data(), 4, 18)));
    BOOST_TEST(close_relative(image.value.span(), pixels.value.span(), gamma<T>(100)));
    for (const double value : image.log_det) BOOST_TEST(close_absolute(value, 6 * pixels.log_det[0], 1e-12));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(resolved_options_and_parameters_make_the_same_map_with_any_seed, T, Precisions) {
  for (const auto& form : all_forms) {
    auto map = linear<T>({.form = form}, Shape::vector(9), 1);
    auto again = linear<T>(options_of(map), Shape::vector(9), 2);
    again.parameters = map.parameters;
    again.prepare();
    const auto x = random_matrix<T>(9, 4, 93);
    BOOST_TEST(close_absolute(again.forward(x).value.view(), map.forward(x).value.view(), 0));
    auto other = linear<T>({.form = form}, Shape::vector(9), 2);
    BOOST_TEST(!close_absolute(other.forward(x).value.view(), map.forward(x).value.view(), 1e-3));
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(given_indices_begin_as_their_permutation, T, Precisions) {
  auto map = linear<T>({.form = "plu", .indices = {2, 0, 1}}, Shape::vector(3));
  BOOST_TEST(
      close_absolute(map.forward(matrix_from<T>(3, {1, 2, 3})).value.view(), matrix_from<T>(3, {3, 1, 2}).view(), 0));
  BOOST_TEST(options_of(map).signs == (std::vector<Index>{1, 1, 1}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(one_reflection_is_that_of_the_textbook, T, Precisions) {
  auto map = linear<T>({.form = "householder", .bias = false, .reflections = 1}, Shape::vector(2));
  map.parameters = {3, 4};
  map.prepare();
  // I − 2vvᵀ/25.
  const auto w = matrix_of_map(map, 2);
  BOOST_TEST(close_absolute(w.view(), matrix_from<T>(2, {0.28, -0.96, -0.96, -0.28}).view(), gamma<T>(10)));
  BOOST_TEST(map.layout.size() == 2);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_matrix_without_inverse_is_not_ok, T, Precisions) {
  for (const auto& form : {"dense", "householder"}) {
    auto map = linear<T>({.form = form}, Shape::vector(3));
    std::ranges::fill(map.parameters, T(0));
    map.prepare();
    const auto x = random_matrix<T>(3, 2, 94);
    for (const auto& image : {map.forward(x), map.inverse(x)}) {
      for (const auto status : image.status) BOOST_TEST((status == Status::not_finite));
    }
  }
}

BOOST_AUTO_TEST_CASE(options_that_do_not_fit_are_refused) {
  const auto make = [](const LinearOptions& options) { linear<double>(options, Shape::vector(2)); };
  BOOST_CHECK_EXCEPTION(make({.form = "lu"}), OptionError, says({"linear w: form = 'lu' is unknown", "plu"}));
  BOOST_CHECK_EXCEPTION(make({.form = "plu", .reflections = 1}), OptionError,
                        says({"linear w: reflections = 1 with form = 'plu'"}));
  BOOST_CHECK_EXCEPTION(make({.form = "householder", .reflections = -1}), OptionError, says({"must be at least 1"}));
  BOOST_CHECK_EXCEPTION(make({.form = "dense", .indices = {0, 1}}), OptionError,
                        says({"2 indices and 0 signs with form = 'dense'"}));
  BOOST_CHECK_EXCEPTION(make({.indices = {0, 0}}), OptionError,
                        says({"linear w: indices = [0, 0]: must hold each of 0 to 1 once"}));
  for (const auto& signs : {std::vector<Index>{1}, {1, 0}}) {
    BOOST_CHECK_EXCEPTION(make({.indices = {0, 1}, .signs = signs}), OptionError, says({"must be −1 or 1"}));
  }
  BOOST_CHECK_EXCEPTION(make({.signs = {1, 1}}), OptionError, says({"beside indices"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
