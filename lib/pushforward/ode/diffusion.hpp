#pragma once

// Samples by a stochastic differential equation that has the marginals of a flow. Let
//
//   x_t = β(t) x₁ + s(t) ε,   0 ≤ t ≤ 1,
//
// with ε standard normal and independent of x₁, and let p_t be the law of x_t. A field v(x, t) = E[ẋ_t | x_t = x],
// which flow matching fits, determines the score, because both follow from the mean of ε:
//
//   x = β E[x₁ | x] + s E[ε | x],   v = β̇ E[x₁ | x] + ṡ E[ε | x],   ∇log p_t(x) = −E[ε | x]/s,
//
// and therefore ∇log p_t = (βv − β̇x)/D with D = s²β̇ − βsṡ. The equation dx = (v + ½g² ∇log p_t) dt + g dW has the
// marginals p_t for every g(t) [Song et al. 2021; Albergo et al. 2023]. With g² = 2ηD nothing in it is singular:
//
//   dx = [v + η(βv − β̇x)] dt + √(2ηD) dW.
//
// η = 0 is the flow itself. The marginals of paths are those of train/path.hpp.
//
// Steps. The noise does not depend on x, so Heun's method has weak order 2:
//
//   f = v + η(βv − β̇x),   G² = 2ηD(t + h/2) h,   y = x + h f(x, t) + Gξ,   x⁺ = x + h/2 [f(x, t) + f(y, t + h)] + Gξ,
//
// with ξ standard normal.

#include <pushforward/linalg/workspace.hpp>
#include <pushforward/logdet/draws.hpp>

#include <functional>

namespace pushforward::ode {

/// The marginals of a path at a time.
struct MarginalPoint {
  double beta = 0, beta_rate = 0;  ///< β, β̇
  double diffusion = 0;            ///< D = s²β̇ − βsṡ ≥ 0
};
/// β, β̇ and D as functions of t, 0 ≤ t ≤ 1.
using Marginals = std::function<MarginalPoint(double t)>;

/// A sampler by a stochastic differential equation, from t = 0 to t = 1.
struct Diffusion {
  static constexpr Index default_steps = 100;
  Marginals marginals;
  double eta = 1;               ///< η ≥ 0
  Index steps = default_steps;  ///< of equal length, ≥ 1

  /// Evaluations of the field for a sample.
  Index evaluations() const { return 2 * steps; }
};

/// v ← v(x, t). x: (d × n) in. v: (d × n) out.
template <class T>
using Velocity = std::function<void(ConstMatrixView<T> x, double t, MatrixView<T> v)>;

template <class T>
class DiffusionSteps {
 public:
  /// Memory for up to n samples of d values, needed during solve() only.
  DiffusionSteps(Index d, linalg::Workspace& scratch, Index n);

  /// Takes z, draws from the standard normal density, to samples. z: (d × n) in. draws: of ξ, which depends on the
  /// seed, the step of the grid, the sample and the block. x: (d × n) out, must not alias z.
  void solve(const Velocity<T>& velocity, ConstMatrixView<T> z, const Diffusion& diffusion, const logdet::Draws& draws,
             MatrixView<T> x);

 private:
  MatrixView<T> drift_, next_drift_, noise_, guess_;  // f(x, t), f(y, t + h), Gξ, y (d × n)
};

extern template class DiffusionSteps<float>;
extern template class DiffusionSteps<double>;

}  // namespace pushforward::ode
