#pragma once

// Checks of a model against first principles: independent of the passes that they check, and far too slow for anything
// else.

#include <pushforward/model/model.hpp>

namespace pushforward::flow {

/// The levels of integers that a flow dequantizes, wherever in its chain; 0 where it does not.
Index levels_of(const Architecture& architecture);
/// The same model behind its dequantization, on what that makes of data: it is no bijection. The model has one. Throws
/// OptionError for one behind a split, of which the rest is no flow on samples of the same size.
Model<double> behind_dequantization(const Model<double>& model);
/// What data x (d × n) is there, noise being ½: (d × n).
Matrix<double> dequantized(const Model<double>& model, ConstMatrixView<double> x);

/// log|det ∂z/∂x| of the whole model (standardization included) at one x (d) and context (c), nats: LU of its dense
/// Jacobian by central differences of fourth order. Of the steps 10⁻³, 10⁻⁴ … 10⁻⁷, relative to each column's scale,
/// those two neighbors count that agree best: smooth flows want large ones, against rounding, and splines with narrow
/// bins small ones. Error about 1e-9 for smooth flows of moderate log-det. No log-det of the model is computed. Throws
/// NumericalError where no two neighbors have a Jacobian that is regular. bytes: of the passes, beside the Jacobian.
double dense_log_det(const Model<double>& model, std::span<const double> x, std::span<const double> context = {},
                     Index bytes = default_workspace_bytes);

/// The largest difference, in nats, between the log-det of the model's own passes and dense_log_det(), over samples x
/// (d × n) and contexts (c × n). A sample that fails makes it infinite. bytes: memory of the passes.
double log_det_error(const Model<double>& model, ConstMatrixView<double> x, ConstMatrixView<double> context = {},
                     Index bytes = default_workspace_bytes);

/// Errors of going there and back. All of them are infinite if a sample fails in any pass.
struct RoundTrip {
  double data = 0;     ///< max ‖f⁻¹(f(x)) − x‖∞, in standardized units
  double latent = 0;   ///< max ‖f(f⁻¹(z)) − z‖∞
  double log_det = 0;  ///< max |log-det forward + log-det inverse|, nats

  /// The largest of the three errors. An error that is NaN counts as infinite.
  double largest() const;
};

/// Takes samples x (d × n) to the latents z = f(x), back to data, and to latents again. bytes: memory of the passes,
/// enough for one sample at least.
RoundTrip round_trip(const Model<double>& model, ConstMatrixView<double> x, const InverseOptions& options,
                     ConstMatrixView<double> context = {}, Index bytes = default_workspace_bytes);

}  // namespace pushforward::flow
