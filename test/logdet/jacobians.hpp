#pragma once

// Jacobians of all kinds, and dense ones of networks, for tests of log-dets.

#include <pushforward/linalg/reference.hpp>

#include "../nn/networks.hpp"

#include <string>

namespace pushforward::test {

/// A Jacobian of norm up to 0.7, for a linear network.
struct Case {
  std::string name;
  Matrix<double> jacobian;
};

inline std::vector<Case> jacobians(Index d) {
  const auto scaled = [](Matrix<double> j, double norm) {
    const double factor = norm / linalg::reference::spectral_norm<double>(j);
    for (double& value : j.span()) value *= factor;
    return j;
  };
  std::vector<Case> cases;
  cases.push_back({"diagonal", matrix_of<double>(d, d, [d](Index i, Index j) {
                     return i == j
                                ? -0.6 + 1.2 * static_cast<double>(i) / static_cast<double>(std::max<Index>(1, d - 1))
                                : 0;
                   })});
  cases.push_back({"random", scaled(random_matrix<double>(d, d, 3), 0.7)});
  cases.push_back({"nearly singular I + J",
                   matrix_of<double>(d, d, [](Index i, Index j) { return i == j ? (i == 0 ? -0.7 : 0.1) : 0.0; })});
  if (d > 1) {
    cases.push_back({"rotation", matrix_of<double>(d, d, [](Index i, Index j) {
                       if (i / 2 != j / 2 || i == j) return 0.0;
                       return i < j ? 0.6 : -0.6;
                     })});
    cases.push_back(
        {"defective",
         scaled(matrix_of<double>(d, d, [](Index i, Index j) { return i == j ? 0.5 : (j == i + 1 ? 0.3 : 0.0); }),
                0.7)});
  }
  return cases;
}

/// A linear network with that Jacobian everywhere.
template <class T = double>
TestNetwork<T> linear_network(const Matrix<double>& jacobian) {
  const Index d = jacobian.rows();
  TestNetwork<T> net({.in = d, .out = d, .hidden = {}, .lipschitz = std::numeric_limits<double>::infinity()});
  const auto elements = converted<T>(jacobian);
  std::fill(net.parameters.begin(), net.parameters.end(), T(0));
  std::copy(elements.span().begin(), elements.span().end(), net.parameters.begin());
  net.prepare(nn::Normalization::svd);
  return net;
}

/// log|det(I + J)|.
inline double exact_value(const Matrix<double>& jacobian) {
  Matrix<double> a(jacobian);
  for (Index i = 0; i < a.rows(); ++i) a(i, i) += 1;
  return linalg::reference::log_det<double>(a).log_abs;
}

/// log(I + J) − Σₖ≤terms (−1)ᵏ⁺¹/k Jᵏ by its series, ‖J‖ < 1.
inline Matrix<double> log_rest(const Matrix<double>& jacobian, Index terms) {
  const Index d = jacobian.rows();
  Matrix<double> sum(d, d), power(jacobian);
  for (Index k = 1; k <= 2000 && frobenius<double>(power) > 1e-18; ++k) {
    for (Index i = 0; i < sum.size() && k > terms; ++i) {
      sum.data()[i] += (k % 2 == 1 ? 1.0 : -1.0) / static_cast<double>(k) * power.data()[i];
    }
    power = product<double>(power, jacobian);
  }
  return sum;
}

/// J of a network at one point (d × 1).
template <class T>
Matrix<double> dense_jacobian(const nn::Network<T>& network, ConstMatrixView<T> point) {
  const Index d = network.in();
  Passes<T> passes(network, 1, d, nn::Pass::evaluate);
  Matrix<T> y(d, 1), jacobian(d, d);
  network.forward(*passes, point, y);
  network.tangent(*passes, nn::Directions<T>::identity(d), jacobian);
  return converted<double>(jacobian);
}

}  // namespace pushforward::test
