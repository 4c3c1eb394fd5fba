#include <pushforward/linalg/sinkhorn.hpp>

#include <pushforward/linalg/dot_in_double.hpp>

#include <xsimd/xsimd.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pushforward::linalg {

namespace {

using B = xsimd::batch<double>;
constexpr auto lanes = static_cast<Index>(B::size);
constexpr double infinity = std::numeric_limits<double>::infinity();

constexpr double level_ratio = 4;         // of ε from one level to the next
constexpr double level_tolerance = 0.05;  // of levels before the last
constexpr double largest_scaling = 1e50;  // beyond which scalings are absorbed
constexpr double smallest_scaling = 1e-50;

std::size_t size(Index n) {
  return static_cast<std::size_t>(n);
}

// The masses of one side, 1/n each if none are given.
std::vector<double> masses(std::span<const double> given, Index n, const char* side) {
  if (given.empty()) return std::vector<double>(size(n), 1 / static_cast<double>(n));
  require<ShapeError>(std::ssize(given) == n, "sinkhorn: {} masses for {} {}s", given.size(), n, side);
  double total = 0;
  for (Index i = 0; i < n; ++i) {
    require<DataError>(given[i] >= 0 && given[i] < infinity,
                       "sinkhorn: the mass of {} {} is {}; masses must be finite and not negative", side, i, given[i]);
    total += given[i];
  }
  require<DataError>(total > 0 && total < infinity, "sinkhorn: the total mass of the {}s is {}", side, total);
  return {given.begin(), given.end()};
}

double sum(const std::vector<double>& values) {
  double total = 0;
  for (const double value : values) total += value;
  return total;
}

// The mean of the costs above the smallest one.
double spread(ConstMatrixView<double> cost) {
  double least = infinity;
  for (Index j = 0; j < cost.cols(); ++j) {
    for (Index i = 0; i < cost.rows(); ++i) {
      require<NumericalError>(std::isfinite(cost(i, j)), "sinkhorn: cost ({}, {}) is {}; costs must be finite", i, j,
                              cost(i, j));
      least = std::min(least, cost(i, j));
    }
  }
  double mean = 0;
  for (Index j = 0; j < cost.cols(); ++j) {
    double column = 0;
    for (const double value : cost.column_span(j)) column += (value - least) * (1 / static_cast<double>(cost.rows()));
    mean += column / static_cast<double>(cost.cols());
  }
  require<NumericalError>(std::isfinite(mean), "sinkhorn: differences of the costs overflow");
  return mean;
}

// most ← max(most, g − cost), all (n).
void raise(const double* cost, double g, double* most, Index n) {
  for (Index i = 0; i < n; ++i) most[i] = std::max(most[i], g - cost[i]);
}

// kernel ← exp((g − cost − most) · rate), all (n).
void exponentials(const double* cost, double g, const double* most, double rate, double* kernel, Index n) {
  const Index whole = n / lanes * lanes;
  const B gs(g), rates(rate);
  for (Index i = 0; i < whole; i += lanes) {
    const B exponent = (gs - B::load_unaligned(cost + i) - B::load_unaligned(most + i)) * rates;
    xsimd::exp(exponent).store_unaligned(kernel + i);
  }
  for (Index i = whole; i < n; ++i) kernel[i] = std::exp((g - cost[i] - most[i]) * rate);
}

// The plan is pᵢⱼ = row_scale_ᵢ kernel_ᵢⱼ scaling_ⱼ, with kernel_ᵢⱼ = exp((gⱼ − cᵢⱼ − most_ᵢ)/ε). Each row of the
// kernel has the maximum 1, so that rows neither overflow nor vanish. Row sums are exact by the choice of row_scale_,
// and the scalings of the columns are the unknowns. Masses are divided by their total.
class Solver {
 public:
  Solver(ConstMatrixView<double> cost, std::vector<double> a, std::vector<double> b)
      : cost_(cost),
        n_(cost.rows()),
        m_(cost.cols()),
        a_(std::move(a)),
        b_(std::move(b)),
        total_(sum(b_)),
        g_(size(m_), 0.0),
        most_(size(n_)),
        row_scale_(size(n_)),
        scaling_(size(m_), 1.0),
        column_sum_(size(m_)),
        kernel_(n_, m_) {
    for (double& mass : a_) mass /= total_;
    for (double& mass : b_) mass /= total_;
    for (Index j = 0; j < m_; ++j) {
      if (b_[j] == 0) g_[j] = -infinity;
    }
  }

