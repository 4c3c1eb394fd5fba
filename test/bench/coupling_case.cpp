#include "case.hpp"
#include "subject.hpp"

#include <pushforward/linalg/assignment.hpp>
#include <pushforward/toys/toy.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

// Throws NumericalError unless the potentials prove that the assignment is optimal: no cost is below the sum of its
// potentials, and the costs of the pairs add up to the sum of all potentials.
void check_assignment(const Matrix<double>& cost, const linalg::Assignment& found, Checks& checks) {
  const Index n = cost.rows();
  double pairs = 0, potentials = 0, violation = 0, largest = 0;
  std::vector<bool> taken(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    const Index column = found.column_of[i];
    require<NumericalError>(!taken[column], "column {} is assigned twice", column);
    taken[column] = true;
    pairs += cost(i, column);
    potentials += found.row_potential[i] + found.column_potential[i];
    for (Index j = 0; j < n; ++j) {
      violation = std::max(violation, found.row_potential[i] + found.column_potential[j] - cost(i, j));
      largest = std::max(largest, cost(i, j));
    }
  }
  const double rounding = 4 * static_cast<double>(n) * std::numeric_limits<double>::epsilon();
  require<NumericalError>(violation <= rounding * largest, "the potentials exceed a cost by {}", violation);
  checks.close("the cost of an assignment", pairs, potentials, rounding);
}

// Squared distances of standardized rows of 8gaussians from draws of the standard normal density.
Matrix<double> distances(Index n, Index first) {
  constexpr Index d = 2;
  Matrix<double> rows(d, n);
  data::ToyDensity("8gaussians").draw(1, first, rows.view());
  double square = 0;
  for (const double value : rows.span()) square += value * value;
  const double scale = std::sqrt(static_cast<double>(rows.size()) / square);
  const auto latents = normal_columns<double>(d, n, first);
  Matrix<double> cost(n, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < n; ++i) {
      cost(i, j) = std::pow(scale * rows(0, i) - latents(0, j), 2) + std::pow(scale * rows(1, i) - latents(1, j), 2);
    }
  }
  return cost;
}

// Every rank solves the assignment of a step of its own, as in training: with R ranks, a step costs 1/R of the time.
Result time_assignment(const Session& session, Index n) {
  constexpr Index tiny = 24;
  if (session.tiny) n = tiny;
  const auto cost = distances(n, session.comm.rank() * n);
  Checks checks;
  comm::agree(session.comm, [&] { check_assignment(cost, linalg::assign(cost), checks); });
  Result result{.precision = "double", .rows = n * session.comm.size(), .check = checks.nearest()};
  result.timing = time_repeats(session, [&] { linalg::assign(cost); });
  result.bytes = static_cast<double>(cost.size()) * sizeof(double);
  return result;
}

}  // namespace

std::vector<Case> coupling_cases() {
  std::vector<Case> cases;
  for (const Index n : {256, 512}) {
    cases.push_back({.name = fmt::format("coupling.assignment.{}", n),
                     .summary = fmt::format("optimal assignment of {} rows and latents, d = 2, on each rank", n),
                     .run = [n](const Session& session) { return std::vector<Result>{time_assignment(session, n)}; }});
  }
  return cases;
}

}  // namespace pushforward::bench
