#pragma once

// A network g: ℝᵈ → ℝᵉ, dense or convolutional, in its four passes, on a batch of n samples, one per column:
//
//   forward     y = g(x), keeping what the other passes need
//   tangent     T ↦ J T for k tangents per sample, J = ∂g/∂x                          (JVP)
//   cotangent   U ↦ Jᵀ U likewise                                                     (VJP)
//   reverse     of value and tangents together: the gradient with respect to parameters and x of
//               Σᵢ ȳᵢ·g(xᵢ) + Σᵢⱼ uᵢⱼᵀ J(xᵢ) vᵢⱼ                       (reverse mode over the forward-mode pass)
//
// Layers: a₁ = W₁x + b₁, hₗ = φ(aₗ), aₗ₊₁ = Wₗ₊₁hₗ + bₗ₊₁, y = a_L. The k tangents of a sample stand in adjacent
// columns, and all tangents of all samples go through a layer as one matrix product. For V = I the tangents of the
// first layer are its weight, so they need no product and are the same for every sample. A convolution has its matrix
// instead.
//
// A context u per sample enters through the first layer, a₁ = W₁x + U u + b₁, and is the same at every pixel. U has no
// Lipschitz bound, because g is a contraction in x only and u is a constant there. The first layer takes the cosine and
// sine of angles (angle_features.hpp). The weights of an autoregressive network have masks (autoregressive.hpp).
//
// The first values of u may also scale and shift the pre-activations of each hidden layer (gates.hpp).
//
// Let T̂ₗ = W τₗ₋₁ and τₗ = φ′(aₗ) ∘ T̂ₗ. The reverse of layer l first takes [h̄ₗ | τ̄ₗ] to [āₗ | T̄ₗ] elementwise
// (activation.hpp). Then W̄ₗ += [āₗ | T̄ₗ][hₗ₋₁ | τₗ₋₁]ᵀ, b̄ₗ += Σ āₗ, and [h̄ₗ₋₁ | τ̄ₗ₋₁] = Wₗᵀ[āₗ | T̄ₗ]. Values and
// tangents lie side by side in memory, so each of these is one product.

#include <pushforward/linalg/workspace.hpp>
#include <pushforward/nn/angle_features.hpp>
#include <pushforward/nn/gates.hpp>
#include <pushforward/nn/layer.hpp>
#include <pushforward/nn/network_options.hpp>

#include <memory>

namespace pushforward::nn {

/// The purpose of a pass, which determines the memory that it needs.
enum class Pass {
  evaluate,  ///< values and log-determinants
  gradient,  ///< values, log-determinants and the reverse pass that follows
  map_only   ///< values alone
};

/// The directions of a tangent pass: k per sample, or the columns of the identity for every sample (k = width of x).
template <class T>
class Directions {
 public:
  /// v: (d × n·k).
  static Directions given(ConstMatrixView<T> v, Index k) { return {v, k, false}; }
  static Directions identity(Index d) { return {{}, d, true}; }

  ConstMatrixView<T> v;
  Index k = 0;
  bool is_identity = false;

 private:
  Directions(ConstMatrixView<T> view, Index count, bool identity) : v(view), k(count), is_identity(identity) {}
};

template <class T>
class Network;

/// Whether a state for a gradient keeps φ″. The gradient of values needs none; that of tangents and of slopes does.
enum class Curvature : std::int8_t { none, kept };

/// The memory of a network's passes for up to n samples with up to k tangents each, carved from a workspace.
/// `kept` must live from forward to reverse; `scratch` only during one pass. Without curvature, k is 0 and there is no
/// slope_bar().
template <class T>
class NetworkState {
 public:
  NetworkState(const Network<T>& network, linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Index k,
               Pass pass, Curvature curvature = Curvature::kept);

