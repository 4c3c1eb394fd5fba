#include <pushforward/linalg/samples.hpp>
#include <pushforward/ode/diffusion.hpp>

#include <cmath>

namespace pushforward::ode {

namespace {

// drift ← f(x, t)
template <class T>
void set_drift(const Velocity<T>& velocity, const Diffusion& diffusion, ConstMatrixView<T> x, double t,
               MatrixView<T> drift) {
  velocity(x, t, drift);
  const auto at = diffusion.marginals(t);
  const T of_velocity = static_cast<T>(1 + diffusion.eta * at.beta);
  const T of_point = static_cast<T>(diffusion.eta * at.beta_rate);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) drift(i, j) = of_velocity * drift(i, j) - of_point * x(i, j);
  }
}

}  // namespace

template <class T>
DiffusionSteps<T>::DiffusionSteps(Index d, linalg::Workspace& scratch, Index n)
    : drift_(scratch.matrix<T>(d, n)),
      next_drift_(scratch.matrix<T>(d, n)),
      noise_(scratch.matrix<T>(d, n)),
      guess_(scratch.matrix<T>(d, n)) {}

template <class T>
void DiffusionSteps<T>::solve(const Velocity<T>& velocity, ConstMatrixView<T> z, const Diffusion& diffusion,
                              const logdet::Draws& draws, MatrixView<T> x) {
  const Index d = z.rows(), n = z.cols(), steps = diffusion.steps;
  const auto drift = drift_.columns(0, n), next_drift = next_drift_.columns(0, n);
  const auto noise = noise_.columns(0, n), guess = guess_.columns(0, n);
  const double h = 1 / static_cast<double>(steps);
  const auto time = [&](double k) { return k / static_cast<double>(steps); };
  auto of_step = draws;
  of_step.steps = {};
  copy_samples<T>(z, x);
  for (Index k = 0; k < steps; ++k) {
    const double t = time(static_cast<double>(k));
    const double scale =
        std::sqrt(2 * diffusion.eta * diffusion.marginals(time(static_cast<double>(k) + 0.5)).diffusion * h);
    of_step.step = static_cast<std::uint64_t>(k);
    set_drift<T>(velocity, diffusion, x, t, drift);
    for (Index j = 0; j < n; ++j) {
      auto stream = of_step.stream(random::Purpose::diffusion, j, 0);
      for (Index i = 0; i < d; ++i) {
        noise(i, j) = static_cast<T>(scale * stream.normal());
        guess(i, j) = x(i, j) + static_cast<T>(h) * drift(i, j) + noise(i, j);
      }
    }
    set_drift<T>(velocity, diffusion, guess, time(static_cast<double>(k + 1)), next_drift);
    for (Index j = 0; j < n; ++j) {
      for (Index i = 0; i < d; ++i) {
        x(i, j) += static_cast<T>(h / 2) * (drift(i, j) + next_drift(i, j)) + noise(i, j);
      }
    }
  }
}

template class DiffusionSteps<float>;
template class DiffusionSteps<double>;

}  // namespace pushforward::ode
