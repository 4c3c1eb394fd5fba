#pragma once

// Inverses of transforms as subjects of the kit of invariants.

#include "subjects.hpp"

namespace pushforward::test {

/// A transform that works, but whose transposed solve is off by a factor. It hides a fused inverse, so that with a
/// factor of 1 the gradient of its Inverse is the one of reverse_of_inverse().
template <class T>
class ScaledSolve final : public flow::Transform<T>, public flow::Trained<T> {
 public:
  ScaledSolve(std::unique_ptr<flow::Transform<T>> inner, double factor)
      : inner_(std::move(inner)), factor_(static_cast<T>(factor)) {}

  std::string_view kind() const override { return inner_->kind(); }
  Shape input_shape() const override { return inner_->input_shape(); }
  Shape output_shape() const override { return inner_->output_shape(); }
  void initialize(std::span<T> parameters) const override { test::initialize<T>(*inner_, parameters); }
  void prepare(std::span<const T> parameters, nn::Normalization normalization) override {
    test::prepare<T>(*inner_, parameters, normalization);
  }
  void gradient_of_raw_parameters(std::span<T> gradient) const override {
    test::gradient_of_raw_parameters<T>(*inner_, gradient);
  }
  std::unique_ptr<flow::TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                nn::Pass pass) const override {
    return inner_->plan(kept, scratch, n, pass);
  }
  void forward(flow::TransformState<T>& state, const flow::Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<flow::Status> status) const override {
    inner_->forward(state, batch, z, log_det, status);
  }
  void inverse(flow::TransformState<T>& state, const flow::Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<flow::Status> status, const flow::InverseOptions& options) const override {
    inner_->inverse(state, batch, x, log_det, status, options);
  }
  void reverse(flow::TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
               std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const override {
    inner_->reverse(state, x, z_bar, weight, x_bar, gradient);
  }
  void solve_transposed(flow::TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override {
    inner_->solve_transposed(state, x, b, lambda);
    for (Index j = 0; j < lambda.cols(); ++j) {
      for (T& value : lambda.column_span(j)) value *= factor_;
    }
  }

 private:
  std::unique_ptr<flow::Transform<T>> inner_;
  T factor_;
};

/// The inverse of the transform that make(layout) gives, of d values.
template <class T, class F>
std::unique_ptr<Subject<T>> make_inverse_subject(Index d, F&& make, double factor) {
  return std::make_unique<TransformSubject<T>>(d, [&](nn::ParameterLayout& layout) {
    return std::make_unique<flow::Inverse<T>>(std::make_unique<ScaledSolve<T>>(make(layout), factor));
  });
}

}  // namespace pushforward::test
