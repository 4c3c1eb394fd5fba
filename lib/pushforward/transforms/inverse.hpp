#pragma once

// The inverse of a transform as a transform, and the gradient through an inverse.
//
// Let x = f⁻¹(z; φ), J = ∂f/∂x, and consider the scalar x̄·x + w·log|det J|. From f(x; φ) = z follows
// dx = J⁻¹(dz − ∂f/∂φ dφ), so that with
//
//     λ = J⁻ᵀ(x̄ + w ∇ₓ log|det J|):   z̄ = λ,   φ̄ = −(∂f/∂φ)ᵀλ + w ∂ log|det J|/∂φ.
//
// Transform::reverse() is affine in z̄. With z̄ = 0 it gives w ∇ₓ log|det J|. With z̄ = −λ its gradient of the
// parameters is φ̄. So two calls of reverse() and one of solve_transposed() differentiate the inverse of any kind.

#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

/// The gradient of Σᵢ x̄ᵢ·xᵢ + Σᵢ wᵢ·log|det J|ᵢ for x = f⁻¹(z), at the x of the last forward() of the state, which is
/// planned for Pass::gradient. Mind the sign: w belongs to the log-det of f, not to the log-det of its inverse. x,
/// x_bar: (d × n) in. weight: (n) in, of any sign, or empty if all are 1. z_bar: (d × n) out. gradient: the flow's flat
/// buffer, added to, with respect to effective parameters; if it is empty, that part is left out. scratch, more: (d ×
/// n). z_bar may be x_bar; otherwise no two of these may alias each other.
template <class T>
void reverse_of_inverse(const Transform<T>& transform, TransformState<T>& state, ConstMatrixView<T> x,
                        ConstMatrixView<T> x_bar, std::span<const T> weight, MatrixView<T> z_bar, std::span<T> gradient,
                        MatrixView<T> scratch, MatrixView<T> more);

/// The interface of transforms with a gradient of the inverse that is cheaper than reverse_of_inverse(). Their
/// inverse() also takes states that are planned for Pass::gradient.
template <class T>
class FusedInverse {
 public:
  virtual ~FusedInverse() = default;

  /// Returns the x (d × n) that the last inverse() of n samples on this state has found.
  virtual ConstMatrixView<T> solution(const TransformState<T>& state, Index n) const = 0;
  /// The gradient of Σᵢ x̄ᵢ·xᵢ + Σᵢ wᵢ·log|det ∂x/∂z|ᵢ after inverse() on a state that is planned for Pass::gradient.
  /// x_bar: (d × n) in. weight: (n) in, or empty if all are 1. z_bar: (d × n) out, must not alias x_bar. gradient: as
  /// in Transform::reverse().
  virtual void reverse_of_fused_inverse(TransformState<T>& state, ConstMatrixView<T> x_bar, std::span<const T> weight,
                                        MatrixView<T> z_bar, std::span<T> gradient) const = 0;
};

/// The inverse of a transform. forward() inverts `inner`, with a tolerance of 1e-13 if it iterates, and inverse() is
/// the forward() of `inner`. An inverse autoregressive flow is the Inverse of a masked one.
template <class T>
class Inverse final : public Transform<T>, public Trained<T> {
 public:
  /// Throws ShapeError if `inner` factors values out.
  explicit Inverse(std::unique_ptr<Transform<T>> inner);

  std::string_view kind() const override { return inner_->kind(); }
  Shape input_shape() const override { return inner_->output_shape(); }
  Shape output_shape() const override { return inner_->input_shape(); }
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters, Normalization normalization) override;
  void gradient_of_raw_parameters(std::span<T> gradient) const override;
  void bake_normalization(std::span<T> parameters) const override;
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

 private:
  struct State;

  std::unique_ptr<Transform<T>> inner_;
  Trained<T>* trained_;           // inner_, or null
  const FusedInverse<T>* fused_;  // inner_, or null
};

extern template void reverse_of_inverse(const Transform<float>&, TransformState<float>&, ConstMatrixView<float>,
                                        ConstMatrixView<float>, std::span<const float>, MatrixView<float>,
                                        std::span<float>, MatrixView<float>, MatrixView<float>);
extern template void reverse_of_inverse(const Transform<double>&, TransformState<double>&, ConstMatrixView<double>,
                                        ConstMatrixView<double>, std::span<const double>, MatrixView<double>,
                                        std::span<double>, MatrixView<double>, MatrixView<double>);
extern template class Inverse<float>;
extern template class Inverse<double>;

}  // namespace pushforward::flow
