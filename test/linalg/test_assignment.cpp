#include <pushforward/linalg/assignment.hpp>

#include "fixtures.hpp"

#include <algorithm>
#include <numbers>
#include <numeric>

namespace pushforward::test {

namespace {

using linalg::Assignment;

// The bound of the header on rounding errors of the potentials.
double rounding(ConstMatrixView<double> cost, const Assignment& a) {
  double largest_cost = 0, largest_potential = 0;
  for (Index j = 0; j < cost.cols(); ++j) {
    for (const double c : cost.column_span(j)) largest_cost = std::max(largest_cost, std::abs(c));
  }
  for (const double u : a.row_potential) largest_potential = std::max(largest_potential, std::abs(u));
  return 4 * static_cast<double>(cost.rows()) * std::numeric_limits<double>::epsilon() *
         (largest_cost + largest_potential);
}

double total_cost(ConstMatrixView<double> cost, const std::vector<Index>& column_of) {
  double total = 0;
  for (Index i = 0; i < cost.rows(); ++i) total += cost(i, column_of[i]);
  return total;
}

std::vector<Index> numbers(Index n) {
  std::vector<Index> all(static_cast<std::size_t>(n));
  std::iota(all.begin(), all.end(), Index{0});
  return all;
}

Verdict failure(const std::string& why) {
  Verdict verdict(false);
  verdict.message() << why;
  return verdict;
}

// Holds if the rows have different columns and the potentials prove that no other assignment costs less.
Verdict is_optimal(ConstMatrixView<double> cost, const Assignment& a) {
  const Index n = cost.rows();
  auto sorted = a.column_of;
  std::sort(sorted.begin(), sorted.end());
  if (sorted != numbers(n)) return failure("no permutation");
  const auto size = static_cast<std::size_t>(n);
  if (a.row_potential.size() != size || a.column_potential.size() != size) return failure("potentials are missing");
  if (!(a.cost == total_cost(cost, a.column_of))) return failure(fmt::format("the cost is not {}", a.cost));
  const double bound = rounding(cost, a);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < n; ++i) {
      const double slack = cost(i, j) - a.row_potential[i] - a.column_potential[j];
      if (!(slack >= -bound)) return failure(fmt::format("the potentials exceed cost ({}, {}) by {}", i, j, -slack));
      if (a.column_of[i] == j && !(slack <= bound))
        return failure(fmt::format("pair ({}, {}) has slack {}", i, j, slack));
    }
  }
  return Verdict(true);
}

double least_cost_of_all_permutations(ConstMatrixView<double> cost) {
  auto columns = numbers(cost.rows());
  double least = std::numeric_limits<double>::infinity();
  do {
    least = std::min(least, total_cost(cost, columns));
  } while (std::next_permutation(columns.begin(), columns.end()));
  return least;
}

Matrix<double> integers(Index n, std::uint64_t below, double shift, std::uint64_t seed) {
  random::Stream stream(seed, random::Purpose::check);
  return matrix_of<double>(n, n, [&](Index, Index) { return static_cast<double>(stream.below(below)) + shift; });
}

// Squared distances between n points of eight clusters on a circle, whose standard deviation is `width`, and n normal
// points.
Matrix<double> clustered(Index n, double width, std::uint64_t seed) {
  random::Stream stream(seed, random::Purpose::check);
  Matrix<double> x(2, n), y(2, n);
  for (Index i = 0; i < n; ++i) {
    const double angle = std::numbers::pi / 4 * static_cast<double>(stream.below(8));
    x(0, i) = 3 * std::cos(angle) + width * stream.normal();
    x(1, i) = 3 * std::sin(angle) + width * stream.normal();
    for (Index r = 0; r < 2; ++r) y(r, i) = stream.normal();
  }
  return matrix_of<double>(
      n, n, [&](Index i, Index j) { return std::pow(x(0, i) - y(0, j), 2) + std::pow(x(1, i) - y(1, j), 2); });
}

struct NamedCosts {
  const char* name;
  Matrix<double> cost;
};

