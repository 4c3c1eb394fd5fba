#pragma once

// Uniform dequantization [Uria et al. 2013; Theis et al. 2016]. Integers x ∈ {0, …, levels − 1} become z = (x +
// u)/levels in the unit cube, where u is uniform on (0, 1) and drawn anew in each pass. The mean of the log-density
// over u is a lower bound of the log-probability of x. The log-det is −d·log levels.
//
// This is not a bijection. The inverse, floor(levels·z), gives x back, but many z have the same x. So the inverse has
// no gradient. solve_transposed() is for the map x ↦ z with u held fixed.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/supported.hpp>
#include <pushforward/transforms/transform.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct DequantizeOptions {
  static constexpr const char* kind = "dequantize";
  static constexpr const char* help = "uniform noise on integers, divided by their number of levels";
  static constexpr TransformFacts facts{.is_fixed = true, .wants_integers = true};
  Index levels = 256;  ///< values are 0 … levels − 1; ≥ 2

  OptionSet declare();
};

template <class T>
class Dequantize final : public Transform<T>, public Supported {
 public:
  /// No parameters. Throws OptionError.
  Dequantize(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
             const DequantizeOptions& options);

  std::string_view kind() const override { return "dequantize"; }
  const DequantizeOptions& options() const { return options_; }
  Shape input_shape() const override { return shape_; }
  /// Returns (−1, levels). Only the integers in it are admitted.
  std::pair<double, double> support(Index row) const override;
  bool admits(Index row, double x) const override;
  std::string admitted(Index row) const override;
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const override;
  /// Draws u from batch.draws. If a value of a sample is no integer of the range, the sample's status is
  /// outside_support and its log-det −∞.
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const override;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const override;
  /// Values of z outside the unit interval go to 0 or levels − 1.
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const override;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const override;

 private:
  Shape shape_;
  DequantizeOptions options_;
};

extern template class Dequantize<float>;
extern template class Dequantize<double>;

}  // namespace pushforward::flow
