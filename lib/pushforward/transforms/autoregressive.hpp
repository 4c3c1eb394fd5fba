#pragma once

// The masked autoregressive flow [Papamakarios et al. 2017, MAF]. It takes samples as vectors of d values in their
// order. One network with masks [Germain et al. 2015, MADE] gives θ_r for all values r. θ_r is a function of the values
// before r and of the context u:
//
//     z_r = τ(x_r; θ_r(x_0 … x_{r−1}; u)),   log|det ∂z/∂x| = Σ log ∂τ/∂x_r.
//
// forward() takes one pass of the network. inverse() solves row by row and is exact after d passes: nothing is
// iterated. solve_transposed() takes d − 1 passes back. The inverse autoregressive flow [Kingma et al. 2016, IAF] is
// the Inverse (inverse.hpp) of this transform.
//
// θ_r is among the network's outputs r·m, r·m + 1, … (element_maps.hpp). If d = 1, θ depends on the context only.
// Angles are on [−π, π) in z and x, and the network sees their cos and sin. The network's last layer starts at zero, so
// that a fresh transform is the identity.

#include <pushforward/maps/element_maps.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/inverse.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct AutoregressiveOptions {
  static constexpr const char* kind = "autoregressive";
  static constexpr const char* help =
      "masked autoregressive flow [Papamakarios et al. 2017] or its inverse [Kingma et al. 2016]";
  static constexpr TransformFacts facts{.takes_context = true};
  ScalarMapOptions map{};  ///< angles take the map that its kind has for a circle
  std::vector<Index> hidden{128, 128};
  std::string activation = "lipswish";
  bool inverse = false;  ///< IAF: fast to sample from, slow to train

  OptionSet declare();
  Domain output(const Domain& at) const { return at; }
};

template <class T>
class Autoregressive final : public Transform<T>, public Trained<T>, public FusedInverse<T> {
 public:
  /// Adds the network's parameters below `<name>/`. seed, key: see nn::Network. Throws OptionError or ShapeError if
  /// the options do not fit each other or the samples. Ignores options.inverse.
  Autoregressive(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                 const AutoregressiveOptions& options, std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "autoregressive"; }
  Shape input_shape() const override { return shape_; }
  const nn::Network<T>& network() const { return network_; }
  void initialize(std::span<T> parameters) const override { network_.initialize(parameters); }
  void prepare(std::span<const T> parameters, Normalization normalization) override {
    network_.prepare(parameters, normalization);
  }
  void gradient_of_raw_parameters(std::span<T> gradient) const override {
    network_.gradient_of_raw_parameters(gradient);
  }
  void bake_normalization(std::span<T> parameters) const override { network_.bake_normalization(parameters); }
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

  ConstMatrixView<T> solution(const TransformState<T>& state, Index n) const override;
  void reverse_of_fused_inverse(TransformState<T>& state, ConstMatrixView<T> x_bar, std::span<const T> weight,
                                MatrixView<T> z_bar, std::span<T> gradient) const override;

 private:
  struct State;

  // Solves Jᵀλ = b − w ∇ₓ log|det J| for w = `weight`. Leaves θ̄ of Σ λ·z + w·log|det J| in the network's value seed.
  void substitute_back(State& s, ConstMatrixView<T> x, ConstMatrixView<T> b, std::span<const T> weight,
                       MatrixView<T> lambda) const;

  Shape shape_;
  ElementMaps<T> maps_;
  nn::Network<T> network_;
};

extern template class Autoregressive<float>;
extern template class Autoregressive<double>;

}  // namespace pushforward::flow
