#pragma once

// The largest singular value of a linear map: warm-started power iteration while training [Miyato et al. 2018], SVD
// where it has to be a guarantee. A power iteration is a lower bound, and never called more than that.

#include <pushforward/linalg/matrix.hpp>
#include <pushforward/random/stream.hpp>

#include <functional>
#include <limits>
#include <vector>

namespace pushforward::nn {

/// How the effective weights of a network are made from its parameters.
enum class Normalization {
  power_iteration,  ///< Ŵ = W·min(1, c/σ), σ by warm-started power iteration: for training steps
  svd,              ///< the same, σ by SVD: for gradients, and for weights that are written to a file
  values,           ///< the same as svd, for passes without a gradient: the power iterations keep their vectors
  stored            ///< Ŵ = W as read from a file, σ by SVD
};

/// How far a power iteration goes in a training step, and where singular vectors are wanted: relative change of σ from
/// one iteration to the next, and ten times as many of them.
template <class T>
constexpr T training_tolerance = T(1e-4);
template <class T>
constexpr T no_change = 4 * std::numeric_limits<T>::epsilon();
constexpr int most_power_iterations = 100;

/// Power iteration on one (rows × cols) matrix or linear map, its singular vectors kept from call to call.
template <class T>
class PowerIteration {
 public:
  /// Starts from the same random vector on every rank.
  PowerIteration(Index rows, Index cols, random::Stream start);

  /// Iterates v ← wᵀu/‖·‖, u ← wv/‖·‖ until σ = uᵀwv changes by less than `tolerance` relative, at least once and at
  /// most `max_iterations` times. Returns σ ≤ ‖w‖₂; 0 for a matrix of zeros, which leaves the vectors as they were.
  T update(ConstMatrixView<T> w, T tolerance, int max_iterations);
  /// The same by products alone: apply(x, y) writes w x to y, apply_transpose(y, x) wᵀy to x.
  using Product = std::function<void(std::span<const T>, std::span<T>)>;
  T update(const Product& apply, const Product& apply_transpose, T tolerance, int max_iterations);

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
