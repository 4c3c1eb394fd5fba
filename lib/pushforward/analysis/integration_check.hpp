#pragma once

// Judges the grid of a model with continuous transforms. It compares the grid with a finer one and with the limit of
// small steps.

#include <pushforward/model/model.hpp>

namespace pushforward::flow {

struct IntegrationCheck {
  Index rows = 0;             ///< that were examined
  Index folded = 0;           ///< rows at which the determinant of a step is ≤ 0; 0 for a continuous density
  Index failed = 0;           ///< rows without a log p for another reason, on a grid or in the limit
  double mean_change = 0;     ///< mean of |log p with twice as many steps − log p| over the other rows, nats
  double largest_change = 0;  ///< their largest, nats
  double grid_nll = 0;        ///< mean NLL of these rows along the grid with which the model was trained, nats
  double limit_nll = 0;       ///< mean NLL of these rows in the limit, nats
  /// A bound on h·Lip(Φ) of a step x + hΦ(x), the largest over the transforms. Below 1, every step is invertible.
  double contraction = 0;
};

/// Examines samples x (d × n) with contexts (c × n), in the data's units. The model must have a transform that
/// integrates; its options are the same afterwards. bytes: memory of the passes.
IntegrationCheck check_integration(Model<double>& model, ConstMatrixView<double> x,
                                   ConstMatrixView<double> context = {}, Index bytes = default_workspace_bytes);

}  // namespace pushforward::flow
