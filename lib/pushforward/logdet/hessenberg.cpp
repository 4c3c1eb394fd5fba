#include <pushforward/logdet/hessenberg.hpp>

#include <boost/math/quadrature/gauss.hpp>

#include <array>
#include <cmath>

namespace pushforward::logdet {

namespace {

constexpr unsigned most_nodes = 32;
constexpr double accuracy = 1e-10;

// Gauss–Legendre on [0, 1], and how large ‖H‖ may be for it.
struct Quadrature {
  std::size_t nodes = 0;
  std::array<double, most_nodes> point{}, weight{};
  double reach = 0;
};

template <unsigned nodes>
Quadrature gauss_legendre() {
  static_assert(nodes % 2 == 0 && nodes <= most_nodes);
  // Boost lists the positive points of the rule on [−1, 1]. The negative points mirror them.
  using Rule = boost::math::quadrature::gauss<double, nodes>;
  Quadrature q;
  for (std::size_t i = 0; i < nodes / 2; ++i) {
    for (const double sign : {-1.0, 1.0}) {
      q.point[q.nodes] = 0.5 * (1 + sign * Rule::abscissa()[i]);
      q.weight[q.nodes++] = 0.5 * Rule::weights()[i];
    }
  }
  // The error is a function r of H, r(z) that of log(1 + z): its power series has terms of one sign on (−1, 0), since
  // Gauss's error in a power of t is never negative, so that |r(z)| ≤ |r(−c)| for |z| ≤ c, and ‖r(H)‖ ≤ |r(−c)| for
  // ‖H‖ ≤ c [von Neumann 1951].
  double above = 1;
  for (int halving = 0; halving < 50; ++halving) {
    const double c = 0.5 * (q.reach + above);
    double error = std::log1p(-c);
    for (std::size_t i = 0; i < q.nodes; ++i) error += q.weight[i] * c / (1 - q.point[i] * c);
    (std::abs(error) <= accuracy ? q.reach : above) = c;
  }
  return q;
}

// The cheapest that is accurate, or the largest.
const Quadrature& quadrature_for(double norm) {
  static const std::array<Quadrature, 3> all{gauss_legendre<8>(), gauss_legendre<16>(), gauss_legendre<most_nodes>()};
  for (const auto& q : all) {
    if (norm <= q.reach) return q;
  }
  return all.back();
}

// Nodes go side by side, so that all arithmetic vectorises.
constexpr Index lanes = 8;

void shifted(double h, double one, const double* __restrict t, double* __restrict to) {
  for (Index l = 0; l < lanes; ++l) to[l] = t[l] * h + one;
}
void invert(double* a) {
  for (Index l = 0; l < lanes; ++l) a[l] = 1 / a[l];
}
void multiply(const double* __restrict a, const double* __restrict b, double* __restrict to) {
  for (Index l = 0; l < lanes; ++l) to[l] = a[l] * b[l];
}
void subtract_product(const double* __restrict a, const double* __restrict b, double* __restrict from) {
  for (Index l = 0; l < lanes; ++l) from[l] -= a[l] * b[l];
}

}  // namespace

Index log_form_work(Index m) {
  return lanes * m * (m + 1);
}

double log_form(ConstMatrixView<double> h, std::span<double> work) {
  const Index m = h.rows();
  double square = 0;
  for (Index j = 0; j < m; ++j) {
    for (Index i = 0; i <= std::min(j + 1, m - 1); ++i) square += h(i, j) * h(i, j);
  }
  const Quadrature& quadrature = quadrature_for(std::sqrt(square));
  // Element (i, j) of I + tH, and of x = (I + tH)⁻¹e₁, of all lanes each.
  const auto a = [&](Index i, Index j) { return work.data() + lanes * (i + j * m); };
  const auto x = [&](Index i) { return work.data() + lanes * (m * m + i); };
  double sum = 0;
  for (std::size_t from = 0; from < quadrature.nodes; from += lanes) {
    const double* const t = quadrature.point.data() + from;
    for (Index j = 0; j < m; ++j) {
      for (Index i = 0; i <= std::min(j + 1, m - 1); ++i) shifted(h(i, j), i == j ? 1 : 0, t, a(i, j));
      std::fill_n(x(j), lanes, j == 0 ? 1.0 : 0.0);
    }
    // I + tH has a positive definite symmetric part, so that elimination needs no pivots but the diagonal, which is
    // inverted in place.
    for (Index k = 0; k < m; ++k) {
      invert(a(k, k));
      if (k + 1 == m) break;
      double factor[lanes];
      multiply(a(k + 1, k), a(k, k), factor);
      for (Index j = k + 1; j < m; ++j) subtract_product(factor, a(k, j), a(k + 1, j));
      subtract_product(factor, x(k), x(k + 1));
    }
    double first[lanes] = {};  // of Hx
    for (Index i = m - 1; i >= 0; --i) {
      double value[lanes];
      std::copy_n(x(i), lanes, value);
      for (Index j = i + 1; j < m; ++j) subtract_product(a(i, j), x(j), value);
      multiply(value, a(i, i), x(i));
      for (Index l = 0; l < lanes; ++l) first[l] += h(0, i) * x(i)[l];
    }
    for (std::size_t l = 0; l < lanes; ++l) sum += quadrature.weight[from + l] * first[l];
  }
  return sum;
}

double solve_shifted(ConstMatrixView<double> h, double beta, std::span<double> y, std::span<double> work) {
  const Index m = h.cols();
  const MatrixView<double> r(work.data(), m + 1, m);
  const std::span<double> g = work.subspan((m + 1) * m, m + 1);
  for (Index j = 0; j < m; ++j) {
    for (Index i = 0; i <= m; ++i) r(i, j) = (i <= j + 1 ? h(i, j) : 0) + (i == j ? 1 : 0);
  }
  std::fill(g.begin(), g.end(), 0.0);
  g[0] = beta;
  for (Index k = 0; k < m; ++k) {  // Givens rotations to upper triangular form
    const double radius = std::sqrt(r(k, k) * r(k, k) + r(k + 1, k) * r(k + 1, k));
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
    double value = g[i];
    for (Index j = i + 1; j < m; ++j) value -= r(i, j) * y[j];
    y[i] = value / r(i, i);
  }
  return std::abs(g[m]);
}

}  // namespace pushforward::logdet
