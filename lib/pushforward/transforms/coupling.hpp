#pragma once

// Coupling [Dinh et al. 2015, 2017]. Some values of a sample, x_P, stay as they are. The others, x_A, are mapped one by
// one. A network makes the parameters of these maps from x_P and the context u:
//
//     z_P = x_P,   z_r = τ(x_r; θ_r(x_P; u)) for r in A,   log|det ∂z/∂x| = Σ_A log ∂τ/∂x_r,
//
// So the inverse takes one pass of the network as well, and any network will do. `mask` names x_P:
//
//     first, second               the first ⌈c/2⌉ of c, or the others
//     even, odd                   those with an even number, counted from 0, or the others
//     checkerboard[-odd]          pixels whose row + column is even (odd), with all their channels
//
// The first four divide the channels of an image, or the values of a vector; c is their number.
//
// A value that is mapped has m outputs of the network, and θ_r is among them (element_maps.hpp):
//   dense                         it sees x_P in order; the k-th value of x_A has the outputs k·m, k·m + 1, …
//   convolutional, channels       it sees x_P as an image; the k-th value of x_A has the outputs k·m, k·m + 1, …
//   convolutional, checkerboard   it sees the whole image with x_A = 0; value r has the outputs r·m, r·m + 1, …
// Angles are on [−π, π) in z and x, whether they are mapped or stay, and the network sees their cos and sin. The
// network's last layer starts at zero, so that a fresh coupling is the identity.

#include <pushforward/maps/element_maps.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/trained.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct CouplingOptions {
  static constexpr const char* kind = "coupling";
  static constexpr const char* help =
      "some values stay, a network makes of them the maps of the others [Dinh et al. 2015, 2017]";
  static constexpr TransformFacts facts{.takes_context = true};
  std::string mask = "even";  ///< first, second, even, odd: of vectors and channels; checkerboard, checkerboard-odd
  ScalarMapOptions map{};     ///< angles take the map that its kind has for a circle
  std::vector<Index> hidden{128, 128};
  std::vector<Index> kernels{};  ///< as in ResidualOptions
  std::string activation = "lipswish";

  OptionSet declare();
  Domain output(const Domain& at) const;
};

/// The rows of a sample that a mask keeps, and the rows that the coupling maps.
struct CouplingMask {
  std::vector<Index> passive;  ///< rows that stay
  std::vector<Index> active;   ///< rows that are mapped; both ascending
  bool checkerboard = false;

  /// Throws OptionError, or ShapeError if no value would stay or none would be mapped.
  CouplingMask(const std::string& name, const Shape& shape);
};

template <class T>
class Coupling final : public Transform<T>, public Trained<T> {
 public:
  /// Adds the network's parameters below `<name>/`. seed, key: see nn::Network. Throws OptionError or ShapeError if
  /// the options do not fit each other or the samples.
  Coupling(nn::ParameterLayout& layout, const std::string& name, const Domain& domain, const CouplingOptions& options,
           std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "coupling"; }
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
  /// Takes one pass of the network, as do reverse() and inverse().
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

 private:
  struct State;
  struct Passive {
    Index row;    // of a sample
    Index place;  // in what the network sees
  };

  Coupling(nn::ParameterLayout& layout, const std::string& name, const Domain& domain, const CouplingOptions& options,
           const CouplingMask& mask, std::uint64_t seed, std::uint64_t key);
  // Writes the passive rows of the batch to `to`, the parameters that the network makes of them to s.theta, and the
  // active rows to s.active.
  void condition(State& s, const Batch<T>& batch, MatrixView<T> to) const;

  Shape shape_;
  std::vector<Passive> passive_, angles_;  // angles_: the passive rows that are angles
  std::vector<Index> active_;
  ElementMaps<T> maps_;
  nn::Network<T> network_;
};

extern template class Coupling<float>;
extern template class Coupling<double>;

}  // namespace pushforward::flow
