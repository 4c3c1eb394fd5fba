#include "reference.hpp"

#include "../logdet/method_options.hpp"

#include <pushforward/linalg/reference.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace pushforward::bench {

namespace {

using linalg::Op;
using linalg::reference::gemm;
using logdet::Method;

double norm(ConstMatrixView<double> column) {
  double square = 0;
  for (Index i = 0; i < column.rows(); ++i) square += column(i, 0) * column(i, 0);
  return std::sqrt(square);
}

double dot(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  double sum = 0;
  for (Index i = 0; i < a.rows(); ++i) sum += a(i, 0) * b(i, 0);
  return sum;
}

// to += factor · from, columns.
void add(double factor, ConstMatrixView<double> from, MatrixView<double> to) {
  for (Index i = 0; i < from.rows(); ++i) to(i, 0) += factor * from(i, 0);
}

Matrix<double> transposed_times(ConstMatrixView<double> a, ConstMatrixView<double> b) {
  Matrix<double> c(a.cols(), b.cols());
  gemm<double>(Op::transpose, Op::none, 1, a, b, 0, c);
  return c;
}

double standard_normal_log_density(std::span<const double> z) {
  double square = 0;
  for (const double value : z) square += value * value;
  return -0.5 * (square + static_cast<double>(z.size()) * std::log(2 * std::numbers::pi));
}

double trace(ConstMatrixView<double> a) {
  double sum = 0;
  for (Index i = 0; i < a.rows(); ++i) sum += a(i, i);
  return sum;
}

Pairs exact(ConstMatrixView<double> jacobian) {
  const Index d = jacobian.rows();
  Matrix<double> shifted(jacobian), identity(d, d), u(d, d);
  for (Index i = 0; i < d; ++i) shifted(i, i) += 1, identity(i, i) = 1;
  const auto inverse = linalg::reference::inverse<double>(shifted);
  for (Index j = 0; j < d; ++j) {
    for (Index i = 0; i < d; ++i) u(i, j) = inverse(j, i);
  }
  return {.value = linalg::reference::log_det<double>(shifted).log_abs, .u = std::move(u), .v = std::move(identity)};
}

// Adds the share of probe v to u and value. lengths: those that the roulette drew.
void add_roulette(const logdet::Lengths& law, double probes, ConstMatrixView<double> jacobian,
                  std::span<const Index> lengths, ConstMatrixView<double> v, MatrixView<double> u, double& value) {
  const Index longest = law.exact + *std::max_element(lengths.begin(), lengths.end());
  Matrix<double> power(v);
  for (Index k = 1; k <= longest; ++k) {
    const Index beyond = k - law.exact;
    const auto reached = std::count_if(lengths.begin(), lengths.end(), [&](Index n) { return n >= beyond; });
    const double weight = static_cast<double>(reached) / static_cast<double>(lengths.size()) /
                          logdet::survival(law, std::max<Index>(beyond, 0)) * (k % 2 == 1 ? 1 : -1) / probes;
    add(weight, power, u);
    power = transposed_times(jacobian, power);
    value += weight / static_cast<double>(k) * dot(v, power);
  }
}

// The basis of span{v, Av, …, Aᵐ⁻¹v} and one vector beyond, A = Jᵀ, with A Q_m = Q_{m+1} H.
struct Krylov {
  Krylov(ConstMatrixView<double> jacobian, ConstMatrixView<double> v, Index m) : h(m + 1, m) {
    basis.emplace_back(v);
    scale(basis[0], 1 / norm(v));
    for (Index k = 0; k < m; ++k) {
      auto next = transposed_times(jacobian, basis.back());
      for (int pass = 0; pass < 2; ++pass) {
        for (Index l = 0; l <= k; ++l) {
          const auto& q = basis[l];
          const double along = dot(q, next);
          h(l, k) += along;
          add(-along, q, next);
        }
      }
      h(k + 1, k) = norm(next);
      scale(next, 1 / h(k + 1, k));
      basis.push_back(std::move(next));
    }
  }

  static void scale(Matrix<double>& column, double factor) {
    for (double& value : column.span()) value *= factor;
  }

