#pragma once

// The spectral norm (largest singular value) of a linear map. Training uses a power iteration that starts from the
// vectors of the step before [Miyato et al. 2018]. It gives a lower bound. A guarantee needs the SVD.

#include <pushforward/core/state_set.hpp>
#include <pushforward/linalg/matrix.hpp>
#include <pushforward/random/stream.hpp>

#include <functional>
#include <limits>
#include <vector>

namespace pushforward::nn {

/// The way in which the effective weights of a network are computed from its parameters.
enum class Normalization {
  power_iteration,  ///< Ŵ = W·min(1, c/σ), σ by warm-started power iteration: for training steps
  svd,              ///< the same, σ by SVD: for gradients, and for weights that are written to a file
  values,           ///< the same as svd, for passes without a gradient: the power iterations keep their vectors
  stored            ///< Ŵ = W as read from a file, σ by SVD
};

/// Stopping rules of the power iteration, as a relative change of σ from one iteration to the next. A training step
/// stops at `training_tolerance`. If the singular vectors are needed, the iteration goes on to `no_change`, for up to
/// ten times as many iterations.
template <class T>
constexpr T training_tolerance = T(1e-4);
template <class T>
constexpr T no_change = 4 * std::numeric_limits<T>::epsilon();
constexpr int most_power_iterations = 100;

/// Power iteration on one (rows × cols) matrix or linear map. The singular vectors are kept from call to call.
template <class T>
class PowerIteration {
 public:
  /// Starts from the same random vector on every rank.
  PowerIteration(Index rows, Index cols, random::Stream start);

  /// Iterates v ← wᵀu/‖·‖, u ← wv/‖·‖ until the relative change of σ = uᵀwv is below `tolerance`, at least once and at
  /// most `max_iterations` times. Returns σ ≤ ‖w‖₂. For a matrix of zeros it returns 0 and leaves the vectors
  /// unchanged.
  T update(ConstMatrixView<T> w, T tolerance, int max_iterations);
  /// As update(), for a map that is given by its products: apply(x, y) writes w x to y, and apply_transpose(y, x)
  /// writes wᵀy to x.
  using Product = std::function<void(std::span<const T>, std::span<T>)>;
  T update(const Product& apply, const Product& apply_transpose, T tolerance, int max_iterations);

  /// The vectors and σ, from which the next call goes on.
  void add_state(StateSet& state, const std::string& name);

  T sigma() const { return sigma_; }
  std::span<const T> left() const { return u_; }
  std::span<const T> right() const { return v_; }

 private:
  std::vector<T> u_, v_, next_u_, next_v_;
  T sigma_ = 0;
};

extern template class PowerIteration<float>;
extern template class PowerIteration<double>;

}  // namespace pushforward::nn
