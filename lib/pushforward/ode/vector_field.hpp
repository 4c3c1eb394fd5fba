#pragma once

// A vector field v(x, t; u): ℝᵈ → ℝᵈ, given by a dense network without a Lipschitz bound. The time enters the network
// as five further context values in front of u,
//
//   τ(t) = (2t − 1, cos πt, sin πt, cos 2πt, sin 2πt),
//
// so a fresh field already depends on t smoothly, and on x through hidden layers whose last layer is zero: v = 0. The
// time may also scale and shift each hidden layer (nn/gates.hpp). Values of x that are angles enter as their cosines
// and sines, so that v has the period 2π in them. On spheres, v is the tangent part of what the network gives
// (spheres.hpp).
//
// If the context is optional, a further value between τ and u is 1 for samples without a context, whose u is zero, and
// 0 for the others. Such fields may be guided (guidance.hpp).
//
// The divergence div v is exact. Networks of up to two hidden layers without angles have a closed form of tr J
// (logdet/trace.hpp), and others take d tangents. For the closed form, a sphere takes one tangent y, and its term
// −yᵀJy has the reverse of the pair (−w y, y), with ȳ −= w Jy for the y that stands in front.

#include <pushforward/ode/guidance.hpp>
#include <pushforward/ode/spheres.hpp>

#include <optional>

namespace pushforward::ode {

struct FieldOptions {
  Index dimension = 0;                    ///< d
  std::vector<Index> hidden{64, 64, 64};  ///< widths of the hidden layers
  std::string activation = "silu";        ///< a name of nn::ActivationKind::registry()
  std::string time = "first";             ///< where τ enters: first, in the first layer, or gates, in all hidden ones
  Index context = 0;                      ///< width of u
  bool optional_context = false;          ///< whether a sample may have no context
  std::vector<Index> periodic{};          ///< rows of x that are angles in radians, ascending
  std::vector<Sphere> spheres{};          ///< rows of x that are unit vectors
};

/// The derivatives of a field for which a state has memory, in addition to the gradient of values.
enum class Derivative : std::int8_t { none, divergence, tangents };

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
  const Spheres<T>& spheres() const { return spheres_; }
  Index dimension() const { return network_.in(); }
  /// Returns the width of u.
  Index context() const { return context_; }

  /// Makes the field the guided one with this strength S. The choice holds for states that are made from now on. Throws
  /// OptionError for S ≠ 1 unless the context is optional and S is finite.
  void set_guidance(double scale);
  double guidance() const { return guidance_; }

  /// Returns an upper bound on the Lipschitz constant of v in x, for all t and u: the product of the largest singular
  /// values of the layers' weights, of the slopes of the activations and of the largest gates. With spheres it is
  /// infinite. Allocates.
  double lipschitz() const;

  /// v ← v(x, t; u). x: (d × n) in, to stay valid until the reverse pass. t: the time of all samples, or (n) the time
  /// of each. u: (c × n) in. none: (n), 1 for samples without a context and 0 for others, or empty if all have theirs;
  /// only if the context is optional. v: (d × n) out. Throws ShapeError.
  void forward(FieldState<T>& state, ConstMatrixView<T> x, std::span<const double> t, ConstMatrixView<T> u,
               MatrixView<T> v, std::span<const std::int8_t> none = {}) const;
  /// div v at the last forward(). values: (n) out. It keeps what the reverse pass needs.
  void divergence(FieldState<T>& state, std::span<double> values) const;
  /// ∂v/∂x V at the last forward(), for directions V. jv: (d × n·k) out.
  void tangent(FieldState<T>& state, const nn::Directions<T>& directions, MatrixView<T> jv) const;
  /// The gradient of Σ v̄·v + Σ w div v, and of tangents, at the last forward(). It starts from v̄ in
  /// state.value_seed(), which it overwrites, and for tangents from state.tangent_seed(). weight: (n), w; if it is
  /// empty, the divergence has no part. x_bar, gradient, v_bar: see nn::Network::reverse(); x_bar may be empty if there
  /// is no divergence either. The caller may fill the
  /// seeds anew and call it again if the divergence has no part.
  void reverse(FieldState<T>& state, std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient,
               MatrixView<T> v_bar = {}) const;

 private:
  friend class FieldState<T>;
  bool has_closed_trace() const;
  GuidedPasses<T> make_passes(linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Derivative derivative,
                              Pass pass, std::optional<Index> tangents) const;
  // Adds the terms of spheres to the traces (n), and keeps what their reverse needs.
  void add_curvature(FieldState<T>& state, std::span<double> values) const;
  void seed_divergence(FieldState<T>& state, std::span<const T> weight, std::span<T> gradient) const;

  nn::Network<T> network_;
  Spheres<T> spheres_;
  Index context_;
  bool optional_context_;
  double guidance_ = 1;  // S
};

/// The memory of a field's passes for up to n samples.
template <class T>
class FieldState {
 public:
  /// tangents: how many a sample has, for Derivative::tangents; if it is not given, the dimension.
  FieldState(const VectorField<T>& field, linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
             Derivative derivative, Pass pass, std::optional<Index> tangents = {});

  /// (d × n), the cotangents v̄ of v that VectorField::reverse() starts from; n is that of the last forward().
  MatrixView<T> value_seed() const { return passes_.value_seed(); }
  /// (d × n·k), the cotangents of k tangents.
  MatrixView<T> tangent_seed(Index k) const { return passes_.tangent_seed(k); }

 private:
  friend class VectorField<T>;
  GuidedPasses<T> passes_;
  MatrixView<T> context_;   // [τ(t); u], or [τ(t); whether there is no context; u]
  MatrixView<T> jacobian_;  // J of each sample (d × d·n), without a closed form of its trace
  // For K spheres, at the last forward().
  MatrixView<T> y_, f_;      // (d × n)
  MatrixView<T> radius_;     // (K × n)
  MatrixView<T> along_;      // Jy of each sphere, or (J + Jᵀ)y without a closed form (d × n)
  MatrixView<T> given_;      // directions V of tangent(), k for each sample (d × n·k)
  MatrixView<T> direction_;  // what the network gets: y of each sphere in a column of its own, or those of V
  MatrixView<T> image_;      // J times these
  MatrixView<T> direction_bar_, v_bar_;  // the gradients with respect to both
  MatrixView<T> y_bar_;                  // (d × n)
  MatrixView<T> x_bar_;                  // (d × n), the part that does not come through the network
  Index k_ = 0;                          // of the last tangent() since the last forward()
};

extern template class VectorField<float>;
extern template class VectorField<double>;
extern template class FieldState<float>;
extern template class FieldState<double>;

}  // namespace pushforward::ode