  // Iterates at one ε until the error is below the tolerance, or until only `spare` iterations are left.
  void iterate(double epsilon, double tolerance, Index& left, Index spare);
  double error() const { return error_; }
  SinkhornPlan result();

 private:
  void make_kernel();
  void scale_rows();
  void add_up_columns();
  bool scale_columns();
  void absorb();
  double transform(Index column) const;

  ConstMatrixView<double> cost_;
  Index n_, m_;
  std::vector<double> a_, b_;
  double total_;
  std::vector<double> g_, most_, row_scale_, scaling_, column_sum_;
  Matrix<double> kernel_;
  double epsilon_ = 1;
  double error_ = infinity;
};

void Solver::make_kernel() {
  std::fill(most_.begin(), most_.end(), -infinity);
  for (Index j = 0; j < m_; ++j) raise(cost_.column(j), g_[j], most_.data(), n_);
  for (Index j = 0; j < m_; ++j) {
    exponentials(cost_.column(j), g_[j], most_.data(), 1 / epsilon_, kernel_.view().column(j), n_);
  }
}

void Solver::scale_rows() {
  std::fill(row_scale_.begin(), row_scale_.end(), 0.0);
  for (Index j = 0; j < m_; ++j) {
    const double* const kernel = kernel_.view().column(j);
    const double scaling = scaling_[j];
    for (Index i = 0; i < n_; ++i) row_scale_[i] += kernel[i] * scaling;
  }
  for (Index i = 0; i < n_; ++i) row_scale_[i] = a_[i] / row_scale_[i];
}

// Sets the column sums before they are multiplied by the scalings, and the error.
void Solver::add_up_columns() {
  error_ = 0;
  for (Index j = 0; j < m_; ++j) {
    column_sum_[j] = dot_in_double(kernel_.view().column(j), row_scale_.data(), n_);
    error_ += std::abs(column_sum_[j] * scaling_[j] - b_[j]);
  }
}

// Returns false if the kernel has to be made anew.
bool Solver::scale_columns() {
  bool within = true;
  for (Index j = 0; j < m_; ++j) {
    if (b_[j] == 0) continue;
    const double scaling = b_[j] / column_sum_[j];
    if (scaling > 0 && scaling < infinity) {
      scaling_[j] = scaling;
    } else {
      g_[j] = transform(j);
      scaling_[j] = 1;
      within = false;
    }
    within = within && scaling > smallest_scaling && scaling < largest_scaling;
  }
  return within;
}

// The potential of a column whose entries in the kernel are too small for doubles, from logarithms.
double Solver::transform(Index column) const {
  const auto exponent = [&](Index i) { return -cost_(i, column) - most_[i] + epsilon_ * std::log(row_scale_[i]); };
  double most = -infinity;
  for (Index i = 0; i < n_; ++i) most = std::max(most, exponent(i));
  double total = 0;
  for (Index i = 0; i < n_; ++i) total += std::exp((exponent(i) - most) / epsilon_);
  return epsilon_ * (std::log(b_[column]) - std::log(total)) - most;
}

void Solver::absorb() {
  for (Index j = 0; j < m_; ++j) {
    g_[j] += epsilon_ * std::log(scaling_[j]);
    scaling_[j] = 1;
  }
}

void Solver::iterate(double epsilon, double tolerance, Index& left, Index spare) {
  absorb();
  epsilon_ = epsilon;
  for (bool is_made = false; left > spare;) {
    --left;
    if (!is_made) make_kernel();
    scale_rows();
    add_up_columns();
    if (error_ <= tolerance) return;
    is_made = scale_columns();
    if (!is_made) absorb();
  }
}

SinkhornPlan Solver::result() {
  SinkhornPlan result;
  result.epsilon = epsilon_;
  result.error = error_;
  for (Index i = 0; i < n_; ++i) {
    result.row_potential.push_back(epsilon_ * (std::log(row_scale_[i]) + std::log(total_)) - most_[i]);
  }
  for (Index j = 0; j < m_; ++j) {
    const double scaling = scaling_[j] * total_;
    double* const p = kernel_.view().column(j);
    for (Index i = 0; i < n_; ++i) {
      p[i] *= row_scale_[i] * scaling;
      result.cost += p[i] * cost_(i, j);
    }
  }
  absorb();
  result.column_potential = std::move(g_);
  result.plan = std::move(kernel_);
  return result;
}

void check(const SinkhornOptions& options) {
  require<OptionError>(options.regularization > 0 && options.regularization < infinity,
                       "sinkhorn: regularization = {}; it must be positive and finite", options.regularization);
  require<OptionError>(options.tolerance > 0, "sinkhorn: tolerance = {}; it must be positive", options.tolerance);
  require<OptionError>(options.max_iterations >= 1, "sinkhorn: max_iterations = {}; it must be at least 1",
                       options.max_iterations);
}

}  // namespace

