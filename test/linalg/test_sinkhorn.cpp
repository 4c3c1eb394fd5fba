#include <pushforward/linalg/assignment.hpp>
#include <pushforward/linalg/sinkhorn.hpp>

#include "fixtures.hpp"

#include <algorithm>

namespace pushforward::test {

namespace {

using linalg::SinkhornOptions;
using linalg::SinkhornPlan;
using Masses = std::vector<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

// Squared distances between n and m normal points in the plane.
Matrix<double> distances(Index n, Index m, std::uint64_t seed) {
  const auto x = random_matrix<double>(2, n, seed), y = random_matrix<double>(2, m, seed + 1);
  return matrix_of<double>(
      n, m, [&](Index i, Index j) { return std::pow(x(0, i) - y(0, j), 2) + std::pow(x(1, i) - y(1, j), 2); });
}

// Random masses whose sum is `total`. Every fifth is 0.
Masses random_masses(Index n, double total, std::uint64_t seed) {
  auto mass = random_vector<double>(n, seed);
  double sum = 0;
  for (Index i = 0; i < n; ++i) sum += mass[i] = i % 5 == 4 ? 0 : 0.1 + std::abs(mass[i]);
  for (double& value : mass) value *= total / sum;
  return mass;
}

Masses uniform_masses(Index n) {
  return Masses(static_cast<std::size_t>(n), 1 / static_cast<double>(n));
}

double range(ConstMatrixView<double> cost) {
  double least = infinity, most = -infinity;
  for (Index j = 0; j < cost.cols(); ++j) {
    for (const double c : cost.column_span(j)) {
      least = std::min(least, c);
      most = std::max(most, c);
    }
  }
  return most - least;
}

Masses row_sums(ConstMatrixView<double> p) {
  Masses sums(static_cast<std::size_t>(p.rows()));
  for (Index j = 0; j < p.cols(); ++j) {
    for (Index i = 0; i < p.rows(); ++i) sums[i] += p(i, j);
  }
  return sums;
}

// Holds if the entries are not negative, the row sums are a up to rounding, and the column sums are b up to `tolerance`
// of the total mass.
Verdict has_marginals(ConstMatrixView<double> p, const Masses& a, const Masses& b, double tolerance) {
  double error = 0, total = 0;
  const auto columns = row_sums(transposed<double>(p));
  for (Index j = 0; j < p.cols(); ++j) {
    for (const double value : p.column_span(j)) {
      if (!(value >= 0)) return close_absolute(value, 0, 0);
    }
    error += std::abs(columns[j] - b[j]);
    total += b[j];
  }
  const auto rows = close_absolute(row_sums(p), a, gamma<double>(2 * p.cols() + 10) * total);
  return rows ? close_absolute(error, 0, tolerance * total) : rows;
}

// Holds if pᵢⱼ = exp((fᵢ + gⱼ − cᵢⱼ)/ε). The exponent has a relative error of a few roundings.
Verdict has_potentials(ConstMatrixView<double> cost, const SinkhornPlan& s) {
  double largest = range(cost);
  for (const double f : s.row_potential) largest = std::max(largest, std::isfinite(f) ? std::abs(f) : 0);
  for (const double g : s.column_potential) largest = std::max(largest, std::isfinite(g) ? std::abs(g) : 0);
  const auto expected = matrix_of<double>(cost.rows(), cost.cols(), [&](Index i, Index j) {
    return std::exp((s.row_potential[i] + s.column_potential[j] - cost(i, j)) / s.epsilon);
  });
  return close_relative(s.plan.view(), expected.view(), gamma<double>(20) * (1 + largest / s.epsilon));
}

struct Size {
  Index n, m;
};
constexpr Size sizes[] = {{1, 1}, {1, 5}, {5, 1}, {2, 2}, {7, 4}, {16, 16}, {33, 20}, {64, 65}};

}  // namespace

BOOST_AUTO_TEST_SUITE(sinkhorn)

BOOST_AUTO_TEST_CASE(plans_have_their_marginals_and_potentials) {
  for (const auto& [n, m] : sizes) {
    for (const double total : {0.0, 1e-200, 3.0, 1e200}) {  // 0: uniform
      for (const double regularization : {0.03, 0.3, 10.0}) {
        const auto cost = distances(n, m, 100 + static_cast<std::uint64_t>(n));
        const auto a = total == 0 ? uniform_masses(n) : random_masses(n, total, 5);
        const auto b = total == 0 ? uniform_masses(m) : random_masses(m, total, 6);
        const SinkhornOptions options{regularization, regularization < 0.1 ? 1e-4 : 1e-7, 1000000};
        const auto s = total == 0 ? linalg::sinkhorn(cost, {}, {}, options) : linalg::sinkhorn(cost, a, b, options);
        BOOST_TEST_CONTEXT(n << " × " << m << ", total " << total << ", regularization " << regularization) {
          BOOST_TEST(s.error <= options.tolerance);
          BOOST_TEST(s.iterations >= 1);
          BOOST_TEST(has_marginals(s.plan, a, b, 1.01 * options.tolerance));
          BOOST_TEST(has_potentials(cost, s));
          double sum = 0;
          for (Index j = 0; j < m; ++j) {
            for (Index i = 0; i < n; ++i) sum += s.plan(i, j) * cost(i, j);
          }
          BOOST_TEST(close_relative(s.cost, sum, gamma<double>(n * m + 2)));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(other_plans_do_not_have_them) {
  const auto cost = distances(7, 4, 110);
  const auto a = random_masses(7, 2, 5), b = random_masses(4, 2, 6);
  const auto right = linalg::sinkhorn(cost, a, b, {.regularization = 0.3, .tolerance = 1e-7});
  BOOST_TEST(has_marginals(right.plan, a, b, 1e-7));
  BOOST_TEST(!has_marginals(right.plan, random_masses(7, 2, 7), b, 1e-7));
  BOOST_TEST(!has_marginals(right.plan, a, random_masses(4, 2, 7), 1e-7));
  for (const double wrong : {1.01, -1.0, nan_of<double>}) {
    auto s = right;
    s.plan(2, 1) *= wrong;
    BOOST_TEST(!has_marginals(s.plan, a, b, 1e-7));
    BOOST_TEST(!has_potentials(cost, s));
    s = right;
    s.epsilon *= wrong;
    BOOST_TEST(!has_potentials(cost, s));
    s = right;
    s.row_potential[0] *= wrong;
    BOOST_TEST(!has_potentials(cost, s));
  }
}

// Costs 0 on the diagonal and 1 elsewhere have the mean ½, and the plan ½/(1 + e^(−1/ε)) on the diagonal.
BOOST_AUTO_TEST_CASE(two_points_have_a_closed_form) {
  const auto cost = matrix_of<double>(2, 2, [](Index i, Index j) { return i == j ? 0 : 1; });
  for (const double regularization : {0.05, 0.5, 5.0}) {
    const auto s = linalg::sinkhorn(cost, {}, {}, {.regularization = regularization, .tolerance = 1e-14});
    const double epsilon = regularization / 2;
    BOOST_TEST(close_relative(s.epsilon, epsilon, gamma<double>(4)));
    const double diagonal = 0.5 / (1 + std::exp(-1 / epsilon));
    const auto expected = matrix_of<double>(2, 2, [&](Index i, Index j) { return i == j ? diagonal : 0.5 - diagonal; });
    const auto other = matrix_of<double>(2, 2, [&](Index i, Index j) { return i != j ? diagonal : 0.5 - diagonal; });
    BOOST_TEST(close_absolute(s.plan.view(), expected.view(), 1e-14));
    BOOST_TEST(!close_absolute(s.plan.view(), other.view(), 1e-14));
  }
}

// The optimal plan of the exact problem is admissible, and entropies of plans are between log n and 2 log n. Therefore
// the entropic cost exceeds the exact one by at most ε log n. An error of the column sums is worth at most the range of
// the costs.
BOOST_AUTO_TEST_CASE(little_regularization_approaches_the_assignment) {
  for (const Index n : {1, 2, 6, 25}) {
    const auto cost = distances(n, n, 120);
    const double exact = linalg::assign(cost).cost / static_cast<double>(n);
    const double tolerance = 1e-4, slack = tolerance * range(cost);
    for (const double regularization : {0.1, 0.01, 0.001, 0.0001}) {
      const auto s = linalg::sinkhorn(cost, {}, {}, {regularization, tolerance, 1000000});
      BOOST_TEST_CONTEXT("n = " << n << ", regularization " << regularization) {
        BOOST_TEST(s.cost >= exact - slack);
        BOOST_TEST(s.cost <= exact + s.epsilon * std::log(static_cast<double>(n)) + slack);
      }
    }
    if (n >= 6) BOOST_TEST(linalg::sinkhorn(cost, {}, {}, {.regularization = 10}).cost > 1.5 * exact);
  }
}

// Potentials of rows differ by at most the range of the costs, and so do potentials of columns. Therefore logarithms of
// pᵢⱼ/(aᵢbⱼ) differ by at most 3 range/ε. Some are positive and some negative, since both plans have the same mass.
BOOST_AUTO_TEST_CASE(much_regularization_approaches_the_product_of_the_masses) {
  for (const Size& size : sizes) {
    const Index n = size.n, m = size.m;
    const auto cost = distances(n, m, 130);
    const auto a = random_masses(n, 1, 5), b = random_masses(m, 1, 6);
    const auto product = matrix_of<double>(n, m, [&](Index i, Index j) { return a[i] * b[j]; });
    const auto distance = [&](double regularization) {
      const auto s = linalg::sinkhorn(cost, a, b, {.regularization = regularization, .tolerance = 1e-9});
      double largest = 0;
      for (Index j = 0; j < m; ++j) {
        for (Index i = 0; i < n; ++i) {
          if (product(i, j) > 0) largest = std::max(largest, std::abs(std::log(s.plan(i, j) / product(i, j))));
        }
      }
      return std::pair(largest, 3 * range(cost) / s.epsilon);
    };
    for (const double regularization : {1e2, 1e4, 1e6}) {
      const auto [largest, bound] = distance(regularization);
      BOOST_TEST(largest <= bound);
    }
    if (n > 1 && m > 1) BOOST_TEST(distance(0.3).first > 0.1);
  }
}

BOOST_AUTO_TEST_CASE(tiny_regularization_gives_a_plan_or_an_error_but_never_nan) {
  Index plans = 0, errors = 0;
  for (const Index n : {1, 2, 5, 9}) {
    auto levels = random_matrix<double>(n, n, 140);
    for (double& c : levels.span()) c = std::round(c);
    for (const auto& cost : {distances(n, n, 140), random_matrix<double>(n, n, 141, 1e8), levels}) {
      for (const double regularization : {1e-5, 1e-10, 1e-17, 1e-100, 1e-250}) {
        for (const double tolerance : {1e-3, 1e-12}) {
          try {
            const auto s = linalg::sinkhorn(cost, {}, {}, {regularization, tolerance, 2000});
            BOOST_TEST(
                has_marginals(s.plan, uniform_masses(n), uniform_masses(n), 1.01 * tolerance + gamma<double>(n)));
            BOOST_TEST(close_absolute(s.cost, linalg::assign(cost).cost / static_cast<double>(n),
                                      (2 * tolerance + 1e-4) * range(cost)));
            ++plans;
          } catch (const NumericalError& error) {
            BOOST_TEST(says({"sinkhorn: the column sums are off by"})(error));
            BOOST_TEST(!says({"nan"})(error));
            ++errors;
          }
        }
      }
    }
  }
  BOOST_TEST(plans > 0);
  BOOST_TEST(errors > 0);
}

// The entries of the last column are too small for doubles before its potential is known.
BOOST_AUTO_TEST_CASE(a_column_far_from_all_rows_gets_its_mass) {
  const Index n = 3, m = 2000;
  auto cost = distances(n, m, 145);
  for (double& c : cost.view().column_span(m - 1)) c += 1e7;
  for (const double regularization : {1.0, 0.01}) {
    const auto s = linalg::sinkhorn(cost, {}, {}, {regularization, 1e-6, 20});
    BOOST_TEST(has_marginals(s.plan, uniform_masses(n), uniform_masses(m), 1.01e-6));
    BOOST_TEST(s.column_potential[m - 1] > 0.9e7);
  }
}

BOOST_AUTO_TEST_CASE(the_unit_and_the_zero_of_the_cost_do_not_matter) {
  const Index n = 12, m = 9;
  const auto cost = distances(n, m, 150);
  const auto plan = [&](double factor, double shift) {
    const auto other = matrix_of<double>(n, m, [&](Index i, Index j) { return factor * cost(i, j) + shift; });
    return linalg::sinkhorn(other, {}, {}, {.regularization = 0.1, .tolerance = 1e-9}).plan;
  };
  const auto right = plan(1, 0);
  const double epsilon = linalg::sinkhorn(cost, {}, {}, {.regularization = 0.1}).epsilon;
  for (const double factor : {1e-200, 1e-3, 1.0, 1e200}) {
    for (const double shift : {0.0, 100.0, -100.0}) {
      // The shift costs digits, which the exponents lose.
      const double rounding = gamma<double>(20) * (range(cost) + std::abs(shift)) / epsilon;
      BOOST_TEST(close_absolute(plan(factor, factor * shift).view(), right.view(), rounding + 1e-9));
    }
  }
  BOOST_TEST(!close_absolute(plan(-1, 0).view(), right.view(), 1e-3));
}

BOOST_AUTO_TEST_CASE(equal_costs_and_empty_problems_have_plans) {
  const auto equal = matrix_of<double>(3, 2, [](Index, Index) { return -4; });
  const Masses a{1, 2, 3}, b{2, 4};
  const auto s = linalg::sinkhorn(equal, a, b);
  BOOST_TEST(s.epsilon == 1);
  const auto product = matrix_of<double>(3, 2, [&](Index i, Index j) { return a[i] * b[j] / 6; });
  BOOST_TEST(close_relative(s.plan.view(), product.view(), gamma<double>(20)));
  BOOST_TEST(linalg::sinkhorn(Matrix<double>(0, 0)).plan.size() == 0);
}

BOOST_AUTO_TEST_CASE(padding_is_not_read) {
  const auto cost = distances(21, 13, 160);
  const auto p = linalg::sinkhorn(cost).plan;
  BOOST_TEST(close_absolute(linalg::sinkhorn(Padded<double>(cost.view())).plan.view(), p.view(), 0));
}

BOOST_AUTO_TEST_CASE(columns_are_drawn_by_the_inverse_of_the_cumulative_distribution) {
  Matrix<double> plan(2, 5);
  plan(1, 1) = 0.25;
  plan(1, 3) = 0.75;
  plan(0, 4) = 1e-300;
  for (const double uniform : {0.0, 0.1, std::nextafter(0.25, 0)})
    BOOST_TEST(linalg::draw_column(plan, 1, uniform) == 1);
  for (const double uniform : {0.25, 0.5, 1.0}) BOOST_TEST(linalg::draw_column(plan, 1, uniform) == 3);
  for (const double uniform : {0.0, 0.5, 1.0}) BOOST_TEST(linalg::draw_column(plan, 0, uniform) == 4);
}

// Frequencies are within four standard errors of the probabilities of their row, but not of another row.
BOOST_AUTO_TEST_CASE(columns_are_drawn_as_often_as_the_plan_says) {
  const Index n = 4, m = 6, draws = 20000;
  const auto plan = linalg::sinkhorn(distances(n, m, 170), {}, {}, {.regularization = 0.3}).plan;
  random::Stream stream(171, random::Purpose::check);
  for (Index row = 0; row < n; ++row) {
    std::vector<double> frequency(static_cast<std::size_t>(m));
    for (Index k = 0; k < draws; ++k) {
      frequency[linalg::draw_column(plan, row, stream.uniform())] += 1 / static_cast<double>(draws);
    }
    const auto agrees = [&](Index other) {
      for (Index j = 0; j < m; ++j) {
        const double p = plan(other, j) * static_cast<double>(n);
        const double error = std::sqrt(p * (1 - p) / static_cast<double>(draws));
        if (!(std::abs(frequency[j] - p) <= 4 * error)) return false;
      }
      return true;
    };
    BOOST_TEST(agrees(row));
    BOOST_TEST(!agrees((row + 1) % n));
  }
}

BOOST_AUTO_TEST_CASE(problems_that_make_no_sense_are_refused) {
  const auto cost = distances(3, 2, 180);
  const Masses three(3, 2.0), two(2, 3.0), nothing(2, 0.0), more(2, 3.1), negative{1, -1, 6}, not_finite{1, infinity};
  const auto refuses = [&](const Masses& a, const Masses& b, SinkhornOptions options) {
    return linalg::sinkhorn(cost, a, b, options);
  };
  BOOST_TEST(has_marginals(refuses(three, two, {}).plan, three, two, 1e-3));

  BOOST_CHECK_EXCEPTION(refuses(two, two, {}), ShapeError, says({"sinkhorn: 2 masses for 3 rows"}));
  BOOST_CHECK_EXCEPTION(refuses(three, three, {}), ShapeError, says({"sinkhorn: 3 masses for 2 columns"}));
  BOOST_CHECK_EXCEPTION(linalg::sinkhorn(Matrix<double>(0, 2)), ShapeError,
                        says({"sinkhorn: costs (0 × 2) leave mass without a place to go"}));
  BOOST_CHECK_EXCEPTION(linalg::sinkhorn(Matrix<double>(2, 0)), ShapeError, says({"(2 × 0)"}));

  BOOST_CHECK_EXCEPTION(refuses(three, more, {}), DataError,
                        says({"the rows have mass 6 in total and the columns 6.2; divide each by its total"}));
  BOOST_CHECK_EXCEPTION(refuses(negative, two, {}), DataError,
                        says({"the mass of row 1 is -1; masses must be finite and not negative"}));
  BOOST_CHECK_EXCEPTION(refuses(three, not_finite, {}), DataError, says({"the mass of column 1 is inf"}));
  BOOST_CHECK_EXCEPTION(refuses(three, {1, nan_of<double>}, {}), DataError, says({"the mass of column 1 is nan"}));
  BOOST_CHECK_EXCEPTION(refuses(three, nothing, {}), DataError, says({"the total mass of the columns is 0"}));

  for (const double bad : {0.0, -1.0, nan_of<double>, infinity}) {
    BOOST_CHECK_EXCEPTION(refuses({}, {}, {.regularization = bad}), OptionError,
                          says({fmt::format("sinkhorn: regularization = {}; it must be positive and finite", bad)}));
  }
  BOOST_CHECK_EXCEPTION(refuses({}, {}, {.tolerance = 0}), OptionError, says({"tolerance = 0; it must be positive"}));
  BOOST_CHECK_EXCEPTION(refuses({}, {}, {.max_iterations = 0}), OptionError,
                        says({"max_iterations = 0; it must be at least 1"}));

  auto bad = cost;
  bad(2, 1) = nan_of<double>;
  BOOST_CHECK_EXCEPTION(linalg::sinkhorn(bad), NumericalError, says({"sinkhorn: cost (2, 1) is nan; costs must be"}));
  bad(2, 1) = 1.5e308;
  bad(0, 0) = -1.5e308;
  BOOST_CHECK_EXCEPTION(linalg::sinkhorn(bad), NumericalError, says({"differences of the costs overflow"}));
  BOOST_CHECK_EXCEPTION(refuses({}, {}, {.regularization = 1e-310}), NumericalError, says({"beyond the range of"}));
}

BOOST_AUTO_TEST_CASE(iterations_that_do_not_suffice_are_an_error_that_says_so) {
  const auto cost = distances(20, 20, 190);
  for (const Index most : {1, 2, 7}) {
    BOOST_CHECK_EXCEPTION(
        linalg::sinkhorn(cost, {}, {}, {0.01, 1e-8, most}), NumericalError,
        says({"sinkhorn: the column sums are off by 0.", " of the mass after ",
              fmt::format("{} iterations with regularization 0.01, more than the tolerance 1e-08", most),
              "use a larger regularization, a larger tolerance or more iterations"}));
  }
  const auto s = linalg::sinkhorn(cost, {}, {}, {0.1, 1e-8, 1000});
  BOOST_TEST(s.iterations > 7);
  BOOST_TEST(close_absolute(linalg::sinkhorn(cost, {}, {}, {0.1, 1e-8, s.iterations}).plan.view(), s.plan.view(), 0));
  BOOST_CHECK_THROW(linalg::sinkhorn(cost, {}, {}, {0.1, 1e-8, s.iterations - 1}), NumericalError);
  // Plans at larger ε on the way are not returned.
  for (Index most = 1; most <= 12; ++most) {
    BOOST_CHECK_THROW(linalg::sinkhorn(cost, {}, {}, {0.001, 0.05, most}), NumericalError);
  }
  BOOST_TEST(close_relative(linalg::sinkhorn(cost, {}, {}, {0.001, 0.05, 1000}).epsilon, s.epsilon / 100, 1e-14));
}

BOOST_AUTO_TEST_CASE(draws_that_make_no_sense_are_refused) {
  Matrix<double> plan(2, 3);
  plan(0, 1) = 1;
  BOOST_CHECK_EXCEPTION(linalg::draw_column(plan, 2, 0.5), ShapeError, says({"draw_column: row 2 of a plan (2 × 3)"}));
  BOOST_CHECK_EXCEPTION(linalg::draw_column(plan, -1, 0.5), ShapeError, says({"row -1"}));
  for (const double bad : {-0.1, 1.1, nan_of<double>}) {
    BOOST_CHECK_EXCEPTION(linalg::draw_column(plan, 0, bad), OptionError,
                          says({fmt::format("draw_column: {} is not between 0 and 1", bad)}));
  }
  BOOST_CHECK_EXCEPTION(linalg::draw_column(plan, 1, 0.5), NumericalError,
                        says({"draw_column: the sum of row 1 is 0"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace pushforward::test
