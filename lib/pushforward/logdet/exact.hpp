#pragma once

// log|det(I + J)| and its gradient, exactly, by LU of the dense Jacobians J = ∂g/∂x of a batch.
//
// J is assembled for all samples at once: the tangent pass with V = I, one product per layer. The differential is
// tr((I + J)⁻¹ dJ) = Σⱼ uⱼᵀ dJ vⱼ with V = I and U = (I + J)⁻ᵀ, so that the network's reverse pass, given these pairs,
// yields the gradient with respect to parameters and x.

#include <pushforward/logdet/estimator.hpp>

namespace pushforward::logdet {

/// The LU of I + J, or of a smaller matrix at a hidden layer (narrow.hpp).
struct ExactOptions {
  static constexpr const char* kind = "exact";
  static constexpr const char* help = "LU of I + J, or of a smaller matrix at the narrowest hidden layer";
  static constexpr bool is_exact = true;

  std::string through = "cheaper";

  OptionSet declare();
};

template <class T>
class ExactLogDet {
 public:
  /// Memory for up to n samples of width d, needed during estimate() only.
  ExactLogDet(linalg::Workspace& scratch, Index d, Index n);

  /// Tangents per sample that the network's state must have room for.
  static Index tangents(Index d) { return d; }

  /// log|det(I + J)| in nats and its sign at the x of the network's last forward(). log_det, sign: (n) out. Where the
  /// state keeps a gradient, its tangents hold V = I and its tangent seeds U = (I + J)⁻ᵀ afterwards. A singular or
  /// non-finite I + J has sign 0 and NaN in its U. Cost: (d tangents +) 2/3 d³, with gradient 8/3 d³, a sample.
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& state, std::span<double> log_det,
                std::span<linalg::Sign> sign);

  /// After estimate(): solves (I + J) y = b for each sample, b: (d × n) in, y out.
  void solve(MatrixView<T> b) const;

 private:
  Index d_;
  MatrixView<T> jacobians_;  // (d × d·n), then their factors
  std::span<int> pivots_;
  Index n_ = 0;
};

/// The exact log-det as an estimator that neither draws nor has a bias. It goes through the input; narrow.hpp has
/// the way through a hidden layer.
template <class T>
class ExactEstimator final : public Estimator<T> {
 public:
  double bias_bound(Index, double) const override { return 0; }
  Index tangents(const nn::Network<T>& network) const override { return ExactLogDet<T>::tangents(network.in()); }
  std::unique_ptr<typename Estimator<T>::State> plan(const nn::Network<T>& network, linalg::Workspace& kept,
                                                     linalg::Workspace& scratch, Index n, nn::Pass pass) const override;
  void estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes, typename Estimator<T>::State& state,
                const Draws& draws, const Estimate& result) const override;
};

extern template class ExactLogDet<float>;
extern template class ExactLogDet<double>;
extern template class ExactEstimator<float>;
extern template class ExactEstimator<double>;

}  // namespace pushforward::logdet