  Index capacity() const { return n_max_; }
  Pass pass() const { return pass_; }
  /// Samples of the last forward().
  Index samples() const { return n_; }
  /// [ȳ | U]: (e × n(1 + k)), the cotangents that reverse() starts from. The caller fills them. n is that of the last
  /// forward().
  MatrixView<T> value_seed() const { return seed_.columns(0, n_); }
  MatrixView<T> tangent_seed(Index k) const { return seed_.columns(n_, n_ * k); }

  /// φ′ of hidden layer l at the last forward(), times its gates: (w × n).
  ConstMatrixView<T> slope(Index l) const { return hidden_[l].first.columns(0, n_); }
  /// Further cotangents of slope(l), (w × n). reverse() adds them to the cotangents that come from the tangents.
  /// The caller fills them for all hidden layers or for none. forward() clears them.
  MatrixView<T> slope_bar(Index l) {
    has_slope_bar_ = true;
    return hidden_[l].first_bar.columns(0, n_);
  }

 private:
  friend class Network<T>;

  struct Hidden {
    MatrixView<T> a;              // (w × n)
    MatrixView<T> values;         // [h | τ]: (w × n(1 + k))
    MatrixView<T> first, second;  // φ′, φ″, times γ and γ² if there are gates: (w × n)
    MatrixView<T> first_bar;      // cotangents of the first: (w × n)
    MatrixView<T> tangents;       // T̂: (w × n·k); empty in the first layer of identity directions
    MatrixView<T> gate, product;  // γ and W h (w × n), if there are gates
  };

  std::vector<Hidden> hidden_;
  MatrixView<T> seed_;
  MatrixView<T> features_;      // of angles, [f | ∂f V]: (F × n(1 + k)), for evaluation (F × n); empty without
  MatrixView<T> first_matrix_;  // of a convolution in the first layer, for identity directions: (w × d)
  std::span<T> ping_, pong_;    // (w × n(1 + k)) each, for the widest w
  std::span<T> scratch_;        // of the layers
  std::span<T> shift_;          // b + U u of the first layer (channels), if all samples share u
  ConstMatrixView<T> x_, context_, v_;
  Index n_max_, k_max_;
  Pass pass_;
  Index n_ = 0, k_ = 0;
  bool identity_ = false;
  bool has_slope_bar_ = false;
};

template <class T>
class Network {
 public:
  /// Adds the parameters `<name>/layer_<l>/weight` and `…/bias` to the layout. If the activation has a slope, it adds
  /// `…/log_beta`. If there is a context, it adds `…/context` (channels × context) to layer 0. If there are gates, it
  /// adds `…/gate` to hidden layers, and `…/shift` to those after the first. seed, key: the names of the random streams
  /// of initial weights and power iterations. Throws OptionError if options contradict each other or the activation is
  /// unknown.
  Network(ParameterLayout& layout, const std::string& name, const NetworkOptions& options, std::uint64_t seed,
          std::uint64_t key);

  const NetworkOptions& options() const { return options_; }
  const std::vector<std::unique_ptr<Layer<T>>>& layers() const { return layers_; }
  /// One for each hidden layer, or none.
  const std::vector<Gates<T>>& gates() const { return gates_; }
  Index in() const { return options_.in; }
  Index out() const { return options_.out; }
  /// The largest number of values that a sample has in any layer.
  Index widest() const;

  /// Draws random hidden layers and sets the last layer to zero, so that g = 0.
  void initialize(std::span<T> parameters) const;
  /// Computes effective weights and slopes from the parameters. Call it whenever the parameters have changed.
  void prepare(std::span<const T> parameters, Normalization normalization);
  /// Turns a gradient with respect to effective weights into the gradient with respect to the parameters, in place.
  void gradient_of_raw_parameters(std::span<T> gradient) const;
  /// Overwrites the weights in the parameter buffer with the effective weights.
  void bake_normalization(std::span<T> parameters) const;
  /// What prepare() keeps for its next call, of each layer whose norm is bounded.
  void add_state(StateSet& state, const std::string& name);
  /// Returns the product of the layers' norms. After prepare(…, svd) it is a certified upper bound on Lip(g). After a
  /// power iteration it may be too small. It is infinite if the norms are free.
  double lipschitz() const;

