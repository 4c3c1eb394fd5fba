#pragma once

// The radial flow [Rezende & Mohamed 2015, §4.1], taken as a map from data to latents: about a center x₀, with
// r = ‖x − x₀‖, α > 0 and β̂ > −α,
//
//     z = x + β̂ (x − x₀)/(α + r).
//
// β̂ = −α + s with s = log(1 + e^β) > 0 makes it invertible. With q = 1 + β̂/(α + r) = (r + s)/(α + r),
//
//     z = x₀ + q (x − x₀),   log|det ∂z/∂x| = (d − 1) log q + log((r² + 2αr + αs)/(α + r)²),
//
// where all sums have positive terms only. x₀, log α and β are trained; at first s = α = 1, and z = x.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

struct RadialOptions {
  static constexpr const char* kind = "radial";
  static constexpr const char* help = "radial flow about a trained center [Rezende & Mohamed 2015]";
  OptionSet declare() { return {}; }
};

template <class T>
class Radial final : public Transform<T>, public Trained<T> {
 public:
  /// Adds `<name>/center` (d), `<name>/log_alpha` (1) and `<name>/beta` (1) to the layout. seed, key: name the
  /// random stream of the first center, which is N(0, I).
  Radial(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const RadialOptions& options,
         std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "radial"; }
  const RadialOptions& options() const { return options_; }
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
  double distance(const T* x) const;
  double log_det_at(double r) const;

  Shape shape_;
  RadialOptions options_;
  std::uint64_t seed_, key_;
  Index center_offset_, log_alpha_offset_, beta_offset_;
  std::vector<double> center_;
  double alpha_ = 1, beta_ = 0, softplus_ = 1;  // α, β, s
};

extern template class Radial<float>;
extern template class Radial<double>;

}  // namespace pushforward::flow
