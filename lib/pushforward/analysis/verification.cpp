#include <pushforward/analysis/verification.hpp>

#include <pushforward/linalg/lapack.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::flow {

namespace {

constexpr Index chunk = 256;

// Returns x modulo 2π, in [−π, π].
double angle(double x) {
  return std::remainder(x, 2 * std::numbers::pi);
}

std::vector<bool> flags(Index d, std::span<const Index> rows) {
  std::vector<bool> flags(d);
  for (const Index row : rows) flags[row] = true;
  return flags;
}

// Returns true for each latent that is an angle.
std::vector<bool> periodic_rows(const Flow<double>& flow) {
  return flags(flow.dimension(), flow.architecture().base.periodic);
}

double largest_difference(ConstMatrixView<double> a, ConstMatrixView<double> b, const std::vector<bool>& periodic,
                          std::span<const Status> status) {
  double largest = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    if (status[j] != Status::ok) return std::numeric_limits<double>::infinity();
    for (Index i = 0; i < a.rows(); ++i) {
      const double apart = a(i, j) - b(i, j);
      largest = std::max(largest, std::abs(periodic[i] ? angle(apart) : apart));
    }
  }
  return largest;
}

// Returns the place of the last dequantization in a chain, or the length of the chain if there is none.
std::size_t dequantization_of(const Architecture& architecture) {
  const auto& chain = architecture.chain;
  for (std::size_t k = chain.size(); k-- > 0;) {
    if (std::holds_alternative<DequantizeOptions>(chain[k].options())) return k;
  }
  return chain.size();
}

// Returns log|det ∂z/∂x| by differences with this step, relative to each column's scale, or nothing if the Jacobian is
// singular.
std::optional<double> differenced_log_det(const Model<double>& model, std::span<const double> x,
                                          ConstMatrixView<double> context, double step,
                                          FlowWorkspace<double>& workspace) {
  // f′(x) ≈ (8[f(x+h) − f(x−h)] − [f(x+2h) − f(x−2h)])/12h
  static constexpr std::array offsets{-2.0, -1.0, 1.0, 2.0};
  static constexpr std::array weights{1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  const Index d = model.dimension(), most = std::min(chunk, 4 * d);
  Matrix<double> points(d, most), scaled(d, most), z(d, most), jacobian(d, d), given(context.rows(), most);
  for (Index j = 0; j < most && !context.empty(); ++j) {
    std::copy_n(context.column(0), context.rows(), given.view().column(j));
  }
  std::vector<Status> status(most);
  const auto scale = [&](Index i) { return step * model.standardization().factor()(i, i); };
  const auto periodic = periodic_rows(model.flow());
  for (Index first = 0; first < 4 * d; first += most) {
    const Index n = std::min(most, 4 * d - first);
    for (Index j = 0; j < n; ++j) {
      const Index of = (first + j) / 4;
      std::copy(x.begin(), x.end(), points.view().column(j));
      points(of, j) += offsets[j % 4] * scale(of);
    }
    const auto to = scaled.view().columns(0, n);
    model.standardization().forward<double>(points.view().columns(0, n), to);
    model.flow().map(to, z.view().columns(0, n), std::span(status).first(n), workspace, given.view().columns(0, n));
    for (Index j = 0; j < n; ++j) {
      const Index of = (first + j) / 4;
      for (Index i = 0; i < d; ++i) {
        // An angle may have crossed ±π between the points.
        const double value = periodic[i] ? z(i, j - j % 4) + angle(z(i, j) - z(i, j - j % 4)) : z(i, j);
        jacobian(i, of) += weights[j % 4] * value / scale(of);
      }
    }
  }
  std::vector<int> pivots(d);
  std::array<double, 1> log_det{};
  std::array<linalg::Sign, 1> sign{};
  linalg::lu_log_det(jacobian, pivots, log_det, sign);
  return sign[0] != 0 ? std::optional(log_det[0]) : std::nullopt;
}

}  // namespace

Index levels_of(const Architecture& architecture) {
  const auto k = dequantization_of(architecture);
  return k < architecture.chain.size() ? std::get<DequantizeOptions>(architecture.chain[k].options()).levels : 0;
}

Model<double> behind_dequantization(const Model<double>& model) {
  Architecture rest = model.flow().architecture();
  const auto k = dequantization_of(rest);
  const auto domains = domains_of(rest);
  require<OptionError>(domains[k + 1].size() == rest.data.size(),
                       "{} behind a split, which has let {} of {} values go: what comes behind is no flow of its own",
                       place_in_chain(k, rest.chain[k], domains[k]), rest.data.size() - domains[k].size(),
                       rest.data.size());
  rest.data = domains[k + 1];
  rest.chain.erase(rest.chain.begin(), rest.chain.begin() + static_cast<std::ptrdiff_t>(k) + 1);
  Flow<double> flow(std::move(rest), 0);
  // The transforms before the dequantization have no parameters.
  const auto parameters = model.flow().parameters();
  std::copy(parameters.begin(), parameters.end(), flow.parameters().begin());
  flow.prepare(Normalization::stored);
  return {data::Standardization(model.dimension()), std::move(flow), model.notes(), model.context()};
}

Matrix<double> dequantized(const Model<double>& model, ConstMatrixView<double> x) {
  Architecture before = model.flow().architecture();
  const auto levels = static_cast<double>(levels_of(before));
  before.chain.erase(before.chain.begin() + static_cast<std::ptrdiff_t>(dequantization_of(before)), before.chain.end());
  before.base = {};
  const Flow<double> flow(std::move(before), 0);
  Matrix<double> scaled(x.rows(), x.cols()), z(x.rows(), x.cols());
  std::vector<Status> status(x.cols());
  model.standardization().forward<double>(x, scaled);
  auto workspace = FlowWorkspace<double>::for_maps(flow, default_workspace_bytes, std::min(chunk, x.cols()));
  Matrix<double> context(flow.architecture().data.context, x.cols());
  flow.map(scaled, z, status, workspace, context);
  for (double& value : z.span()) value = (value + 0.5) / levels;
  return z;
}

double dense_log_det(const Model<double>& model, std::span<const double> x, std::span<const double> context,
                     Index bytes) {
  Matrix<double> given(std::ssize(context), context.empty() ? 0 : 1);
  if (!context.empty()) {
    const ConstMatrixView<double> column(context.data(), std::ssize(context), 1);
    model.context()->standardization.forward<double>(column, given);
  }
  auto workspace = FlowWorkspace<double>::for_maps(model.flow(), bytes, std::min(chunk, 4 * model.dimension()));
  double best = 0, apart = std::numeric_limits<double>::infinity();
  std::optional<double> before;
  for (const double step : {1e-3, 1e-4, 1e-5, 1e-6, 1e-7}) {
    const auto now = differenced_log_det(model, x, given, step, workspace);
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
                     ConstMatrixView<double> context, Index bytes) {
  const Index d = model.dimension(), n = x.cols();
  Matrix<double> scaled(d, n), z(d, n), back(d, n), again(d, n), given(context.rows(), n);
  model.standardization().forward<double>(x, scaled);
  if (model.context()) model.context()->standardization.forward<double>(context, given);
  const auto& in = model.flow().architecture().data.periodic;
  auto workspace = FlowWorkspace<double>::within(model.flow(), bytes, std::min(chunk, n), Pass::evaluate);
  std::vector<double> forward(n), inverse(forward.size());
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
