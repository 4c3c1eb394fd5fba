#pragma once

// Entropic optimal transport: a soft assignment of rows to columns, which is cheaper than the exact one for large
// problems and also takes weights and sets of different sizes.
//
// Notation: costs c (n × m), row masses a (n), column masses b (m) with the same total M. The plan p (n × m) is the
// minimizer of Σ pᵢⱼcᵢⱼ + ε Σ pᵢⱼ(log pᵢⱼ − 1) among the plans p ≥ 0 with row sums a and column sums b. It has the form
// pᵢⱼ = exp((fᵢ + gⱼ − cᵢⱼ)/ε). For ε → 0 its cost approaches the least cost, and for ε → ∞ it approaches a bᵀ/M
// [Cuturi 2013; Peyré & Cuturi 2019, chapter 4].

#include <pushforward/linalg/matrix.hpp>

#include <span>
#include <vector>

namespace pushforward::linalg {

struct SinkhornOptions {
  /// ε divided by the mean of the costs above the smallest one, > 0. For squared distances, whose smallest value is
  /// nearly 0, this is ε in units of the mean cost. The plan therefore does not change if all costs are multiplied by
  /// a number or shifted by one.
  double regularization = 0.05;
  /// The iteration stops if the column sums are right up to this fraction: Σⱼ |Σᵢ pᵢⱼ − bⱼ| ≤ tolerance · M. It is > 0.
  double tolerance = 1e-3;
  /// The largest number of iterations, ≥ 1. An iteration scales all rows and columns once.
  Index max_iterations = 10000;
};

struct SinkhornPlan {
  Matrix<double> plan;                   ///< (n × m) p; its row sums are a, up to rounding
  std::vector<double> row_potential;     ///< (n) f, in units of the cost; −∞ for a row without mass
  std::vector<double> column_potential;  ///< (m) g, in units of the cost; −∞ for a column without mass
  double cost = 0;                       ///< Σ pᵢⱼcᵢⱼ
  double epsilon = 0;                    ///< ε, in units of the cost; 1 if all costs are equal
  double error = 0;                      ///< Σⱼ |Σᵢ pᵢⱼ − bⱼ| / M
  Index iterations = 0;
};

/// Returns the entropic plan between two sets of masses.
///
/// cost: (n × m) in. row_mass: (n) in, ≥ 0, or empty, which means 1/n each. column_mass: (m) in, ≥ 0, or empty, which
/// means 1/m each. Rows and columns without mass have entries 0 in the plan.
///
/// Throws:
/// - ShapeError if numbers of masses do not fit, or if the cost is (0 × m) or (n × 0),
/// - OptionError if an option is out of range,
/// - DataError if a mass is negative or not finite, if there is no mass, or if the totals of rows and columns differ by
///   more than half of the tolerance,
/// - NumericalError if a cost is not finite, or if the tolerance is not reached. A small ε takes many iterations. An ε
///   below the rounding errors of the costs takes any number of them, but never gives NaN.
///
/// Not collective. Cost: two matrix-vector products an iteration, and now and then n·m exponentials; allocates two
/// matrices (n × m).
/// Source: potentials are kept as logarithms, and scalings are absorbed into them before they overflow. ε decreases in
/// steps to its value [Schmitzer 2019].
SinkhornPlan sinkhorn(ConstMatrixView<double> cost, std::span<const double> row_mass = {},
                      std::span<const double> column_mass = {}, const SinkhornOptions& options = {});

/// Draws a column with the probabilities pᵢⱼ/Σₖ pᵢₖ of row i, by the inverse of their cumulative distribution. Columns
/// of probability 0 are never drawn.
/// plan: (n × m) in, ≥ 0. uniform: a number in [0, 1], which is uniform if the column is to be random.
/// Throws ShapeError if there is no such row, OptionError if `uniform` is out of range, and NumericalError if the sum
/// of the row is not positive and finite. Not collective. Cost: O(m); no allocation.
Index draw_column(ConstMatrixView<double> plan, Index row, double uniform);

}  // namespace pushforward::linalg
