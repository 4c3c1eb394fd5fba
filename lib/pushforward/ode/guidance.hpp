#pragma once

// Classifier-free guidance [Ho & Salimans 2022; Zheng et al. 2023]. A network that was trained with contexts u, and for
// some samples without, gives two fields, and a guided field lies on the line through them:
//
//   v_S(x, t; u) = (1 − S) v(x, t; none) + S v(x, t; u).
//
// S = 1 is the plain field, S = 0 that without a context, and S > 1 goes beyond the plain one, so that samples are more
// typical of their context. v_S is a vector field as any other: its flow is invertible, and its density integrates
// to 1. It is not the density ∝ p(x)^(1−S) p(x | u)^S, which has another normalization.
//
// A batch of n samples goes through the network as 2n samples, first those with their contexts and then those without.
// Values, tangents and traces of both halves are combined as v_S is, and the reverse pass begins with S and 1 − S times
// the cotangents.

#include <pushforward/logdet/trace.hpp>
#include <pushforward/nn/network.hpp>

#include <optional>

namespace pushforward::ode {

using nn::Pass;

/// The passes of the network of a field, plain ones or guided ones. The functions are those of nn::Network and
/// logdet::ExactTrace, for n samples.
template <class T>
class GuidedPasses {
 public:
  struct Options {
    double scale = 1;           ///< S
    std::optional<Index> none;  ///< the row of the network's context that is 1 for samples without a context; rows
                                ///< after it are u
    Index tangents = 0;         ///< the largest number of tangents of a sample
    bool has_trace = false;     ///< whether trace() is wanted
  };

  /// Memory for up to n samples. The network must outlive the object. Throws OptionError for S ≠ 1 without a row
  /// `none`.
  GuidedPasses(const nn::Network<T>& network, const Options& options, linalg::Workspace& kept,
               linalg::Workspace& scratch, Index n, Pass pass);

  bool has_trace() const { return trace_.has_value(); }
  /// Samples of the last forward().
  Index samples() const { return n_; }
  MatrixView<T> value_seed() const { return is_guided() ? value_seed_.columns(0, n_) : passes_.value_seed(); }
  MatrixView<T> tangent_seed(Index k) const {
    return is_guided() ? tangent_seed_.columns(0, n_ * k) : passes_.tangent_seed(k);
  }

  void forward(ConstMatrixView<T> x, MatrixView<T> y, ConstMatrixView<T> context);
  void tangent(const nn::Directions<T>& directions, MatrixView<T> jv);
  void trace(std::span<double> values);
  void add_trace_to_reverse(std::span<const T> weight, std::span<T> gradient);
  void reverse(MatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> v_bar);

 private:
  bool is_guided() const { return options_.scale != 1; }
  void combine(ConstMatrixView<T> both, MatrixView<T> out) const;
  void split(ConstMatrixView<T> of, MatrixView<T> both) const;

  const nn::Network<T>& network_;
  Options options_;
  nn::NetworkState<T> passes_;
  std::optional<logdet::ExactTrace<T>> trace_;
  Index n_ = 0, k_ = 0;
  // Only guided passes have the rest. In what is called `both`, the two halves lie side by side.
  MatrixView<T> both_x_, both_context_;      // (d × 2n), (c × 2n)
  MatrixView<T> both_y_, both_x_bar_;        // (e × 2n), (d × 2n)
  MatrixView<T> both_v_, both_v_bar_;        // given directions (d × 2n·k)
  MatrixView<T> both_jv_;                    // (e × 2n·k)
  MatrixView<T> value_seed_, tangent_seed_;  // (e × n), (e × n·k)
  std::span<double> both_traces_;            // (2n)
  std::span<T> both_weights_;                // (2n)
};

extern template class GuidedPasses<float>;
extern template class GuidedPasses<double>;

}  // namespace pushforward::ode
