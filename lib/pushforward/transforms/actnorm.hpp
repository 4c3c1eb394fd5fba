#pragma once

// ActNorm [Kingma & Dhariwal 2018]: z = exp(log_scale) ∘ (x − shift), one scale and shift per channel, initialized so
// that its first batch comes out with mean 0 and standard deviation 1 per channel. Its log-det is Σ log_scale, times
// the number of pixels.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

struct ActNormOptions {
  static constexpr const char* kind = "actnorm";
  static constexpr const char* help =
      "a scale and a shift for each channel, from the first batch [Kingma & Dhariwal 2018]";
  OptionSet declare() { return {}; }
};

template <class T>
class ActNorm final : public Transform<T>, public Trained<T> {
 public:
  /// Adds `<name>/log_scale` and `<name>/shift` (channels) to the layout.
  ActNorm(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const ActNormOptions& options = {});

  const ActNormOptions& options() const { return options_; }

  std::string_view kind() const override { return "actnorm"; }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override;
  /// A channel that is constant in x keeps scale 1.
  void initialize_from_data(std::span<T> parameters, ConstMatrixView<T> x) const override;
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
  ActNormOptions options_;
  Index log_scale_offset_, shift_offset_;
  std::vector<T> scale_, shift_;
  double log_det_ = 0;
};

extern template class ActNorm<float>;
extern template class ActNorm<double>;

}  // namespace pushforward::flow
