#pragma once

// A vector field v(x, t; u): ℝᵈ → ℝᵈ, given by a dense network without a Lipschitz bound. The time enters the network
// as five further context values in front of u,
//
//   τ(t) = (2t − 1, cos πt, sin πt, cos 2πt, sin 2πt),
//
// so a fresh field already depends on t smoothly, and on x through hidden layers whose last layer is zero: v = 0.
// Values of x that are angles enter as their cosines and sines, so that v has the period 2π in them.

#include <pushforward/nn/network.hpp>

namespace pushforward::ode {

using nn::Pass;

struct FieldOptions {
  Index dimension = 0;                    ///< d
  std::vector<Index> hidden{64, 64, 64};  ///< widths of the hidden layers
  std::string activation = "silu";        ///< a name of nn::ActivationKind::registry()
  Index context = 0;                      ///< width of u
  std::vector<Index> periodic{};          ///< rows of x that are angles in radians, ascending
};

template <class T>
class FieldState;

template <class T>
class VectorField {
 public:
  /// The number of values of τ(t).
  static constexpr Index time_features = 5;

  /// Adds the network's parameters below `<name>/` to the layout. seed, key: see nn::Network. Throws OptionError.
  VectorField(nn::ParameterLayout& layout, const std::string& name, const FieldOptions& options, std::uint64_t seed,
              std::uint64_t key);

  nn::Network<T>& network() { return network_; }
  const nn::Network<T>& network() const { return network_; }
  Index dimension() const { return network_.in(); }
  /// Returns the width of u.
  Index context() const { return network_.options().context - time_features; }

  /// Returns an upper bound on the Lipschitz constant of v in x, for all t and u: the product of the largest singular
  /// values of the layers' weights and of the slopes of the activations. Allocates.
  double lipschitz() const;

  /// v ← v(x, t; u). x: (d × n) in, to stay valid until the reverse pass. t: the time of all samples, or (n) the time
  /// of each. u: (c × n) in. v: (d × n) out. The other passes are those of network() on state.passes(). Throws
  /// ShapeError.
  void forward(FieldState<T>& state, ConstMatrixView<T> x, std::span<const double> t, ConstMatrixView<T> u,
               MatrixView<T> v) const;

 private:
  nn::Network<T> network_;
};

/// The memory of a field's passes for up to n samples with up to k tangents each (see nn::NetworkState).
template <class T>
class FieldState {
 public:
  FieldState(const VectorField<T>& field, linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Index k,
             Pass pass)
      : passes_(field.network(), kept, scratch, n, k, pass),
        context_(kept.matrix<T>(field.network().options().context, n)) {}

  nn::NetworkState<T>& passes() { return passes_; }
  const nn::NetworkState<T>& passes() const { return passes_; }

 private:
  friend class VectorField<T>;
  nn::NetworkState<T> passes_;
  MatrixView<T> context_;  // [τ(t); u]
};

extern template class VectorField<float>;
extern template class VectorField<double>;

}  // namespace pushforward::ode