SinkhornPlan sinkhorn(ConstMatrixView<double> cost, std::span<const double> row_mass,
                      std::span<const double> column_mass, const SinkhornOptions& options) {
  const Index n = cost.rows(), m = cost.cols();
  check(options);
  require<ShapeError>((n == 0) == (m == 0), "sinkhorn: costs ({} × {}) leave mass without a place to go", n, m);
  auto a = masses(row_mass, n, "row"), b = masses(column_mass, m, "column");
  if (n == 0) return {};
  const double total_a = sum(a), total_b = sum(b);
  require<DataError>(std::abs(total_a - total_b) <= options.tolerance / 2 * total_b,
                     "sinkhorn: the rows have mass {} in total and the columns {}; divide each by its total", total_a,
                     total_b);
  const double unit = spread(cost);
  const double epsilon = unit > 0 ? options.regularization * unit : 1;
  require<NumericalError>(
      std::isnormal(epsilon),
      "sinkhorn: regularization {} times {}, the mean of the costs above the smallest, is {:.3g}, which is "
      "beyond the range of doubles",
      options.regularization, unit, epsilon);

  Index left = options.max_iterations;
  Solver solver(cost, std::move(a), std::move(b));
  double level = epsilon;
  while (level * level_ratio <= unit) level *= level_ratio;
  for (; level > epsilon; level /= level_ratio) solver.iterate(level, level_tolerance, left, 1);
  solver.iterate(epsilon, options.tolerance, left, 0);
  require<NumericalError>(solver.error() <= options.tolerance,
                          "sinkhorn: the column sums are off by {:.3g} of the mass after {} iterations with "
                          "regularization {}, more than the tolerance {}; use a larger regularization, a larger "
                          "tolerance or more iterations",
                          solver.error(), options.max_iterations, options.regularization, options.tolerance);
  SinkhornPlan result = solver.result();
  result.iterations = options.max_iterations - left;
  return result;
}

Index draw_column(ConstMatrixView<double> plan, Index row, double uniform) {
  require<ShapeError>(row >= 0 && row < plan.rows(), "draw_column: row {} of a plan ({} × {})", row, plan.rows(),
                      plan.cols());
  require<OptionError>(uniform >= 0 && uniform <= 1, "draw_column: {} is not between 0 and 1", uniform);
  double total = 0;
  for (Index j = 0; j < plan.cols(); ++j) total += plan(row, j);
  require<NumericalError>(total > 0 && total < infinity, "draw_column: the sum of row {} is {}", row, total);
  double below = 0;
  Index last = 0;
  for (Index j = 0; j < plan.cols(); ++j) {
    if (!(plan(row, j) > 0)) continue;
    last = j;
    below += plan(row, j);
    if (below > uniform * total) break;
  }
  return last;
}

}  // namespace pushforward::linalg
