#pragma once

// Increasing functions of one variable. Each comes with the logarithm of its slope and the derivative of that
// logarithm, without cancellation in the tails. The inverse of each function is in the list as well:
//
//   affine     u                       leaky             u for u ≥ 0, slope·u otherwise
//   cube       u³                      cube_root         ∛u
//   exp        eᵘ                      log               log u,          u > 0
//   softplus   log(1 + eᵘ)             inverse_softplus  log(eᵘ − 1),    u > 0
//   tanh       tanh u                  atanh             artanh u,       |u| < 1
//   sigmoid    (σ(u) − α)/(1 − 2α)     logit             log(y/(1 − y)), y = α + (1 − 2α)u ∈ (0, 1)
//
// α is the margin, 0 ≤ α < ½. With α > 0 the logit is RealNVP's [Dinh et al. 2017, §4.1]. Its domain is (0, 1) and a
// little more, so that it is a bijection onto the line. Everything is computed in double, whatever the precision of the
// model, so that values are rounded once.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pushforward::flow {

enum class Function {
  affine,
  leaky,
  cube,
  cube_root,
  exp,
  log,
  softplus,
  inverse_softplus,
  tanh,
  atanh,
  sigmoid,
  logit
};

/// The names above, in the order of the enumeration.
const std::vector<std::string>& function_names();
/// Throws OptionError with a suggestion when there is no such name.
Function function_of(std::string_view name);
Function inverse_of(Function function);

class ScalarFunction {
 public:
  /// slope: of leaky, > 0. margin: α of sigmoid and logit.
  ScalarFunction(Function function, double slope, double margin)
      : function_(function), slope_(slope), margin_(margin) {}

  ScalarFunction inverse() const { return {inverse_of(function_), 1 / slope_, margin_}; }

  /// The open interval on which the function is defined.
  std::pair<double, double> domain() const;

  struct Value {
    double value;
    double log_slope;  ///< log f′(u); −∞ and +∞ at 0 for cube and cube_root
  };
  /// f(u) of a u in the domain.
  Value operator()(double u) const;
  /// d log f′/du.
  double log_slope_derivative(double u) const;

 private:
  Function function_;
  double slope_, margin_;
};

}  // namespace pushforward::flow
