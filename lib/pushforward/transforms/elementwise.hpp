#pragma once

// A fixed increasing function of single values, z = f((x − shift)/scale) (scalar_function.hpp). It carries data on a
// half-line or an interval to the line, and textbook densities are made with it. Nothing is trained. For each sample,
//
//     log|det ∂z/∂x| = Σ (log f′(u) − log scale),   u = (x − shift)/scale.
//
// p(x) = 0 if forward() meets a value outside the domain of f, if inverse() meets a value that f does not take, or if
// f′ = 0 (a cube at u = 0). The sample's status is outside_support then, and its log-det is −∞ in forward() and +∞ in
// inverse(). If f′ = ∞ (a cube root at u = 0), the density is +∞. The log-det says so, and the status stays.

#include <pushforward/core/option_set.hpp>
#include <pushforward/maps/scalar_function.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/supported.hpp>
#include <pushforward/transforms/transform.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct ElementwiseOptions {
  static constexpr const char* kind = "elementwise";
  static constexpr const char* help = "a fixed increasing function of single values";
  static constexpr TransformFacts facts{.is_fixed = true, .has_units = true};
  std::string function = "affine";  ///< one of function_names()
  std::vector<Index> columns{};     ///< values it is applied to, from 0; empty: all
  double shift = 0;                 ///< subtracted first
  double scale = 1;                 ///< divided by afterwards, > 0
  double slope = 0.1;               ///< leaky: slope below 0, > 0
  double margin = 0;                ///< α of logit and sigmoid, in [0, ½)

  OptionSet declare();
  Domain output(const Domain& at) const;
  Bounds bounds() const;
};

template <class T>
class Elementwise final : public Transform<T>, public Supported {
 public:
  /// No parameters. Throws OptionError, also for a slope or margin that the function does not have.
  Elementwise(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
              const ElementwiseOptions& options);

  std::string_view kind() const override { return "elementwise"; }
  const ElementwiseOptions& options() const { return options_; }
  Shape input_shape() const override { return shape_; }
  std::pair<double, double> support(Index row) const override;
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
  ElementwiseOptions options_;
  ScalarFunction function_, inverse_;
  std::vector<Index> rows_;  // those that the function is applied to
};

extern template class Elementwise<float>;
extern template class Elementwise<double>;

}  // namespace pushforward::flow
