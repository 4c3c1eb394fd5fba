#include <pushforward/analysis/verification.hpp>
#include <pushforward/transforms/dequantize.hpp>

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
  return flags(flow.dimension(), flow.base().periodic());
}

constexpr double infinity = std::numeric_limits<double>::infinity();

// The largest of some errors. An error that is NaN counts as infinite.
class Largest {
 public:
  void add(double error) {
    if (!(error <= value_)) value_ = std::isnan(error) ? infinity : error;
  }
  double value() const { return value_; }

 private:
  double value_ = 0;
};

double largest_difference(ConstMatrixView<double> a, ConstMatrixView<double> b, const std::vector<bool>& periodic) {
  Largest largest;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) {
      const double apart = a(i, j) - b(i, j);
      largest.add(std::abs(periodic[i] ? angle(apart) : apart));
    }
  }
  return largest.value();
}

// Returns the place of the last dequantization in a chain, or the length of the chain if there is none.
std::size_t dequantization_of(const Architecture& architecture) {
  const auto& chain = architecture.chain;
  for (std::size_t k = chain.size(); k-- > 0;) {
    if (chain[k].get_if<DequantizeOptions>() != nullptr) return k;
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
  const auto scale = [&](Index i) { return step * model.standardization().scale(i); };
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
    model.flow().map({.x = to, .context = given.view().columns(0, n)}, z.view().columns(0, n),
                     std::span(status).first(n), workspace);
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
  return k < architecture.chain.size() ? architecture.chain[k].get_if<DequantizeOptions>()->levels : 0;
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
  auto workspace =
      FlowWorkspace<double>::within(flow, default_workspace_bytes, std::min(chunk, x.cols()), Pass::map_only);
  Matrix<double> context(flow.architecture().data.context, x.cols());
  flow.map({.x = scaled, .context = context}, z, status, workspace);
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
  auto workspace =
      FlowWorkspace<double>::within(model.flow(), bytes, std::min(chunk, 4 * model.dimension()), Pass::map_only);
  double best = 0, apart = infinity;
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
  std::vector<double> forward(n), inverse(forward.size()), last(forward.size());
  std::vector<Status> status(forward.size());
  const auto failed = [&] { return std::ranges::any_of(status, [](Status s) { return s != Status::ok; }); };
  constexpr RoundTrip failure{.data = infinity, .latent = infinity, .log_det = infinity};
  model.flow().log_prob({.x = scaled, .context = given}, forward, z, status, workspace);
  if (failed()) return failure;
  model.flow().inverse(z, back, inverse, status, options, workspace, given);
  if (failed()) return failure;
  model.flow().log_prob({.x = back, .context = given}, last, again, status, workspace);
  if (failed()) return failure;
  Largest log_det;
  for (std::size_t i = 0; i < forward.size(); ++i) log_det.add(std::abs(forward[i] - inverse[i]));
  return {.data = largest_difference(scaled, back, flags(d, in)),
          .latent = largest_difference(z, again, periodic_rows(model.flow())),
          .log_det = log_det.value()};
}

double RoundTrip::largest() const {
  Largest largest;
  for (const double error : {data, latent, log_det}) largest.add(error);
  return largest.value();
}

double log_det_error(const Model<double>& model, ConstMatrixView<double> x, ConstMatrixView<double> context,
                     Index bytes) {
  const Index n = x.cols();
  Matrix<double> z(x.rows(), n);
  std::vector<double> log_prob(n), base(log_prob.size());
  std::vector<Status> status(log_prob.size());
  auto workspace = FlowWorkspace<double>::within(model.flow(), bytes, std::min(chunk, n), Pass::evaluate);
  model.log_prob({.x = x, .context = context}, log_prob, z, status, workspace);
  model.flow().base().log_prob(z, base);
  Largest largest;
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (status[at] != Status::ok) return infinity;
    const auto given = context.empty() ? std::span<const double>() : context.column_span(i);
    largest.add(std::abs(log_prob[at] - base[at] - dense_log_det(model, x.column_span(i), given, bytes)));
  }
  return largest.value();
}

}  // namespace pushforward::flow
