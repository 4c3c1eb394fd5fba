#pragma once

// Checks of a model against first principles. They are independent of the passes that they check, and far too slow for
// any other use.

#include <pushforward/model/model.hpp>

namespace pushforward::flow {

/// Returns the number of integer levels that a flow dequantizes, at any place in its chain, or 0 if it does not.
Index levels_of(const Architecture& architecture);
/// Returns the part of the model that follows its dequantization. The dequantization itself is not a bijection. The
/// model must have one. Throws OptionError if the dequantization follows a `split` transform, because then the rest is
/// not a flow on samples of the same size.
Model<double> behind_dequantization(const Model<double>& model);
/// Returns data x (d × n) as the dequantization leaves it if all noise is ½: (d × n).
Matrix<double> dequantized(const Model<double>& model, ConstMatrixView<double> x);

/// Returns log|det ∂z/∂x| of the whole model, standardization included, at one x (d) and context (c), in nats. The
/// dense Jacobian comes from central differences of fourth order, and its determinant from LU. The model computes no
/// log-det. The steps 10⁻³, 10⁻⁴ … 10⁻⁷, relative to each column's scale, are tried, and the two neighboring steps that
/// agree best give the result. Smooth flows need large steps because of rounding, and splines with narrow bins need
/// small ones. The error is about 1e-9 for smooth flows with a moderate log-det. Throws NumericalError if no two
/// neighboring steps have a regular Jacobian. bytes: memory for the passes, in addition to the Jacobian.
double dense_log_det(const Model<double>& model, std::span<const double> x, std::span<const double> context = {},
                     Index bytes = default_workspace_bytes);

/// Returns the largest difference, in nats, between the log-det of the model's own passes and dense_log_det(), over
/// samples x (d × n) and contexts (c × n). If a sample fails, the result is infinite. bytes: memory of the passes.
double log_det_error(const Model<double>& model, ConstMatrixView<double> x, ConstMatrixView<double> context = {},
                     Index bytes = default_workspace_bytes);

/// The errors of a round trip. If a sample fails in any pass, all of them are infinite.
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