std::vector<NamedCosts> many_costs(Index n, std::uint64_t seed) {
  auto negative = random_matrix<double>(n, n, seed, 10);
  for (double& c : negative.span()) c -= 1000;
  return {{"normal", random_matrix<double>(n, n, seed)},
          {"negative", std::move(negative)},
          {"three levels", integers(n, 3, 0, seed)},
          {"integers", integers(n, 1000, -500, seed)},
          {"clusters", clustered(n, 0.35, seed)},
          {"narrow clusters", clustered(n, 1e-8, seed)},
          {"all equal", matrix_of<double>(n, n, [](Index, Index) { return 0.1; })},
          {"products", matrix_of<double>(n, n, [](Index i, Index j) { return (i + 1) * (j + 1); })},
          {"many scales", matrix_of<double>(n, n, [](Index i, Index j) {
             return std::ldexp(1.0, static_cast<int>((7 * i + 13 * j) % 50));
           })}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(assignment)

BOOST_AUTO_TEST_CASE(no_permutation_of_a_small_problem_costs_less) {
  for (Index n = 0; n <= 7; ++n) {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
      for (const auto& [name, cost] : many_costs(n, seed)) {
        const auto a = linalg::assign(cost);
        BOOST_TEST_CONTEXT(name << ", n = " << n << ", seed " << seed) {
          BOOST_TEST(is_optimal(cost, a));
          const double least = least_cost_of_all_permutations(cost);
          BOOST_TEST(close_absolute(a.cost, least, static_cast<double>(n) * rounding(cost, a)));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(potentials_prove_that_assignments_are_optimal) {
  for (const Index n : {1, 2, 3, 16, 17, 63, 64, 65, 129, 300}) {
    for (const auto& [name, cost] : many_costs(n, 20)) {
      BOOST_TEST_CONTEXT(name << ", n = " << n) {
        const Padded<double> padded(cost.view());
        const auto a = linalg::assign(padded);
        BOOST_TEST(is_optimal(cost, a));
        BOOST_TEST(a.column_of == linalg::assign(cost).column_of);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_proof_fails_for_anything_else) {
  for (const Index n : {2, 17, 100}) {
    for (const bool clusters : {false, true}) {
      const auto cost = clusters ? clustered(n, 0.35, 31) : random_matrix<double>(n, n, 31);
      const auto right = linalg::assign(cost);
      BOOST_TEST(is_optimal(cost, right));

      auto a = right;
      std::swap(a.column_of[0], a.column_of[1]);
      a.cost = total_cost(cost, a.column_of);
      BOOST_TEST(!is_optimal(cost, a));
      BOOST_TEST(a.cost > right.cost);

      a = right;
      a.column_of[0] = a.column_of[1];
      BOOST_TEST(!is_optimal(cost, a));

      a = right;
      a.cost += 1e-3;
      BOOST_TEST(!is_optimal(cost, a));

      for (const double factor : {1.01, 0.99, nan_of<double>}) {
        a = right;
        for (double& u : a.row_potential) u *= factor;
        BOOST_TEST(!is_optimal(cost, a));
        a = right;
        a.column_potential.back() *= factor;
        BOOST_TEST(!is_optimal(cost, a));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(integer_costs_have_no_rounding_errors) {
  for (const Index n : {5, 64, 150}) {
    const auto cost = integers(n, 100, -30, 41);
    const auto a = linalg::assign(cost);
    double dual = 0;
    for (Index i = 0; i < n; ++i) {
      BOOST_TEST(a.row_potential[i] == std::round(a.row_potential[i]));
      BOOST_TEST(a.column_potential[i] == std::round(a.column_potential[i]));
      dual += a.row_potential[i] + a.column_potential[i];
    }
    BOOST_TEST(a.cost == dual);
  }
}

BOOST_AUTO_TEST_CASE(any_first_guess_gives_the_same_cost) {
  for (const Index n : {1, 2, 7, 65, 200}) {
    const auto cost = clustered(n, 0.35, 51);
    const auto cold = linalg::assign(cost);
    const auto other = linalg::assign(clustered(n, 0.35, 52));
    const double bound = static_cast<double>(n) * rounding(cost, cold);
    std::vector<std::vector<double>> guesses{cold.column_potential, other.column_potential, cold.row_potential};
    for (const double scale : {1e-3, 1.0, 1e5, 1e300, -1e300}) {
      guesses.push_back(random_vector<double>(n, 53));
      for (double& v : guesses.back()) v *= scale;
    }
    guesses.push_back(std::vector<double>(static_cast<std::size_t>(n), 1e20));
    for (std::size_t k = 0; k < guesses.size(); ++k) {
      BOOST_TEST_CONTEXT("guess " << k << ", n = " << n) {
        const auto warm = linalg::assign(cost, guesses[k]);
        BOOST_TEST(is_optimal(cost, warm));
        BOOST_TEST(close_absolute(warm.cost, cold.cost, bound));
        BOOST_TEST(warm.column_of == cold.column_of);
      }
    }
    BOOST_TEST(!close_absolute(other.cost, cold.cost, bound));
  }
}

// A convex function of the distance on a line is smallest in sorted order. A concave one is not.
BOOST_AUTO_TEST_CASE(points_on_a_line_are_assigned_in_sorted_order) {
  for (const Index n : {1, 2, 9, 64, 200}) {
    const auto x = random_vector<double>(n, 61), y = random_vector<double>(n, 62);
    const auto cost = [&](double power) {
      return matrix_of<double>(n, n, [&](Index i, Index j) { return std::pow(std::abs(x[i] - y[j]), power); });
    };
    const auto order = [](const std::vector<double>& z) {
      auto by_value = numbers(std::ssize(z));
      std::sort(by_value.begin(), by_value.end(), [&](Index a, Index b) { return z[a] < z[b]; });
      return by_value;
    };
    const auto x_order = order(x), y_order = order(y);
    std::vector<Index> sorted(static_cast<std::size_t>(n));
    for (Index k = 0; k < n; ++k) sorted[x_order[k]] = y_order[k];
    for (const double power : {1.5, 2.0, 4.0}) BOOST_TEST(linalg::assign(cost(power)).column_of == sorted);
    const auto concave = cost(0.5);
    const auto a = linalg::assign(concave);
    BOOST_TEST(is_optimal(concave, a));
    if (n >= 9) BOOST_TEST(a.cost < 0.999 * total_cost(concave, sorted));
  }
}

BOOST_AUTO_TEST_CASE(rows_in_another_order_keep_their_columns) {
  const Index n = 90;
  const auto cost = clustered(n, 0.35, 71);
  const random::Permutation order(72, random::Purpose::check, 0, n);
  const auto a = linalg::assign(cost);
  const auto b = linalg::assign(matrix_of<double>(n, n, [&](Index i, Index j) { return cost(order(i), j); }));
  const auto t = linalg::assign(transposed<double>(cost));
  Index at_the_same_place = 0;
  for (Index i = 0; i < n; ++i) {
    BOOST_TEST(b.column_of[i] == a.column_of[order(i)]);
    BOOST_TEST(t.column_of[a.column_of[i]] == i);
    at_the_same_place += b.column_of[i] == a.column_of[i] ? 1 : 0;
  }
  BOOST_TEST(at_the_same_place < n / 2);
}

BOOST_AUTO_TEST_CASE(problems_that_make_no_sense_are_refused) {
  const Matrix<double> wide(2, 3), square(3, 3);
  const std::vector<double> two(2), three{0, nan_of<double>, 0};
  BOOST_CHECK_EXCEPTION(linalg::assign(wide), ShapeError, says({"assign: costs (2 × 3) are not square"}));
  BOOST_CHECK_EXCEPTION(linalg::assign(square, two), ShapeError,
                        says({"assign: 2 column potentials for costs (3 × 3)"}));
  BOOST_CHECK_EXCEPTION(linalg::assign(square, three), NumericalError,
                        says({"assign: column potential 1 is nan; potentials must be finite"}));
  for (const Index n : {1, 9, 17}) {
    for (const Index at : {Index{0}, n - 1}) {
      for (const double bad : {nan_of<double>, std::numeric_limits<double>::infinity(), -1e308}) {
        auto cost = random_matrix<double>(n, n, 81);
        cost(at, n - 1) = bad;
        const auto message = fmt::format("assign: cost ({}, {}) is {}", at, n - 1, bad);
        BOOST_CHECK_EXCEPTION(linalg::assign(cost), NumericalError, says({message}));
      }
    }
  }
  Matrix<double> large(2, 2);
  large(1, 0) = 1e308;
  BOOST_CHECK_EXCEPTION(linalg::assign(large), NumericalError, says({"sums of 8 such costs overflow"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
