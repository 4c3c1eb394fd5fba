#pragma once

// The planar flow [Rezende & Mohamed 2015, §4.1], taken as a map from data to latents:
//
//     z = x + û tanh(wᵀx + b),   log|det ∂z/∂x| = log(1 + (1 − tanh²) wᵀû)
//
// It is invertible when wᵀû > −1, which their reparametrization ensures: û = u + (m(wᵀu) − wᵀu) w/‖w‖² with
// m(t) = −1 + log(1 + eᵗ), so that wᵀû = m(wᵀu). u, w and b are trained; at first û = 0, and z = x.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/trained.hpp>

namespace pushforward::flow {

struct PlanarOptions {
  static constexpr const char* kind = "planar";
  static constexpr const char* help = "planar flow z = x + û tanh(wᵀx + b) [Rezende & Mohamed 2015]";
  OptionSet declare() { return {}; }
};

template <class T>
class Planar final : public Transform<T>, public Trained<T> {
 public:
  /// Adds `<name>/u` (d), `<name>/w` (d) and `<name>/b` (1) to the layout. seed, key: name the random stream of the
  /// first w.
  Planar(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const PlanarOptions& options,
         std::uint64_t seed, std::uint64_t key);

  std::string_view kind() const override { return "planar"; }
  const PlanarOptions& options() const { return options_; }
  Shape input_shape() const override { return shape_; }
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters, Normalization normalization) override;
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  /// If w = 0, statuses are not_finite.
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

 private:
  /// Value and derivatives of one sample. a: wᵀx + b.
  struct Point {
    double tanh, slope, determinant;
  };
  Point point(double a) const;
  double log_det_of(double determinant, Status& status) const;

  Shape shape_;
  PlanarOptions options_;
  std::uint64_t seed_, key_;
  Index u_offset_, w_offset_, b_offset_;
  std::vector<double> u_, w_, u_hat_;
  double b_ = 0;
  double square_ = 1;    // ‖w‖²
  double product_ = 0;   // wᵀu
  double softplus_ = 1;  // 1 + wᵀû
};

extern template class Planar<float>;
extern template class Planar<double>;

}  // namespace pushforward::flow
