#include <pushforward/logdet/hessenberg.hpp>

#include <array>
#include <cmath>
#include <numbers>
#include <utility>

namespace pushforward::logdet {

namespace {

constexpr int nodes = 32;

struct Quadrature {
  std::array<double, nodes> point, weight;  // on [0, 1]
};

// Roots of the Legendre polynomial by Newton's method [Press et al., Numerical Recipes, gauleg].
Quadrature gauss_legendre() {
  Quadrature q{};
  for (int i = 0; i < nodes; ++i) {
    double x = std::cos(std::numbers::pi * (i + 0.75) / (nodes + 0.5)), slope = 0;
    for (int iteration = 0; iteration < 100; ++iteration) {
      double p = 1, before = 0;
      for (int k = 0; k < nodes; ++k) before = std::exchange(p, ((2 * k + 1) * x * p - k * before) / (k + 1));
      slope = nodes * (x * p - before) / (x * x - 1);
      const double change = p / slope;
      x -= change;
      if (std::abs(change) < 1e-16) break;
    }
    q.point[static_cast<std::size_t>(i)] = 0.5 * (1 - x);
    q.weight[static_cast<std::size_t>(i)] = 1 / ((1 - x * x) * slope * slope);
  }
  return q;
}

}  // namespace

double log_form(ConstMatrixView<double> h, std::span<double> work) {
  static const Quadrature quadrature = gauss_legendre();
  const Index m = h.rows();
  const MatrixView<double> a(work.data(), m, m);
  const std::span<double> x = work.subspan(static_cast<std::size_t>(m * m), static_cast<std::size_t>(m));
  double sum = 0;
  for (std::size_t q = 0; q < nodes; ++q) {
    const double t = quadrature.point[q];
    for (Index j = 0; j < m; ++j) {
      for (Index i = 0; i <= std::min(j + 1, m - 1); ++i) a(i, j) = t * h(i, j) + (i == j ? 1 : 0);
      x[static_cast<std::size_t>(j)] = j == 0 ? 1 : 0;
    }
    // I + tH has a positive definite symmetric part, so that elimination needs no pivots.
    for (Index k = 0; k + 1 < m; ++k) {
      const double factor = a(k + 1, k) / a(k, k);
      for (Index j = k + 1; j < m; ++j) a(k + 1, j) -= factor * a(k, j);
      x[static_cast<std::size_t>(k + 1)] -= factor * x[static_cast<std::size_t>(k)];
    }
    for (Index i = m - 1; i >= 0; --i) {
      double value = x[static_cast<std::size_t>(i)];
      for (Index j = i + 1; j < m; ++j) value -= a(i, j) * x[static_cast<std::size_t>(j)];
      x[static_cast<std::size_t>(i)] = value / a(i, i);
    }
    double first = 0;
    for (Index j = 0; j < m; ++j) first += h(0, j) * x[static_cast<std::size_t>(j)];
    sum += quadrature.weight[q] * first;
  }
  return sum;
}

void solve_shifted(ConstMatrixView<double> h, double beta, std::span<double> y, std::span<double> work) {
  const Index m = h.cols();
  const MatrixView<double> r(work.data(), m + 1, m);
  const std::span<double> g = work.subspan(static_cast<std::size_t>((m + 1) * m), static_cast<std::size_t>(m + 1));
  for (Index j = 0; j < m; ++j) {
    for (Index i = 0; i <= m; ++i) r(i, j) = (i <= j + 1 ? h(i, j) : 0) + (i == j ? 1 : 0);
  }
  std::fill(g.begin(), g.end(), 0.0);
  g[0] = beta;
  for (Index k = 0; k < m; ++k) {  // Givens rotations to upper triangular form
    const double radius = std::hypot(r(k, k), r(k + 1, k));
    if (!(radius > 0)) continue;
    const double c = r(k, k) / radius, s = r(k + 1, k) / radius;
    for (Index j = k; j < m; ++j) {
      const double upper = r(k, j), lower = r(k + 1, j);
      r(k, j) = c * upper + s * lower;
      r(k + 1, j) = c * lower - s * upper;
    }
    const auto at = static_cast<std::size_t>(k);
    g[at + 1] = -s * g[at];
    g[at] *= c;
  }
  for (Index i = m - 1; i >= 0; --i) {
    double value = g[static_cast<std::size_t>(i)];
    for (Index j = i + 1; j < m; ++j) value -= r(i, j) * y[static_cast<std::size_t>(j)];
    y[static_cast<std::size_t>(i)] = value / r(i, i);
  }
}

}  // namespace pushforward::logdet
