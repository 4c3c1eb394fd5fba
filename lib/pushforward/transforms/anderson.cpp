#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/transforms/anderson.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

namespace pushforward::flow {

namespace {

constexpr Index most_pairs = 5;
constexpr double dependent = 1e-10;  // least share of a pair's square that is left beyond the newer pairs

using Coefficients = std::array<double, most_pairs>;

// Solves the rows of g γ = b before the first dependent one. Returns their number.
Index solve_normal_equations(const std::array<Coefficients, most_pairs>& g, const Coefficients& b, Index m,
                             Coefficients& gamma) {
  std::array<Coefficients, most_pairs> l{};
  const auto at = [](auto& rows, Index i, Index j) -> auto& {
    return rows[i][j];
  };
  Index rank = 0;
  for (; rank < m; ++rank) {
    for (Index j = 0; j <= rank; ++j) {
      double sum = at(g, rank, j);
      for (Index k = 0; k < j; ++k) sum -= at(l, rank, k) * at(l, j, k);
      at(l, rank, j) = j < rank ? sum / at(l, j, j) : sum;
    }
    double& pivot = at(l, rank, rank);
    if (!(pivot > dependent * at(g, rank, rank))) break;
    pivot = std::sqrt(pivot);
  }
  for (Index i = 0; i < rank; ++i) {
    double sum = b[i];
    for (Index k = 0; k < i; ++k) sum -= at(l, i, k) * gamma[k];
    gamma[i] = sum / at(l, i, i);
  }
  for (Index i = rank - 1; i >= 0; --i) {
    double sum = gamma[i];
    for (Index k = i + 1; k < rank; ++k) sum -= at(l, k, i) * gamma[k];
    gamma[i] = sum / at(l, i, i);
  }
  return rank;
}

}  // namespace

template <class T>
Anderson<T>::Anderson(linalg::Workspace& memory, Index d, Index n)
    : window_(std::min(most_pairs, d)),
      x_(memory.matrix<T>(d, window_ * n)),
      r_(memory.matrix<T>(d, window_ * n)),
      products_(memory.matrix<double>(window_, (window_ + 1) * n)),
      newest_(memory.take<Index>(n)),
      count_(memory.take<Index>(n)) {}

template <class T>
void Anderson<T>::reset(Index sample) {
  count_[sample] = 0;
}

template <class T>
bool Anderson<T>::step(Index sample, std::span<const T> x, std::span<const T> r, std::span<const T> x_before,
                       std::span<const T> r_before, std::span<T> step) {
  const Index m = window_, d = x_.rows();
  auto& count = count_[sample];
  auto& newest = newest_[sample];
  const auto xs = x_.columns(sample * m, m), rs = r_.columns(sample * m, m);
  const auto products = products_.columns(sample * (m + 1), m + 1);
  if (!x_before.empty()) {
    newest = count == 0 ? 0 : (newest + 1) % m;
    count = std::min(count + 1, m);
    std::transform(x.begin(), x.end(), x_before.begin(), xs.column(newest), std::minus<T>());
    std::transform(r.begin(), r.end(), r_before.begin(), rs.column(newest), std::minus<T>());
    for (Index j = 0; j < count; ++j) {
      const double along = linalg::dot_in_double(rs.column(j), r.data(), d), before = products(j, m);
      products(j, m) = along;
      if (j != newest) products(j, newest) = products(newest, j) = along - before;
    }
    products(newest, newest) = linalg::dot_in_double(rs.column(newest), rs.column(newest), d);
  }
  std::copy(r.begin(), r.end(), step.begin());
  std::array<Coefficients, most_pairs> g{};
  Coefficients b{}, gamma{};
  const auto place = [&](Index age) { return (newest - age + m) % m; };
  for (Index i = 0; i < count; ++i) {
    b[i] = products(place(i), m);
    for (Index j = 0; j < count; ++j) {
      g[i][j] = products(place(i), place(j));
    }
  }
  const Index rank = solve_normal_equations(g, b, count, gamma);
  for (Index i = 0; i < rank; ++i) {
    const T factor = static_cast<T>(gamma[i]);
    const T* const dx = xs.column(place(i));
    const T* const dr = rs.column(place(i));
    T* const to = step.data();
    for (Index k = 0; k < d; ++k) to[k] += factor * (dx[k] - dr[k]);
  }
  return rank > 0;
}

template class Anderson<float>;
template class Anderson<double>;

}  // namespace pushforward::flow
