#pragma once

// The residual block z = x + g(x; u), Lip(g) ≤ c < 1 in x [Behrmann et al. 2019, Theorem 1]. Its log-det is
// log|det(I + J)|, J = ∂g/∂x. J has no structure to exploit, so the log-det is exact or made by any estimator.
//
// g may depend on the context u in any way. Values of x that are angles enter g as their cosines and sines. So g has
// the period 2π in them, and its Lipschitz constant stays as it was. Then x + g is a bijection of the line that
// commutes with x ↦ x + 2π. Taken modulo 2π, it is a bijection of the circle.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/described.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/estimated.hpp>
#include <pushforward/transforms/trained.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

/// On images with kernels, g is convolutional and `hidden` are channels. Without kernels, it is dense over all values.
struct ResidualOptions {
  static constexpr const char* kind = "residual";
  static constexpr const char* help = "z = x + g(x), Lip(g) < 1 [Behrmann et al. 2019; Chen et al. 2019]";
  static constexpr TransformFacts facts{.takes_context = true};
  std::vector<Index> hidden{48, 48};  ///< widths of the hidden layers
  std::vector<Index> kernels{};       ///< odd sizes of the kernels, one more than hidden layers; empty: dense
  std::string activation = "lipswish";
  double lipschitz = 0.99;  ///< bound on the block's Lipschitz constant, in (0, 1)

  OptionSet declare();
  Domain output(const Domain& at) const;
  nn::NetworkOptions lipschitz_network(const Domain& at) const;
};

template <class T>
class ResidualBlock final : public Transform<T>, public Trained<T>, public Estimated<T>, public Described {
 public:
  /// Adds the network's parameters below `<name>/`. options.lipschitz < 1; in = out = shape.size(). seed, key: see
  /// nn::Network.
  ResidualBlock(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                const nn::NetworkOptions& options, std::uint64_t seed, std::uint64_t key);
  /// Takes the network of these options.
  ResidualBlock(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                const ResidualOptions& options, std::uint64_t seed, std::uint64_t key)
      : ResidualBlock(layout, name, domain.shape, options.lipschitz_network(domain), seed, key) {}

  std::string_view kind() const override { return "residual"; }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override { network_.initialize(parameters); }
  void prepare(std::span<const T> parameters, Normalization normalization) override {
    network_.prepare(parameters, normalization);
  }
  void add_state(StateSet& state, const std::string& name) override { network_.add_state(state, name); }
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
  /// Stops a sample when the bound ‖x − x*‖ ≤ ‖x + g(x) − z‖/(1 − L) is within tolerance. L is the block's Lipschitz
  /// constant as of the last prepare(). If that was by SVD, the bound is guaranteed. A step that does not shrink the
  /// residual by L is replaced by the Banach step, which does. Samples that are done leave the batch.
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  /// Uses the inverse of I + J if an exact log-det through the input has left it. Otherwise forms J in d passes back
  /// through the network, and takes the LU of I + J. The first call allocates the memory for that, d² values a sample.
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;
  void set_log_det(Pass pass, const logdet::Method& method) override;
  const logdet::Method& log_det(Pass pass) const override { return estimator(pass).method(); }
  bool takes(const logdet::Method& method) const override { return method.kind() != logdet::HutchinsonOptions::kind; }
  const nn::Network<T>* lipschitz_network() const override { return &network_; }
  /// The number of layers, their norms, and the product of the norms, which bounds the Lipschitz constant.
  std::vector<Attribute> describe() const override;

 private:
  const logdet::Estimator<T>& estimator(Pass pass) const { return pass == Pass::gradient ? *training_ : *evaluation_; }
  /// Takes angles to [−π, π).
  void wrap(MatrixView<T> x) const;

  Shape shape_;
  nn::Network<T> network_;
  std::unique_ptr<logdet::Estimator<T>> evaluation_, training_;  // of passes without and with a gradient
};

extern template class ResidualBlock<float>;
extern template class ResidualBlock<double>;

}  // namespace pushforward::flow
