#include <pushforward/linalg/blas.hpp>
#include <pushforward/nn/gates.hpp>

#include <array>
#include <cmath>
#include <xsimd/xsimd.hpp>

namespace pushforward::nn {

using linalg::gemm;
using linalg::Op;

namespace {

// The smallest gate. Gates are divided by.
template <class T>
constexpr T smallest = T(1e-20);

// γ = 2σ(g), in place. A NaN stays one.
template <class T>
void open_gates(std::span<T> g) {
  using B = xsimd::batch<T>;
  const auto of = [](B x) { return xsimd::max(B(smallest<T>), B(T(2)) / (B(T(1)) + xsimd::exp(-x))); };
  const std::size_t whole = g.size() / B::size * B::size;
  for (std::size_t i = 0; i < whole; i += B::size) of(B::load_unaligned(&g[i])).store_unaligned(&g[i]);
  std::array<T, B::size> rest{};
  std::copy(g.begin() + static_cast<std::ptrdiff_t>(whole), g.end(), rest.begin());
  of(B::load_unaligned(rest.data())).store_unaligned(rest.data());
  std::copy_n(rest.begin(), g.size() - whole, g.begin() + static_cast<std::ptrdiff_t>(whole));
}

// Whether all columns are the same, as all samples at one time are.
template <class T>
bool has_equal_columns(ConstMatrixView<T> a) {
  for (Index j = 1; j < a.cols(); ++j) {
    if (!std::equal(a.column(j), a.column(j) + a.rows(), a.column(0))) return false;
  }
  return a.cols() > 0;
}

}  // namespace

template <class T>
Gates<T>::Gates(ParameterLayout& layout, const std::string& path, Index w, Index values, bool shifts)
    : gate_offset_(add_matrix(layout, path + "/gate", w, values)), gate_(w, values) {
  if (!shifts) return;
  shift_offset_ = add_matrix(layout, path + "/shift", w, values);
  shift_ = Matrix<T>(w, values);
}

template <class T>
void Gates<T>::initialize(std::span<T> parameters) const {
  std::fill_n(parameters.data() + gate_offset_, gate_.size(), T(0));
  if (shift_offset_) std::fill_n(parameters.data() + *shift_offset_, shift_.size(), T(0));
}

template <class T>
void Gates<T>::prepare(std::span<const T> parameters) {
  std::copy_n(parameters.data() + gate_offset_, gate_.size(), gate_.data());
  if (shift_offset_) std::copy_n(parameters.data() + *shift_offset_, shift_.size(), shift_.data());
}

template <class T>
void Gates<T>::apply(ConstMatrixView<T> tau, MatrixView<T> gate, MatrixView<T> a) const {
  const Index w = a.rows(), n = a.cols();
  const bool is_same = has_equal_columns(tau);
  const auto chosen = gate.columns(0, is_same ? 1 : n);
  gemm(Op::none, Op::none, T(1), gate_, tau.columns(0, chosen.cols()), T(0), chosen);
  open_gates(std::span<T>(chosen.data(), static_cast<std::size_t>(chosen.size())));
  for (Index j = 0; j < n; ++j) {
    T* const g = gate.column(j);
    if (is_same && j > 0) std::copy_n(gate.column(0), w, g);
    T* const to = a.column(j);
#pragma GCC ivdep
    for (Index i = 0; i < w; ++i) to[i] *= g[i];
  }
  if (shift_offset_) gemm(Op::none, Op::none, T(1), shift_, tau, T(1), a);
}

template <class T>
void Gates<T>::scale_derivatives(ConstMatrixView<T> gate, MatrixView<T> first, MatrixView<T> second) {
  const Index w = first.rows();
  for (Index j = 0; j < first.cols(); ++j) {
    const T* const g = gate.column(j);
    T* const c = first.column(j);
#pragma GCC ivdep
    for (Index i = 0; i < w; ++i) c[i] *= g[i];
    if (second.empty()) continue;
    T* const e = second.column(j);
#pragma GCC ivdep
    for (Index i = 0; i < w; ++i) e[i] *= g[i] * g[i];
  }
}

template <class T>
void Gates<T>::before_gate(ConstMatrixView<T> gate, ConstMatrixView<T> product_bar, MatrixView<T> a_bar) {
  for (Index j = 0; j < a_bar.cols(); ++j) {
    for (Index i = 0; i < a_bar.rows(); ++i) a_bar(i, j) = product_bar(i, j) / gate(i, j);
  }
}

template <class T>
void Gates<T>::add_gradient(const GateTape<T>& tape, ConstMatrixView<T> tau, MatrixView<T> a_bar,
                            std::span<T> gradient) const {
  const Index w = a_bar.rows(), n = a_bar.cols(), k = n == 0 ? 0 : tape.product_bar.cols() / n - 1;
  const bool is_shared = tape.tangents.cols() < n * k;
  const auto into = [&](Index offset) { return MatrixView<T>(gradient.data() + offset, w, gate_.cols()); };
  if (shift_offset_) gemm(Op::none, Op::transpose, T(1), a_bar, tau, T(1), into(*shift_offset_));
  for (Index j = 0; j < n; ++j) {
    T* const sum = a_bar.column(j);  // now of the cotangent of log γ
    for (Index i = 0; i < w; ++i) {
      sum[i] = tape.product_bar(i, j) * tape.product(i, j);
      if (!tape.slope_bar.empty()) sum[i] += tape.slope(i, j) * tape.slope_bar(i, j);
    }
    for (Index m = 0; m < k; ++m) {
      const T* const bar = tape.product_bar.column(n + j * k + m);
      const T* const tangent = tape.tangents.column(is_shared ? m : j * k + m);
#pragma GCC ivdep
      for (Index i = 0; i < w; ++i) sum[i] += bar[i] * tangent[i];
    }
    for (Index i = 0; i < w; ++i) sum[i] *= T(1) - tape.gate(i, j) / 2;
  }
  gemm(Op::none, Op::transpose, T(1), a_bar, tau, T(1), into(gate_offset_));
}

template <class T>
double Gates<T>::largest(double length) const {
  double most = 0;
  for (Index i = 0; i < gate_.rows(); ++i) {
    double squares = 0;
    for (Index j = 0; j < gate_.cols(); ++j) squares += std::pow(static_cast<double>(gate_(i, j)), 2);
    most = std::max(most, 2 / (1 + std::exp(-length * std::sqrt(squares))));
  }
  return most;
}

template class Gates<float>;
template class Gates<double>;

}  // namespace pushforward::nn
