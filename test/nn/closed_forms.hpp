#pragma once

// The activations of nn/activation.hpp as their formulas, in long double. The tests walk over the registry, and a kind
// without a formula here fails them.

#include <pushforward/nn/activation.hpp>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

namespace pushforward::test {

using Real = long double;

struct ClosedForm {
  Real value, first, second;
};

inline Real logistic(Real x) {
  return 1 / (1 + std::exp(-x));
}

inline const std::map<std::string, ClosedForm (*)(Real a, Real beta)>& closed_forms() {
  static const std::map<std::string, ClosedForm (*)(Real, Real)> all{
      {"lipswish",
       [](Real a, Real beta) {
         const Real s = logistic(beta * a), slope = s * (1 - s);
         return ClosedForm{a * s / 1.1L, (s + beta * a * slope) / 1.1L,
                           beta * (2 * slope + beta * a * slope * (1 - 2 * s)) / 1.1L};
       }},
      {"tanh",
       [](Real a, Real) {
         const Real t = std::tanh(a), c = std::cosh(a);
         return ClosedForm{t, 1 / (c * c), -2 * t / (c * c)};
       }},
      {"elu",
       [](Real a, Real) {
         return a > 0 ? ClosedForm{a, 1, 0} : ClosedForm{std::expm1(a), std::exp(a), std::exp(a)};
       }},
      {"softplus",
       [](Real a, Real) {
         const Real s = logistic(a);
         return ClosedForm{std::max(a, Real(0)) + std::log1p(std::exp(-std::abs(a))), s, s * (1 - s)};
       }},
      {"relu",
       [](Real a, Real) {
         return ClosedForm{std::max(a, Real(0)), a > 0 ? Real(1) : Real(0), 0};
       }},
      {"silu",
       [](Real a, Real) {
         const Real s = logistic(a), slope = s * (1 - s);
         return ClosedForm{a * s, s + a * slope, 2 * slope + a * slope * (1 - 2 * s)};
       }},
      {"sine", [](Real a, Real) {
         return ClosedForm{std::sin(a), std::cos(a), -std::sin(a)};
       }}};
  return all;
}

inline ClosedForm closed_form(const std::string& activation, Real a, Real beta = 1) {
  const auto found = closed_forms().find(activation);
  if (found == closed_forms().end()) throw std::runtime_error("no closed form of activation " + activation);
  return found->second(a, beta);
}

/// The names of the built-in activations.
inline const std::vector<std::string> all_activations = nn::ActivationKind::registry().names();

}  // namespace pushforward::test
