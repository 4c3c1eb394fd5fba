#pragma once

// The assignment problem: choose one entry of each row and column of a square cost matrix so that their sum is as small
// as possible. With squared distances as costs, the solution is the optimal transport between two sets of n points
// with equal weights, which couples noise with data in flow matching [Tong et al. 2024].
//
// Notation: costs c (n × n), row potentials u (n), column potentials v (n). The potentials are the solution of the dual
// problem: uᵢ + vⱼ ≤ cᵢⱼ for all i and j, with equality for assigned pairs. Therefore Σ uᵢ + Σ vⱼ is the smallest cost,
// and potentials with these properties prove that an assignment is optimal.

#include <pushforward/linalg/matrix.hpp>

#include <span>
#include <vector>

namespace pushforward::linalg {

struct Assignment {
  std::vector<Index> column_of;          ///< (n) the column that is assigned to each row
  std::vector<double> row_potential;     ///< (n) u, in units of the cost
  std::vector<double> column_potential;  ///< (n) v, in units of the cost
  double cost = 0;                       ///< Σ cᵢⱼ over the assigned pairs, summed in the order of the rows
};

/// Returns an assignment of least total cost. The result is exact up to rounding: uᵢ + vⱼ exceeds no cᵢⱼ by more than
/// 4nε(max |c| + max |u|), where ε is the spacing of doubles at 1. Costs that are integers below 2⁵³/(4n) give integer
/// potentials without any rounding.
///
/// cost: (n × n) in, n ≥ 0, of either sign.
/// column_potential: (n) in, a first guess of v, or empty. A good guess saves time, such as the potentials of a similar
/// problem. Any finite values give an assignment of the same total cost.
///
/// The same input gives the same assignment on every machine. Ties are broken by the smallest row or column, and in a
/// search by a row that is still free.
/// Throws ShapeError if the cost is not square or if the number of potentials is neither 0 nor n. Throws NumericalError
/// if a value is not finite, or if 4n max |c| is not.
/// Not collective. Cost: O(n³) at worst, usually much less; allocates some arrays of n elements, and at times a copy of
/// a quarter of the costs.
/// Source: shortest augmenting paths [Jonker & Volgenant 1987]. Their augmenting row reduction stops after 4n rows,
/// because it lowers the potentials of clustered points by ever smaller amounts. If more than half of the columns are
/// free then, the problem of every second row and column is solved first, and its potentials are the first guess.
Assignment assign(ConstMatrixView<double> cost, std::span<const double> column_potential = {});

}  // namespace pushforward::linalg
