#include "flops.hpp"
#include "kernels.hpp"
#include "subject.hpp"

#include <pushforward/linalg/reference.hpp>

#include <algorithm>
#include <array>

namespace pushforward::bench {

namespace {

using linalg::Op;

template <class T>
constexpr double product_tolerance = 1e3 * std::numeric_limits<T>::epsilon();

// The shapes of training steps, chunks as they come with the default workspace or smaller.
Products shapes_of_steps(bool tiny_sizes) {
  const auto network = [](Index d, std::vector<Index> hidden) { return FlowShape{d, 1, std::move(hidden)}.network(); };
  Products all;
  if (tiny_sizes) {
    all.add(gradient_products({}, network(3, {9, 9}), 5, 0));
    return all;
  }
  all.add(gradient_products({}, network(2, {128, 128, 128}), 500, 0));
  all.add(gradient_products({}, network(43, {128, 128}), 64, 0));
  all.add(gradient_products(logdet::parse_method("neumann:p=0.5,length=step"), network(64, {256, 256}), 512, 4));
  return all;
}

template <class T>
MatrixView<const T> rows_of(Op op, ConstMatrixView<T> a, Index count) {
  return op == Op::none ? a.block(0, 0, count, a.cols()) : a.block(0, 0, a.rows(), count);
}
template <class T>
MatrixView<const T> columns_of(Op op, ConstMatrixView<T> b, Index count) {
  return rows_of(op == Op::none ? Op::transpose : Op::none, b, count);
}

// The corner of a product against plain loops.
template <class T>
void check_corner(Checks& checks, const Product& p, ConstMatrixView<T> a, ConstMatrixView<T> b, ConstMatrixView<T> c) {
  const Index m = std::min<Index>(8, p.m), n = std::min<Index>(8, p.n);
  Matrix<T> expected(m, n);
  linalg::reference::gemm<T>(p.a, p.b, T(1), rows_of(p.a, a, m), columns_of(p.b, b, n), T(0), expected);
  const Matrix<T> actual(c.block(0, 0, m, n));
  checks.close(to_string(p), actual.span(), std::as_const(expected).span(), product_tolerance<T>);
}

}  // namespace

template <class T>
std::vector<Result> time_gemm(const Session& session) {
  std::vector<Result> results;
  const auto products = shapes_of_steps(session.tiny);
  for (const auto& p : products.shapes()) {
    const auto a = normal_columns<T>(p.a == Op::none ? p.m : p.k, p.a == Op::none ? p.k : p.m);
    const auto b = normal_columns<T>(p.b == Op::none ? p.k : p.n, p.b == Op::none ? p.n : p.k);
    Matrix<T> c(p.m, p.n);
    const auto multiply = [&] { linalg::gemm(p.a, p.b, T(1), a, b, T(0), c); };
    multiply();
    Checks checks;
    check_corner<T>(checks, p, a, b, c);
    Result result{.label = to_string(p), .rows = p.n, .check = checks.nearest()};
    result.timing = time_repeats(session, multiply);
    result.flops = linalg::gemm_flops(p.m, p.n, p.k) * session.comm.size();
    results.push_back(result);
  }
  return results;
}

template <class T>
std::vector<Result> time_lu(const Session& session) {
  constexpr std::array<Index, 6> orders{2, 5, 10, 16, 43, 64};
  constexpr Index few = 3;
  const Index n = session.tiny ? 4 : 512;
  std::vector<Result> results;
  for (const Index d : orders) {
    Matrix<T> matrices = normal_columns<T>(d, d * n);
    const T scale = static_cast<T>(0.5 / std::sqrt(static_cast<double>(d)));
    for (T& value : matrices.span()) value *= scale;
    for (Index j = 0; j < d * n; ++j) matrices(j % d, j) += T(1);
    Matrix<T> factors(d, d * n), inverses(d, d * n);
    std::vector<int> pivots(d * n);
    std::vector<double> log_det(n);
    std::vector<linalg::Sign> sign(log_det.size());
    const auto factor = [&] {
      std::copy_n(matrices.data(), matrices.size(), factors.data());
      linalg::lu_log_det(factors, pivots, log_det, sign);
      linalg::lu_inverse_transpose(factors, pivots, sign, inverses);
    };
    factor();
    Checks checks;
    std::vector<double> expected;
    for (Index i = 0; i < few; ++i) {
      const auto matrix = std::as_const(matrices).view().columns(i * d, d);
      expected.push_back(linalg::reference::log_det<T>(matrix).log_abs);
      const auto inverse = linalg::reference::inverse<T>(matrix);
      Matrix<T> transposed(d, d);
      for (Index c = 0; c < d; ++c) {
        for (Index r = 0; r < d; ++r) transposed(r, c) = inverse(c, r);
      }
      const Matrix<T> actual(std::as_const(inverses).view().columns(i * d, d));
      checks.close("an inverse transpose", actual.span(), std::as_const(transposed).span(), product_tolerance<T>);
    }
    checks.close("log-dets", std::span<const double>(log_det).first(few), std::span<const double>(expected),
                 product_tolerance<T>);

    Products work;
    work.add(lu_product(d, n, nn::Pass::gradient));
    GemmRates<T> rates(work);
    rates.measure(session.tiny ? 0 : 0.05);
    Result result{.label = fmt::format("d={}", d), .rows = n, .check = checks.nearest()};
    result.timing = time_repeats(session, factor);
    rates.measure(session.tiny ? 0 : 0.05);
    result.flops = work.flops() * session.comm.size();
    result.bound = session.comm.max(rates.bound());
    results.push_back(result);
  }
  return results;
}

template std::vector<Result> time_gemm<float>(const Session&);
template std::vector<Result> time_gemm<double>(const Session&);
template std::vector<Result> time_lu<float>(const Session&);
template std::vector<Result> time_lu<double>(const Session&);

}  // namespace pushforward::bench
