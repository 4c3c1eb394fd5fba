#include <pushforward/core/error.hpp>
#include <pushforward/core/name_table.hpp>
#include <pushforward/core/softplus.hpp>
#include <pushforward/maps/scalar_function.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

using std::numbers::ln2;

constexpr double infinity = std::numeric_limits<double>::infinity();

double sigmoid(double u) {
  const double e = std::exp(-std::abs(u));
  return (u < 0 ? e : 1) / (1 + e);
}

// log(1 − e^{−u}), u > 0 [Mächler 2012].
double log_one_minus_exp(double u) {
  return u < ln2 ? std::log(-std::expm1(-u)) : std::log1p(-std::exp(-u));
}

const NameTable<Function>& functions() {
  static const NameTable<Function> table("function", {"affine", "leaky", "cube", "cube_root", "exp", "log", "softplus",
                                                      "inverse_softplus", "tanh", "atanh", "sigmoid", "logit"});
  return table;
}

}  // namespace

const std::vector<std::string>& function_names() {
  return functions().names();
}

Function function_of(std::string_view name) {
  return functions().value(name);
}

Function inverse_of(Function function) {
  if (function == Function::affine || function == Function::leaky) return function;
  // The other functions stand in pairs, each after or before its inverse.
  const int at = static_cast<int>(function);
  return static_cast<Function>(at % 2 == 0 ? at + 1 : at - 1);
}

std::pair<double, double> ScalarFunction::domain() const {
  const double beyond = margin_ / (1 - 2 * margin_);
  switch (function_) {
    case Function::log:
    case Function::inverse_softplus: return {0, infinity};
    case Function::atanh: return {-1, 1};
    case Function::logit: return {-beyond, 1 + beyond};
    default: return {-infinity, infinity};
  }
}

ScalarFunction::Value ScalarFunction::operator()(double u) const {
  switch (function_) {
    case Function::affine: break;
    case Function::leaky: return u < 0 ? Value{slope_ * u, std::log(slope_)} : Value{u, 0};
    case Function::cube: return {u * u * u, std::log(3) + 2 * std::log(std::abs(u))};
    case Function::cube_root: return {std::cbrt(u), -std::log(3) - 2.0 / 3 * std::log(std::abs(u))};
    case Function::exp: return {std::exp(u), u};
    case Function::log: return {std::log(u), -std::log(u)};
    case Function::softplus: return {softplus(u), -softplus(-u)};
    case Function::inverse_softplus: {
      const double log_slope = -log_one_minus_exp(u);
      return {u < ln2 ? std::log(std::expm1(u)) : u - log_slope, log_slope};
    }
    // In the tails 1 − tanh² u = 4e^{−2|u|}/(1 + e^{−2|u|})².
    case Function::tanh: {
      const double t = std::tanh(u), far = 2 * (ln2 - std::abs(u) - std::log1p(std::exp(-2 * std::abs(u))));
      return {t, std::abs(u) < 1 ? std::log1p(-t * t) : far};
    }
    case Function::atanh: return {std::atanh(u), -std::log1p(u) - std::log1p(-u)};
    case Function::sigmoid:
      return {(sigmoid(u) - margin_) / (1 - 2 * margin_), -softplus(u) - softplus(-u) - std::log1p(-2 * margin_)};
    case Function::logit: {
      const double y = margin_ + (1 - 2 * margin_) * u, rest = margin_ + (1 - 2 * margin_) * (1 - u);
      return {std::log(y) - std::log(rest), std::log1p(-2 * margin_) - std::log(y) - std::log(rest)};
    }
  }
  return {u, 0};
}

double ScalarFunction::log_slope_derivative(double u) const {
  switch (function_) {
    case Function::affine:
    case Function::leaky: break;
    case Function::cube: return 2 / u;
    case Function::cube_root: return -2 / (3 * u);
    case Function::exp: return 1;
    case Function::log: return -1 / u;
    case Function::softplus: return sigmoid(-u);
    case Function::inverse_softplus: return -1 / std::expm1(u);
    case Function::tanh: return -2 * std::tanh(u);
    case Function::atanh: return 2 * u / ((1 + u) * (1 - u));
    case Function::sigmoid: return -std::tanh(u / 2);
    case Function::logit: {
      const double y = margin_ + (1 - 2 * margin_) * u, rest = margin_ + (1 - 2 * margin_) * (1 - u);
      return (1 - 2 * margin_) * (1 / rest - 1 / y);
    }
  }
  return 0;
}

}  // namespace pushforward::flow
