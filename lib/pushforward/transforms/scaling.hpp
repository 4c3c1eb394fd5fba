#pragma once

// A scaling of each value, z = exp(log_scale) ∘ x: the diagonal at the end of NICE [Dinh et al. 2015]. Its log-det is
// Σ log_scale. Unlike ActNorm's, the scales belong to values, not to channels, and begin at 1.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

struct ScalingOptions {
  static constexpr const char* kind = "scaling";
  static constexpr const char* help = "a scale for each value";
  OptionSet declare() { return {}; }
};

template <class T>
class Scaling final : public Transform<T>, public Trained<T> {
 public:
  /// Adds `<name>/log_scale` (d) to the layout.
  Scaling(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const ScalingOptions& options = {});

  std::string_view kind() const override { return "scaling"; }
  const ScalingOptions& options() const { return options_; }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters, Normalization normalization) override;
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

 private:
  Shape shape_;
  ScalingOptions options_;
  Index log_scale_offset_;
  std::vector<T> scale_;
  double log_det_ = 0;
};

extern template class Scaling<float>;
extern template class Scaling<double>;

}  // namespace pushforward::flow