  std::vector<Matrix<double>> basis;  // (d × 1) each
  Matrix<double> h;                   // (m + 1 × m)
};

// e₁ᵀ log(I + H) e₁ of the leading square part by ∫₀¹ e₁ᵀ H(I + tH)⁻¹e₁ dt, Boole's rule.
double log_of_projection(ConstMatrixView<double> h) {
  const Index m = h.cols();
  constexpr int intervals = 400;
  constexpr std::array weights{14, 32, 12, 32};
  double sum = 0;
  for (int i = 0; i <= intervals; ++i) {
    const double t = static_cast<double>(i) / intervals;
    Matrix<double> shifted(m, m);
    for (Index c = 0; c < m; ++c) {
      for (Index r = 0; r < m; ++r) shifted(r, c) = t * h(r, c) + (r == c ? 1 : 0);
    }
    const auto inverse = linalg::reference::inverse<double>(shifted);
    double value = 0;
    for (Index k = 0; k < m; ++k) value += h(0, k) * inverse(k, 0);
    sum += value * (i == 0 || i == intervals ? 7 : weights[i % 4]);
  }
  return sum * 2 / (45 * intervals);
}

// y that minimizes ‖βe₁ − (I + H)y‖, by normal equations.
Matrix<double> least_squares(ConstMatrixView<double> h, double beta) {
  const Index m = h.cols();
  Matrix<double> shifted(h);
  for (Index i = 0; i < m; ++i) shifted(i, i) += 1;
  const auto inverse = linalg::reference::inverse<double>(transposed_times(shifted, shifted));
  Matrix<double> y(m, 1);
  for (Index i = 0; i < m; ++i) {
    for (Index k = 0; k < m; ++k) y(i, 0) += inverse(i, k) * shifted(0, k) * beta;
  }
  return y;
}

// rest: whether tr J is exact and the probe estimates the rest.
void add_krylov(Index terms, bool rest, double probes, ConstMatrixView<double> jacobian, ConstMatrixView<double> v,
                MatrixView<double> u, double& value) {
  const Krylov space(jacobian, v, terms);
  const double length = norm(v);
  value += length * length * (log_of_projection(space.h) - (rest ? space.h(0, 0) : 0)) / probes;
  const auto y = least_squares(space.h, length);
  for (Index k = 0; k < terms; ++k) add(y(k, 0) / probes, space.basis[k], u);
  if (rest) add(-1 / probes, v, u);
}

}  // namespace

template <class T>
PlainFlow::PlainFlow(const flow::Flow<T>& flow, nn::Pass pass) {
  for (std::size_t t = 0; t < flow.transforms().size(); ++t) {
    const auto& transform = *flow.transforms()[t];
    if (const auto* const network = lipschitz_network(transform)) {
      blocks_.emplace_back(PlainNetwork(flow, t, *network));
    } else if (const auto* const coupling = dynamic_cast<const flow::Coupling<T>*>(&transform)) {
      blocks_.emplace_back(Coupling{PlainNetwork(flow, t, coupling->network()),
                                    *flow.architecture().chain[t].template get_if<flow::CouplingOptions>()});
    } else {
      const auto* const continuous = dynamic_cast<const flow::Continuous<T>*>(&transform);
      require<BugError>(continuous != nullptr, "there is no reference for transform {}", t);
      blocks_.emplace_back(PlainIntegration(PlainField(flow, t, *continuous), continuous->integration(), pass));
    }
  }
}

Value PlainFlow::Coupling::operator()(std::span<const double> x) const {
  require<BugError>(options.map.kind == "affine" && (options.mask == "even" || options.mask == "odd"),
                    "no reference for a coupling of map {} and mask {}", options.map.kind, options.mask);
  const std::size_t start = options.mask == "even" ? 0 : 1;
  std::vector<double> stays;
  for (std::size_t i = start; i < x.size(); i += 2) stays.push_back(x[i]);
  const auto theta = network(stays);
  const auto row = [](std::size_t i) { return static_cast<Index>(i); };
  Value value{std::vector<double>(x.size()), Matrix<double>(std::ssize(x), std::ssize(x))};
  for (std::size_t r = 1 - start, k = 0; r < x.size(); r += 2, k += 2) {
    const double tanh = std::tanh(theta.y[k + 1] / options.map.as<flow::AffineMapOptions>().scale_limit);
    const double scale = std::exp(options.map.as<flow::AffineMapOptions>().scale_limit * tanh);
    value.y[r] = x[r] * (scale - 1) + theta.y[k];
    value.jacobian(row(r), row(r)) = scale - 1;
    for (std::size_t p = 0; p < stays.size(); ++p) {
      value.jacobian(row(r), row(start + 2 * p)) =
          x[r] * scale * (1 - tanh * tanh) * theta.jacobian(row(k + 1), row(p)) + theta.jacobian(row(k), row(p));
    }
  }
  return value;
}

