#pragma once

// Rates of this machine, as a measure of those that the library measures.

#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <algorithm>
#include <chrono>

namespace pushforward::test {

/// GFLOP/s of products of this test, the best of several.
inline double rate_of_products() {
  using Clock = std::chrono::steady_clock;
  constexpr Index m = 64, n = 2048;
  const Matrix<double> a(m, m), b(m, n);
  Matrix<double> c(m, n);
  double best = 0;
  for (int trial = 0; trial < 5; ++trial) {
    const auto start = Clock::now();
    linalg::gemm(linalg::Op::none, linalg::Op::none, 1.0, a, b, 0.0, c);
    const std::chrono::duration<double> seconds = Clock::now() - start;
    best = std::max(best, 1e-9 * linalg::gemm_flops(m, n, m) / seconds.count());
  }
  return best;
}

/// Whether a rate is in GFLOP/s: at most 100 times that of products here, and at least 1/500 of it. Small
/// factorizations are slow, and the machine may be busy; but another unit is off by 1000 or more.
inline bool is_rate(double gflops) {
  const double products = rate_of_products();
  return gflops <= 100 * products && gflops >= products / 500;
}

}  // namespace pushforward::test
