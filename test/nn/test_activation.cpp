
#include "../linalg/fixtures.hpp"
#include "closed_forms.hpp"

namespace pushforward::test {

namespace {

// The batch `a` through an activation with all its outputs.
template <class T>
struct Activated {
  Activated(const std::string& activation, T beta, ConstMatrixView<T> input, std::span<const T> bias)
      : a(input),
        value(input.rows(), input.cols()),
        first(input.rows(), input.cols()),
        second(input.rows(), input.cols()) {
    nn::activate<T>(nn::ActivationKind::registry().at(activation), beta, bias, a, {value, first, second});
  }
  Matrix<T> a, value, first, second;
};

template <class T>
Activated<T> activated(const std::string& activation, const std::vector<T>& points, T beta = 1) {
  return {activation, beta, ConstMatrixView<T>(points.data(), std::ssize(points), 1), std::vector<T>(points.size())};
}

std::vector<double> grid(double from, double to, Index steps) {
  std::vector<double> points;
  for (Index i = 0; i <= steps; ++i) {
    points.push_back(from + (to - from) * static_cast<double>(i) / static_cast<double>(steps));
  }
  return points;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(activations)

BOOST_AUTO_TEST_CASE(closed_forms_are_each_others_derivatives) {
  constexpr Real h = 1e-5L;
  for (const std::string& activation : all_activations) {
    for (const double point : grid(-8, 8, 33)) {
      const Real a = point + 0.01L;  // no kink
      const auto middle = closed_form(activation, a, 0.7L);
      const auto left = closed_form(activation, a - h, 0.7L), right = closed_form(activation, a + h, 0.7L);
      BOOST_TEST(close_absolute(double((right.value - left.value) / (2 * h)), double(middle.first), 1e-10));
      BOOST_TEST(close_absolute(double((right.first - left.first) / (2 * h)), double(middle.second), 1e-10));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(values_and_derivatives_are_those_of_the_closed_forms, T, Precisions) {
  for (const std::string& activation : all_activations) {
    for (const T beta : {T(1), T(0.25), T(3)}) {
      std::vector<T> points{0};
      for (const double point : grid(-40, 40, 1601)) points.push_back(static_cast<T>(point));
      const auto y = activated(activation, points, beta);
      for (std::size_t i = 0; i < points.size(); ++i) {
        const auto exact = closed_form(activation, Real(points[i]), Real(beta));
        const auto at = static_cast<Index>(i);
        const double tolerance = gamma<T>(12) * (1 + static_cast<double>(beta * std::abs(points[i])));
        BOOST_TEST_CONTEXT(activation << " at " << points[i] << ", beta " << beta) {
          BOOST_TEST(close_absolute(static_cast<double>(y.value(at, 0)), double(exact.value), tolerance));
          BOOST_TEST(close_absolute(static_cast<double>(y.first(at, 0)), double(exact.first), tolerance));
          BOOST_TEST(close_absolute(static_cast<double>(y.second(at, 0)), double(exact.second),
                                    static_cast<double>(beta) * 2 * tolerance));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(far_out_they_stay_finite, T, Precisions) {
  for (const std::string& activation : all_activations) {
    std::vector<T> points;
    for (const double size : {50.0, 90.0, 120.0, 800.0, 1e5, 1e10, 1e30}) {
      points.push_back(static_cast<T>(size));
      points.push_back(static_cast<T>(-size));
    }
    const auto y = activated(activation, points, T(1.5));
    for (std::size_t i = 0; i < points.size(); ++i) {
      const auto at = static_cast<Index>(i);
      BOOST_TEST_CONTEXT(activation << " at " << points[i]) {
        BOOST_TEST(std::isfinite(y.value(at, 0)));
        BOOST_TEST(std::abs(y.value(at, 0)) <= std::abs(points[i]));
        BOOST_TEST(std::abs(y.first(at, 0)) <= 1);
        BOOST_TEST(std::abs(y.second(at, 0)) <= 1);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(no_slope_is_steeper_than_stated, T, Precisions) {
  for (const std::string& activation : all_activations) {
    std::vector<T> points;
    for (const double point : grid(-6, 6, 60000)) points.push_back(static_cast<T>(point));
    const auto y = activated(activation, points);
    T steepest = 0;
    for (const T slope : y.first.span()) steepest = std::max(steepest, std::abs(slope));
    const double stated = nn::ActivationKind::registry().at(activation).lipschitz;
    BOOST_TEST(steepest <= stated * (1 + gamma<T>(4)));
    BOOST_TEST(steepest > (1 - 1e-2) * stated - (activation == "lipswish" ? 1e-3 : 0));
    // The steepest slope of a·σ(a) is 1.0998393194…, just below the 1.1 it is divided by.
    if (activation == "lipswish") {
      BOOST_TEST(close_absolute(static_cast<double>(steepest), 1.0998393194 / 1.1, 1e-6));
    }
  }
}

BOOST_AUTO_TEST_CASE_TEMPLATE(any_width_adds_the_bias_and_gives_what_is_asked_for, T, Precisions) {
  for (const std::string& activation : all_activations) {
    for (const Index w : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33}) {
      const auto input = random_matrix<T>(w, 3, 1);
      const auto bias = random_matrix<T>(w, 1, 2);
      const Activated<T> y(activation, T(0.8), input, bias.span());
      for (Index j = 0; j < 3; ++j) {
        for (Index i = 0; i < w; ++i) {
          const T a = input(i, j) + bias(i, 0);
          const auto exact = closed_form(activation, Real(a), 0.8L);
          BOOST_TEST(y.a(i, j) == a);
          BOOST_TEST(close_absolute(static_cast<double>(y.value(i, j)), double(exact.value), gamma<T>(40)));
          BOOST_TEST(close_absolute(static_cast<double>(y.first(i, j)), double(exact.first), gamma<T>(40)));
          BOOST_TEST(close_absolute(static_cast<double>(y.second(i, j)), double(exact.second), gamma<T>(40)));
        }
      }
      Matrix<T> in_place(input), first(w, 3);
      nn::activate<T>(nn::ActivationKind::registry().at(activation), T(0.8), bias.span(), in_place,
                      {in_place, first, {}});
      BOOST_TEST(close_absolute(in_place.view(), y.value.view(), 0));
      BOOST_TEST(close_absolute(first.view(), y.first.view(), 0));
      Matrix<T> value_only(input), value(w, 3);
      nn::activate<T>(nn::ActivationKind::registry().at(activation), T(0.8), bias.span(), value_only, {value, {}, {}});
      BOOST_TEST(close_absolute(value.view(), y.value.view(), 0));
    }
  }
}

BOOST_AUTO_TEST_CASE(nan_stays_nan) {
  for (const std::string& activation : all_activations) {
    const auto y = activated<double>(activation, {nan_of<double>, 1.0});
    BOOST_TEST(std::isnan(y.value(0, 0)));
    BOOST_TEST(std::isfinite(y.value(1, 0)));
  }
}

BOOST_AUTO_TEST_CASE(names_lead_to_activations) {
  auto& registry = nn::ActivationKind::registry();
  for (const std::string& activation : all_activations) BOOST_TEST(registry.at(activation).name == activation);
  for (const auto& [name, formula] : closed_forms()) BOOST_TEST(registry.find(name) != nullptr);
  BOOST_CHECK_EXCEPTION(
      registry.at("lipswich"), OptionError,
      says({"activation 'lipswich' is unknown (did you mean 'lipswish'?); there are lipswish, ", "tanh"}));
}

// The loop over single values that a user's formula gets against the registers of the built-in activation.
BOOST_AUTO_TEST_CASE_TEMPLATE(a_formula_makes_an_activation, T, Precisions) {
  const auto made = nn::activation_kind("my tanh", "tanh a", [](auto a) {
    const auto t = std::tanh(a), first = 1 - t * t;
    return std::array{t, first, -2 * t * first};
  });
  const auto input = random_matrix<T>(7, 3, 1), bias = random_matrix<T>(7, 1, 2);
  const Activated<T> expected("tanh", T(1), input, bias.span());
  Matrix<T> a(input), value(7, 3), first(7, 3), second(7, 3);
  nn::activate<T>(made, T(1), bias.span(), a, {value, first, second});
  BOOST_TEST(close_absolute(a.view(), expected.a.view(), 0));
  BOOST_TEST(close_absolute(value.view(), expected.value.view(), gamma<T>(20)));
  BOOST_TEST(close_absolute(first.view(), expected.first.view(), gamma<T>(20)));
  BOOST_TEST(close_absolute(second.view(), expected.second.view(), gamma<T>(20)));
  BOOST_TEST(!close_absolute(second.view(), expected.first.view(), gamma<T>(20)));
  nn::activate<T>(made, T(1), std::vector<T>(7), a, {a, {}, {}});
  BOOST_TEST(close_absolute(a.view(), expected.value.view(), gamma<T>(20)));
}

BOOST_AUTO_TEST_CASE(operands_that_do_not_fit_are_refused) {
  Matrix<double> a(3, 2), value(3, 1);
  const std::vector<double> bias(3), short_bias(2);
  BOOST_CHECK_EXCEPTION(nn::activate<double>(nn::ActivationKind::registry().at("tanh"), 1, bias, a, {value, {}, {}}),
                        ShapeError, says({"activate: bias (3) and value (3 × 1) do not fit a (3 × 2)"}));
  BOOST_CHECK_EXCEPTION(nn::activate<double>(nn::ActivationKind::registry().at("tanh"), 1, short_bias, a, {a, {}, {}}),
                        ShapeError, says({"bias (2)"}));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(tangents_are_scaled_by_their_samples_derivative, T, Precisions) {
  const Index w = 5, n = 3, k = 2;
  const auto first = random_matrix<T>(w, n, 3), t = random_matrix<T>(w, n * k, 4);
  const auto expected = matrix_of<T>(w, n * k, [&](Index i, Index j) { return first(i, j / k) * t(i, j); });
  Padded<T> out(w, n * k);
  nn::scale_tangents<T>(Padded<T>(first.view()).view(), k, Padded<T>(t.view()).view(), out);
  BOOST_TEST(close_absolute(Matrix<T>(out.view()).view(), expected.view(), 0));
  BOOST_TEST(out.padding_untouched());
  Matrix<T> in_place(t);
  nn::scale_tangents<T>(first, k, in_place, in_place);
  BOOST_TEST(close_absolute(in_place.view(), expected.view(), 0));
}

// The formulas of reverse_activation's comment, term by term.
BOOST_AUTO_TEST_CASE_TEMPLATE(reverse_agrees_with_its_formulas, T, Precisions) {
  const Index n = 3;
  for (const Index w : {1, 4, 7, 8, 19}) {
    for (const Index k : {0, 1, 3}) {
      for (const bool broadcast : {false, true}) {
        const Activated<T> y("lipswish", T(0.8), random_matrix<T>(w, n, 5), std::vector<T>(w));
        const auto t = random_matrix<T>(w, broadcast ? k : n * k, 6);
        const auto h_bar = random_matrix<T>(w, n, 7), tau_bar = random_matrix<T>(w, n * k, 8);
        Matrix<T> a_bar(h_bar), t_bar(tau_bar);
        const double slope =
            nn::reverse_activation<T>({y.a, y.value, y.first, y.second}, k, t, broadcast, true, a_bar, t_bar);
        double expected_slope = 0, size = 1;
        for (Index i = 0; i < n; ++i) {
          for (Index r = 0; r < w; ++r) {
            double sum = 0;
            for (Index j = 0; j < k; ++j) {
              const double tau = tau_bar(r, i * k + j);
              sum += tau * static_cast<double>(t(r, broadcast ? j : i * k + j));
              BOOST_TEST(close_relative(t_bar(r, i * k + j), static_cast<double>(y.first(r, i)) * tau, gamma<T>(2)));
            }
            const double a = y.a(r, i), h = y.value(r, i), d1 = y.first(r, i), d2 = y.second(r, i);
            const double bar = h_bar(r, i);
            BOOST_TEST(close_absolute(static_cast<double>(a_bar(r, i)), d1 * bar + d2 * sum, gamma<T>(40)));
            expected_slope += bar * (a * d1 - h) + sum * a * d2;
            size += std::abs(bar * a * d1) + std::abs(bar * h) + std::abs(sum * a * d2);
          }
        }
        BOOST_TEST(close_absolute(slope, expected_slope, gamma<T>(40) * size));
        BOOST_TEST(nn::reverse_activation<T>({y.a, y.value, y.first, y.second}, k, t, broadcast, false, a_bar, t_bar) ==
                   0);
      }
    }
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