Value PlainFlow::block(Index block, std::span<const double> x) const {
  return std::visit([x](const auto& of) { return of(x); }, blocks_[block]);
}

PlainFlow::Image PlainFlow::image(std::span<const double> x) const {
  Image image{{x.begin(), x.end()}, {}};
  for (Index b = 0; b < blocks(); ++b) {
    auto value = block(b, image.z);
    for (std::size_t i = 0; i < image.z.size(); ++i) image.z[i] += value.y[i];
    image.blocks.push_back(std::move(value));
  }
  return image;
}

Pairs estimate_from(const Method& method, ConstMatrixView<double> jacobian, const logdet::Draws& draws) {
  if (method.exact()) return exact(jacobian);
  const auto law = test::lengths_of(method);
  const auto* const krylov = test::krylov_options(method);
  require<BugError>(law || krylov != nullptr, "no reference for {}", to_string(method));
  const auto [probe, probes] = test::probes_of(method);
  const Index d = jacobian.rows();
  Pairs pairs{.value = 0,
              .u = Matrix<double>(d, probes),
              .v = Matrix<double>(d, probes),
              .with_trace = test::has_exact_trace(method)};
  draw_probes(logdet::probe_names().value(probe), draws, probes, pairs.v.view());
  std::vector<Index> lengths(law ? law->samples : 0);
  if (law) draw_lengths(*law, draws, lengths);
  if (pairs.with_trace) pairs.value = trace(jacobian);
  const auto count = static_cast<double>(probes);
  for (Index p = 0; p < probes; ++p) {
    const auto v = pairs.v.view().columns(p, 1), u = pairs.u.view().columns(p, 1);
    if (law) {
      add_roulette(*law, count, jacobian, lengths, v, u, pairs.value);
    } else {
      add_krylov(krylov->terms, pairs.with_trace, count, jacobian, v, u, pairs.value);
    }
  }
  return pairs;
}

PlainLikelihood::PlainLikelihood(const PlainFlow& flow, ConstMatrixView<double> x, const Method& method,
                                 const logdet::Draws& draws)
    : x_(x) {
  for (Index i = 0; i < x.cols(); ++i) {
    const auto image = flow.image(x.column_span(i));
    std::vector<Pairs> pairs;
    double log_prob = standard_normal_log_density(image.z);
    for (Index b = 0; b < flow.blocks(); ++b) {
      auto mine = draws.from(i);
      mine.block = static_cast<std::uint64_t>(b);
      const auto& [y, jacobian, log_det] = image.blocks[b];
      pairs.push_back(log_det ? Pairs{.value = *log_det} : estimate_from(method, jacobian, mine));
      log_prob += pairs.back().value;
    }
    pairs_.push_back(std::move(pairs));
    log_prob_.push_back(log_prob);
  }
}

double PlainLikelihood::surrogate(const PlainFlow& flow) const {
  double sum = 0;
  for (Index i = 0; i < x_.cols(); ++i) {
    const auto image = flow.image(x_.view().column_span(i));
    sum += standard_normal_log_density(image.z);
    for (std::size_t b = 0; b < image.blocks.size(); ++b) {
      const auto& pairs = pairs_[i][b];
      const auto& [y, jacobian, log_det] = image.blocks[b];
      if (log_det) {
        sum += *log_det;
        continue;
      }
      if (pairs.with_trace) sum += trace(jacobian);
      const auto jtu = transposed_times(jacobian, pairs.u);
      for (Index j = 0; j < jtu.cols(); ++j) sum += dot(jtu.view().columns(j, 1), pairs.v.view().columns(j, 1));
    }
  }
  return sum;
}

template PlainFlow::PlainFlow(const flow::Flow<float>&, nn::Pass);
template PlainFlow::PlainFlow(const flow::Flow<double>&, nn::Pass);

}  // namespace pushforward::bench
