#pragma once

// The activations of nn/activation.hpp as their formulas, in long double.

#include <pushforward/nn/activation.hpp>

#include <array>
#include <cmath>

namespace pushforward::test {

using Real = long double;

struct ClosedForm {
  Real value, first, second;
};

inline ClosedForm closed_form(nn::Activation activation, Real a, Real beta = 1) {
  using nn::Activation;
  const auto logistic = [](Real x) { return 1 / (1 + std::exp(-x)); };
  switch (activation) {
    case Activation::lipswish: {
      const Real s = logistic(beta * a), slope = s * (1 - s);
      return {a * s / 1.1L, (s + beta * a * slope) / 1.1L, beta * (2 * slope + beta * a * slope * (1 - 2 * s)) / 1.1L};
    }
    case Activation::tanh: {
      const Real t = std::tanh(a), c = std::cosh(a);
      return {t, 1 / (c * c), -2 * t / (c * c)};
    }
    case Activation::elu: return a > 0 ? ClosedForm{a, 1, 0} : ClosedForm{std::expm1(a), std::exp(a), std::exp(a)};
    case Activation::softplus: {
      const Real s = logistic(a);
      return {std::max(a, Real(0)) + std::log1p(std::exp(-std::abs(a))), s, s * (1 - s)};
    }
    case Activation::relu: return {std::max(a, Real(0)), a > 0 ? Real(1) : Real(0), 0};
    case Activation::sine: break;
  }
  return {std::sin(a), std::cos(a), -std::sin(a)};
}

constexpr std::array all_activations{nn::Activation::lipswish, nn::Activation::tanh, nn::Activation::elu,
                                     nn::Activation::softplus, nn::Activation::relu, nn::Activation::sine};

}  // namespace pushforward::test
