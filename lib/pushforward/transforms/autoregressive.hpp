#pragma once

// Autoregressive transforms, on samples as vectors of d values in their order. One network with masks [Germain et al.
// 2015, MADE] gives θ_r of all values, each a function of those before and of the context u:
//
//     F: y ↦ z,   z_r = τ(y_r; θ_r(y_0 … y_{r−1}; u)),   log|det ∂F/∂y| = Σ log ∂τ/∂y_r.
//
// Masked autoregressive flow [Papamakarios et al. 2017, MAF]: forward is F, one pass of the network, and inverse solves
// row by row, d passes. With `inverse` [Kingma et al. 2016, IAF] they change places: forward = F⁻¹ takes d passes, with
// a gradient d more back, and inverse is F. A sample is exact when its d-th pass is done; nothing is iterated.
//
// θ_r is among the network's outputs r·m, r·m + 1, … (element_maps.hpp). One value works: θ depends on the context
// only. The network sees cos and sin of angles, which are on [−π, π) in z and x. Its last layer starts at zero: a fresh
// transform is the identity.

#include <pushforward/maps/element_maps.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/transform.hpp>
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
class Autoregressive final : public Transform<T> {
 public:
  /// Adds the network's parameters below `<name>/`. seed, key: see nn::Network. Throws OptionError or ShapeError where
  /// options do not fit each other or the samples.
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
  void forward(TransformState<T>& state, ConstMatrixView<T> x, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> z_bar, std::span<const T> weight, MatrixView<T> x_bar,
               std::span<T> gradient) const override;
  void inverse(TransformState<T>& state, ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;

 private:
  struct State;

  // z = F(y), and y = F⁻¹(z); log_det gains that of the direction.
  void evaluate(State& s, ConstMatrixView<T> y, MatrixView<T> z, std::span<double> log_det) const;
  void solve(State& s, ConstMatrixView<T> z, MatrixView<T> y, std::span<double> log_det) const;
  void reverse_of_evaluate(State& s, ConstMatrixView<T> z_bar, std::span<const T> weight, MatrixView<T> y_bar,
                           std::span<T> gradient) const;
  void reverse_of_solve(State& s, ConstMatrixView<T> y_bar, std::span<const T> weight, MatrixView<T> z_bar,
                        std::span<T> gradient) const;

  Shape shape_;
  bool inverse_;
  ElementMaps<T> maps_;
  nn::Network<T> network_;
};

extern template class Autoregressive<float>;
extern template class Autoregressive<double>;

}  // namespace pushforward::flow
