#pragma once

// A linear map of the channels, z = W x + b, the same at every pixel. On images it is a 1 × 1 convolution [Kingma &
// Dhariwal 2018], on vectors an LU-linear layer. Its log-det is log|det W| times the number of pixels. W (c × c) has
// one of three forms:
//
//   dense        W itself
//   plu          W = P L (U + diag(s)), P a fixed permutation, L unit lower and U strictly upper triangular,
//                s = sign·exp(log|s|) with fixed signs: log|det W| = Σ log|s|, and the inverse is two triangular solves
//   householder  W = H_K … H_1, H = I − 2vvᵀ/‖v‖²: orthogonal, log|det W| = 0 [Tomczak & Welling 2016]
//
// The initial W is a random orthogonal matrix for dense and plu. For householder the reflections are random. b is 0.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/linear_form.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

template <class T>
class Linear final : public Transform<T>, public Trained<T> {
 public:
  /// Adds the parameters of the form and `<name>/bias` (c). dense has `<name>/weight` (c × c). plu has `<name>/lu`
  /// (c × c), with L below the diagonal, U above it and log|s| on it. householder has `<name>/vectors` (c × K). seed,
  /// key: name the random stream of the initial values. Throws OptionError.
  Linear(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const LinearOptions& options,
         std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "linear"; }
  /// The options as resolved: with P and the signs of plu, and the number of reflections. With these, the same
  /// parameters make the same transform with any seed.
  const LinearOptions& resolved_options() const { return form_->options(); }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters, Normalization normalization) override;
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  /// If log|det W| is not finite or a reflection's vector is 0, statuses are not_finite.
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

 private:
  double log_det() const { return static_cast<double>(shape_.pixels()) * form_->log_det(); }
  void mark(std::span<Status> status) const;

  Shape shape_;
  std::unique_ptr<LinearForm<T>> form_;
  Index bias_offset_ = 0;
  std::vector<T> bias_;  // empty if there is none
};

extern template class Linear<float>;
extern template class Linear<double>;

}  // namespace pushforward::flow
