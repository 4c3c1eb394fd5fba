#pragma once

// Flows, references and predicates for the tests of comparisons of log-dets. The references are worked out in another
// way.

#include <pushforward/analysis/log_det_comparison.hpp>
#include <pushforward/transforms/residual.hpp>

#include "../nn/networks.hpp"
#include "subjects.hpp"

namespace pushforward::test {

using flow::Flow;
using flow::FlowOptions;
using flow::LogDetComparison;
using flow::LogDetComparisonOptions;
using flow::LogDetDraws;
using flow::LogDetPart;
using flow::Status;
using nn::Normalization;
using nn::Pass;

inline constexpr Index d = 3;

inline const std::vector<std::string> some_methods{"series:6",
                                                   "series:6,trace=exact",
                                                   "roulette:p=0.3,length=step",
                                                   "roulette:p=0.5,exact=4,samples=2,probe=gaussian",
                                                   "poisson:rate=2,probes=2",
                                                   "krylov:2",
                                                   "trace+krylov:2,probe=hadamard,probes=3",
                                                   "exact:through=input"};

inline std::vector<logdet::Method> parse(const std::vector<std::string>& texts) {
  std::vector<logdet::Method> methods;
  for (const auto& text : texts) methods.push_back(logdet::parse_method(text));
  return methods;
}

/// Two blocks between ActNorms, transforms 1 and 3, with effective weights of norms near their bounds.
template <class T>
Flow<T> trained_like(const FlowOptions& options = {.blocks = 2, .hidden = {6, 6}, .lipschitz = 0.9}) {
  Flow<T> flow(d, options, 1);
  const auto values = random_vector<T>(flow.layout().size(), 81, 0.7);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.prepare(Normalization::svd);
  flow.bake_normalization();
  flow.prepare(Normalization::stored);
  return flow;
}

struct Result {
  std::vector<LogDetPart> parts;
  std::vector<Status> status;
};

template <class T>
Result run(const Flow<T>& flow, const LogDetComparisonOptions& options, std::type_identity_t<ConstMatrixView<T>> x,
           Index first = 0) {
  Result result;
  result.status.assign(x.cols(), Status::not_converged);
  result.parts = LogDetComparison<T>(flow, options).run(x, first, result.status);
  return result;
}

/// x as it arrives at each transform.
template <class T>
std::vector<Matrix<T>> arrivals(const Flow<T>& flow, const Matrix<T>& x) {
  std::vector<Matrix<T>> all{x};
  std::vector<double> log_det(x.cols());
  std::vector<Status> status(log_det.size());
  for (const auto& transform : flow.transforms()) {
    linalg::Workspace counted_kept, counted_scratch;
    transform->plan(counted_kept, counted_scratch, x.cols(), Pass::evaluate);
    linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
    const auto state = transform->plan(kept, scratch, x.cols(), Pass::evaluate);
    Matrix<T> z(x.rows(), x.cols());
    transform->forward(*state, {all.back()}, z, log_det, status);
    all.push_back(std::move(z));
  }
  return all;
}

/// J = ∂g/∂x at a point (d), by central differences of fourth order.
inline Matrix<double> jacobian_at(const nn::Network<double>& network, std::span<const double> x) {
  constexpr double h = 1e-3, offsets[] = {-2, -1, 1, 2}, weights[] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  const auto n = std::ssize(x);
  Matrix<double> points(n, 4 * n), y(n, 4 * n), jacobian(n, n);
  for (Index j = 0; j < 4 * n; ++j) {
    for (Index i = 0; i < n; ++i) points(i, j) = x[i];
    points(j / 4, j) += h * offsets[j % 4];
  }
  Passes<double> passes(network, 4 * n, 0, Pass::evaluate);
  network.forward(*passes, points, y);
  for (Index j = 0; j < 4 * n; ++j) {
    for (Index i = 0; i < n; ++i) jacobian(i, j / 4) += weights[j % 4] / h * y(i, j);
  }
  return jacobian;
}

inline double log_det_of(const Matrix<double>& jacobian) {
  Matrix<double> a(jacobian);
  for (Index i = 0; i < a.rows(); ++i) a(i, i) += 1;
  return linalg::reference::log_det<double>(a).log_abs;
}

/// An estimator at points of a network, called as nobody but this test does.
struct Direct {
  Direct(const nn::Network<double>& network, const logdet::Method& method, const Matrix<double>& x,
         const logdet::Draws& draws, Pass pass = Pass::evaluate)
      : Direct(network, *logdet::make_estimator<double>(method, network.options()), x, draws, pass) {}
  Direct(const nn::Network<double>& network, const logdet::Estimator<double>& estimator, const Matrix<double>& x,
         const logdet::Draws& draws, Pass pass)
      : value(static_cast<std::size_t>(x.cols())), variance(value.size()), sign(value.size()), products(value.size()) {
    const Index n = x.cols();
    Passes<double> passes(network, n, estimator.tangents(network), pass);
    linalg::Workspace kept_count, scratch_count;
    estimator.plan(network, kept_count, scratch_count, n, pass);
    linalg::Workspace kept(kept_count.peak()), scratch(scratch_count.peak());
    const auto state = estimator.plan(network, kept, scratch, n, pass);
    Matrix<double> y(x.rows(), n), x_bar(x.rows(), n);
    network.forward(*passes, x, y);
    estimator.estimate(network, *passes, *state, draws, {value, variance, sign, products});
    if (pass == Pass::evaluate) return;
    const auto seed = passes->value_seed();
    for (Index i = 0; i < n; ++i) std::fill_n(seed.column(i), seed.rows(), 0.0);
    gradient.resize(10'000);  // the flat buffer of a small flow, and to spare
    estimator.add_to_reverse(network, *passes, *state, {}, gradient);
    network.reverse(*passes, x_bar, gradient);
  }

  std::vector<double> value, variance;
  std::vector<linalg::Sign> sign;
  std::vector<Index> products;
  std::vector<double> gradient;
};

inline const nn::Network<double>& network_of(const Flow<double>& flow, Index transform) {
  return *lipschitz_network(*flow.transforms()[transform]);
}

inline std::span<const double> column(const Matrix<double>& m, Index j) {
  return m.view().column_span(j);
}

/// The exact log-dets, norms and spectral radii that one block ought to have.
struct Expected {
  std::vector<double> exact, norm, radius;
};
inline Expected expected_of(const Flow<double>& flow, const Matrix<double>& x, Index transform) {
  Expected e;
  const auto at = arrivals(flow, x)[transform];
  for (Index i = 0; i < x.cols(); ++i) {
    const auto j = jacobian_at(network_of(flow, transform), column(at, i));
    e.exact.push_back(log_det_of(j));
    e.norm.push_back(linalg::reference::spectral_norm<double>(j));
    e.radius.push_back(linalg::spectral_radius(j.view()));
  }
  return e;
}

inline Verdict draws_agree(const LogDetDraws& actual, const LogDetDraws& expected, double tolerance) {
  if (actual.products.rows() != expected.products.rows() ||
      !std::ranges::equal(actual.products.span(), expected.products.span())) {
    return Verdict(false);
  }
  const auto verdict = close_absolute(actual.value.view(), expected.value.view(), tolerance);
  return verdict ? close_absolute(actual.gradient_error.view(), expected.gradient_error.view(), tolerance) : verdict;
}

/// Rows [begin, begin + n) of a part, n being what `actual` has, are those of `actual`; NaN fails.
inline Verdict has_rows(const LogDetPart& whole, Index begin, const LogDetPart& actual, double tolerance = 1e-12) {
  const auto n = std::ssize(actual.exact);
  const auto rows = [&](const std::vector<double>& all) {
    return all.empty() ? std::span<const double>() : std::span(all).subspan(std::size_t(begin), std::size_t(n));
  };
  for (const auto array :
       {&LogDetPart::exact, &LogDetPart::gradient_norm, &LogDetPart::spectral_radius, &LogDetPart::norm}) {
    const auto verdict = close_absolute(std::span<const double>(actual.*array), rows(whole.*array), tolerance);
    if (!verdict) return verdict;
  }
  for (std::size_t m = 0; m < whole.draws.size(); ++m) {
    const auto& all = whole.draws[m];
    LogDetDraws part;
    const auto block = [&](const auto& matrix) { return matrix.view().block(begin, 0, n, matrix.cols()); };
    part.value = Matrix<double>(block(all.value));
    part.products = Matrix<Index>(block(all.products));
    part.gradient_error =
        all.gradient_error.cols() == 0 ? Matrix<double>(n, 0) : Matrix<double>(block(all.gradient_error));
    if (const auto verdict = draws_agree(actual.draws[m], part, tolerance); !verdict) return verdict;
  }
  return Verdict(true);
}

inline Verdict have_rows(const Result& whole, Index begin, const Result& actual) {
  for (std::size_t p = 0; p < whole.parts.size(); ++p) {
    if (const auto verdict = has_rows(whole.parts[p], begin, actual.parts[p]); !verdict) return verdict;
  }
  return Verdict(whole.parts.size() == actual.parts.size());
}

/// All numbers of row i are NaN.
inline bool is_blank(const LogDetPart& part, std::size_t i) {
  const auto row = static_cast<Index>(i);
  bool blank = true;
  for (const auto array :
       {&LogDetPart::exact, &LogDetPart::gradient_norm, &LogDetPart::spectral_radius, &LogDetPart::norm}) {
    blank = blank && ((part.*array).empty() || std::isnan((part.*array)[i]));
  }
  for (const auto& draws : part.draws) {
    for (Index r = 0; r < draws.value.cols(); ++r) blank = blank && std::isnan(draws.value(row, r));
    for (Index r = 0; r < draws.gradient_error.cols(); ++r) blank = blank && std::isnan(draws.gradient_error(row, r));
  }
  return blank;
}

/// A block of a flow: where its parameters stand in the flat buffer.
inline std::pair<Index, Index> range_of(const Flow<double>& flow, const std::string& path) {
  Index begin = flow.layout().size(), end = 0;
  for (const auto& block : flow.layout().blocks()) {
    if (!block.name.starts_with(path)) continue;
    begin = std::min(begin, block.offset);
    end = std::max(end, block.offset + block.size());
  }
  return {begin, end};
}

inline double norm_of(std::span<const double> v) {
  double square = 0;
  for (const double value : v) square += value * value;
  return std::sqrt(square);
}

/// x + 0.9·diag(a, 1)·tanh x, whose power iteration has settled on the second direction before `a` grew: a norm that is
/// estimated as 0.9, and det(I + J) ≤ 0 near 0 for a ≤ −1/0.9. Without hidden layers x + 0.5·diag(a, 1) x.
inline Flow<double> misled(double a, bool linear) {
  flow::ResidualOptions residual{.hidden = {2}, .activation = "tanh", .lipschitz = 0.9};
  if (linear) residual.hidden = {}, residual.lipschitz = 0.5;
  Flow<double> flow({{.shape = Shape::vector(2)}, {residual}, {}}, 1);
  const auto set = [&](double first) {
    std::ranges::fill(flow.parameters(), 0.0);
    const Index last = linear ? 0 : 1;
    for (const auto& block : flow.layout().blocks()) {
      if (!block.name.ends_with("weight")) continue;
      const bool is_last = block.name.ends_with(fmt::format("layer_{}/weight", last));
      flow.parameters()[block.offset] = is_last ? first : 1;
      flow.parameters()[block.offset + 3] = 1;
    }
  };
  set(0.001);
  for (int i = 0; i < 200; ++i) flow.prepare(Normalization::power_iteration);
  set(a);
  flow.prepare(Normalization::power_iteration);
  return flow;
}

}  // namespace pushforward::test