  /// x: (in × n) in, to stay valid until reverse(). y: (out × n) out. u: (context × n) in, to stay valid until
  /// reverse(), or empty without a context. Without gates it may be (context × 1), which all samples then share; that
  /// costs less.
  void forward(NetworkState<T>& state, ConstMatrixView<T> x, MatrixView<T> y, ConstMatrixView<T> u = {}) const;
  /// Computes tangents at the x of the last forward(). jv: (out × n·k) out. If jv is empty, the tangents are only kept
  /// for reverse().
  void tangent(NetworkState<T>& state, const Directions<T>& v, MatrixView<T> jv) const;
  /// u: (out × n·k) in; jtu: (in × n·k) out, must not alias u. At the x of the last forward(); k up to the state's.
  void cotangent(NetworkState<T>& state, ConstMatrixView<T> u, Index k, MatrixView<T> jtu) const;
  /// Starts from the state's seeds. U belongs to the directions of the last tangent(). If there was no tangent() since
  /// the last forward(), k is 0. gradient: the flat buffer, added to, with respect to *effective* weights. If it is
  /// empty, that part is left out. x_bar: (in × n) out; without tangents it may be empty, and that part is left out.
  /// v_bar: (in × n·k) out, Jᵀ U, the gradient with respect to the given directions; if it is empty, that part is left
  /// out. The caller may fill the seeds anew and call it again.
  void reverse(NetworkState<T>& state, MatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> v_bar = {}) const;

 private:
  friend class NetworkState<T>;

  std::unique_ptr<Layer<T>> make_layer(ParameterLayout& layout, const std::string& path, Index l) const;
  bool has_context() const { return options_.context > 0; }
  MatrixView<T> context_in(std::span<T> buffer) const;
  bool shares_context(const NetworkState<T>& s) const { return has_context() && s.context_.cols() == 1; }
  // Returns b of a layer, with U u for the first one if all samples share u.
  std::span<const T> bias(const NetworkState<T>& s, Index l) const;
  // The matrix that layer 0 multiplied with its weight in the last forward().
  ConstMatrixView<T> first_input(const NetworkState<T>& s) const;
  // The matrix of layer 0, after a tangent pass with identity directions.
  ConstMatrixView<T> first_matrix(const NetworkState<T>& s) const;
  void add_context(const NetworkState<T>& s, MatrixView<T> a) const;
  // The values of u that gates depend on.
  ConstMatrixView<T> gate_context(const NetworkState<T>& s) const {
    return s.context_.block(0, 0, options_.gates, s.n_);
  }
  void tangents_of_identity(NetworkState<T>& s, MatrixView<T> t) const;
  void reverse_first_layer(NetworkState<T>& s, ConstMatrixView<T> bar, MatrixView<T> x_bar, std::span<T> gradient,
                           MatrixView<T> v_bar) const;
  // The gradients of what is added to products in layer l, and of its gates. bar: [p̄ | T̄] of the layer.
  void reverse_shifts(NetworkState<T>& s, Index l, ConstMatrixView<T> bar, std::span<T> gradient) const;
  void reverse_context(NetworkState<T>& s, ConstMatrixView<T> a_bar, std::span<T> gradient) const;

  NetworkOptions options_;
  const ActivationKind* activation_;
  std::uint64_t seed_, key_;
  AngleFeatures<T> features_;
  std::vector<std::unique_ptr<Layer<T>>> layers_;
  Index context_offset_ = 0;          // of U in the flat buffers
  Matrix<T> context_weight_;          // U
  std::vector<Gates<T>> gates_;       // per hidden layer, or none
  std::vector<Index> slope_offsets_;  // of log β in the flat buffers, per hidden layer
  std::vector<T> slopes_;             // β
};

extern template class NetworkState<float>;
extern template class NetworkState<double>;
extern template class Network<float>;
extern template class Network<double>;

}  // namespace pushforward::nn
