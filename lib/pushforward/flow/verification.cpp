#include <pushforward/flow/verification.hpp>

#include <pushforward/linalg/lapack.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

constexpr Index chunk = 256;

// x modulo 2π, in [−π, π].
double angle(double x) {
  return std::remainder(x, 2 * std::numbers::pi);
}

std::vector<bool> flags(Index d, std::span<const Index> rows) {
  std::vector<bool> flags(static_cast<std::size_t>(d));
  for (const Index row : rows) flags[static_cast<std::size_t>(row)] = true;
  return flags;
}

// Which latents are angles.
std::vector<bool> periodic_rows(const Flow<double>& flow) {
  return flags(flow.dimension(), flow.architecture().base.periodic);
}

double largest_difference(ConstMatrixView<double> a, ConstMatrixView<double> b, const std::vector<bool>& periodic,
                          std::span<const Status> status) {
  double largest = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    if (status[static_cast<std::size_t>(j)] != Status::ok) return std::numeric_limits<double>::infinity();
    for (Index i = 0; i < a.rows(); ++i) {
      const double apart = a(i, j) - b(i, j);
      largest = std::max(largest, std::abs(periodic[static_cast<std::size_t>(i)] ? angle(apart) : apart));
    }
  }
  return largest;
}

}  // namespace

Index levels_of(const Architecture& architecture) {
  if (architecture.chain.empty()) return 0;
  const auto* const options = std::get_if<DequantizeOptions>(&architecture.chain.front().options());
  return options == nullptr ? 0 : options->levels;
}

Model<double> behind_dequantization(const Model<double>& model) {
  Architecture rest = model.flow().architecture();
  rest.chain.erase(rest.chain.begin());
  Flow<double> flow(std::move(rest), 0);
  // It has no parameters of its own.
  const auto parameters = model.flow().parameters();
  std::copy(parameters.begin(), parameters.end(), flow.parameters().begin());
  flow.prepare(Normalization::stored);
  return {data::Standardization(model.dimension()), std::move(flow), model.notes(), model.context()};
}

namespace {

// log|det ∂z/∂x| by differences of this step, relative to each column's scale; none for a singular Jacobian.
std::optional<double> differenced_log_det(const Model<double>& model, std::span<const double> x,
                                          std::span<const double> context, double step) {
  // f′(x) ≈ (8[f(x+h) − f(x−h)] − [f(x+2h) − f(x−2h)])/12h
  static constexpr std::array offsets{-2.0, -1.0, 1.0, 2.0};
  static constexpr std::array weights{1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  const Index d = model.dimension(), n = 4 * d;
  Matrix<double> points(d, n), z(d, n), jacobian(d, d);
  const auto scale = [&](Index i) { return step * model.standardization().factor()(i, i); };
  for (Index j = 0; j < n; ++j) {
    std::copy(x.begin(), x.end(), points.view().column(j));
    points(j / 4, j) += offsets[static_cast<std::size_t>(j % 4)] * scale(j / 4);
  }
  FlowWorkspace<double> workspace(model.flow(), std::min(chunk, n), Purpose::evaluate);
  std::vector<double> log_prob(static_cast<std::size_t>(n));
  std::vector<Status> status(log_prob.size());
  Matrix<double> given(std::ssize(context), n);
  for (Index j = 0; j < n; ++j) std::copy(context.begin(), context.end(), given.view().column(j));
  model.log_prob(points, log_prob, z, status, workspace, given);
  const auto periodic = periodic_rows(model.flow());
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) {
      // An angle may have gone round between the points.
      const double value =
          periodic[static_cast<std::size_t>(i)] ? z(i, j - j % 4) + angle(z(i, j) - z(i, j - j % 4)) : z(i, j);
      jacobian(i, j / 4) += weights[static_cast<std::size_t>(j % 4)] * value / scale(j / 4);
    }
  }
  std::vector<int> pivots(static_cast<std::size_t>(d));
  std::array<double, 1> log_det{};
  std::array<linalg::Sign, 1> sign{};
  linalg::lu_log_det(jacobian, pivots, log_det, sign);
  return sign[0] != 0 ? std::optional(log_det[0]) : std::nullopt;
}

}  // namespace

double dense_log_det(const Model<double>& model, std::span<const double> x, std::span<const double> context) {
  double best = 0, apart = std::numeric_limits<double>::infinity();
  std::optional<double> before;
  for (const double step : {1e-3, 1e-4, 1e-5, 1e-6, 1e-7}) {
    const auto now = differenced_log_det(model, x, context, step);
    if (now && before && std::abs(*now - *before) < apart) {
      apart = std::abs(*now - *before);
      best = 0.5 * (*now + *before);
    }
    before = now;
  }
  require<NumericalError>(std::isfinite(apart), "the Jacobian of the model is singular or not finite");
  return best;
}

RoundTrip round_trip(const Model<double>& model, ConstMatrixView<double> x, const InverseOptions& options,
                     ConstMatrixView<double> context) {
  const Index d = model.dimension(), n = x.cols();
  Matrix<double> scaled(d, n), z(d, n), back(d, n), again(d, n), given(context.rows(), n);
  model.standardization().forward<double>(x, scaled);
  if (model.context()) model.context()->standardization.forward<double>(context, given);
  const auto& in = model.flow().architecture().data.periodic;
  FlowWorkspace<double> workspace(model.flow(), std::min(chunk, n), Purpose::evaluate);
  std::vector<double> forward(static_cast<std::size_t>(n)), inverse(forward.size());
  std::vector<Status> status(forward.size());
  RoundTrip result;
  model.flow().log_prob(scaled, forward, z, status, workspace, given);
  model.flow().inverse(z, back, inverse, status, options, workspace, given);
  result.data = largest_difference(scaled, back, flags(d, in), status);
  for (std::size_t i = 0; i < forward.size(); ++i) {
    result.log_det = std::max(result.log_det, std::abs(forward[i] - inverse[i]));
  }
  model.flow().log_prob(back, forward, again, status, workspace, given);
  result.latent = largest_difference(z, again, periodic_rows(model.flow()), status);
  return result;
}

}  // namespace pushforward::flow
