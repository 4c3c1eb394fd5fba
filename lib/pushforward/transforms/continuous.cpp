#include <pushforward/core/angle.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/grid_inverse.hpp>
#include <pushforward/transforms/network_keys.hpp>

#include <cmath>
#include <optional>

namespace pushforward::flow {

namespace {

ContinuousOptions resolved(ContinuousOptions options, Index d) {
  auto& integration = options.integration;
  integration.density = integration.is_discrete(d) ? "discrete" : "continuous";
  return options;
}

// The memory of the passes. A grid goes from x₀ = x at t = 1 to x_N = z at t = 0.
template <class T>
struct ContinuousState final : TransformState<T> {
  // A state of the grid.
  ContinuousState(const ode::VectorField<T>& field, const ode::Tableau& solver, ode::LogDet log_det, Index count,
                  linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Pass pass)
      : steps(count) {
    const Index d = field.dimension();
    // Evaluations go back and forth between two.
    for (Index k = 0; k < (pass == Pass::gradient ? steps : 2); ++k) {
      points.push_back((pass == Pass::gradient ? kept : scratch).template matrix<T>(d, n));
    }
    log_dets = scratch.take<double>(n);
    sign = scratch.take<linalg::Sign>(n);
    method.emplace(field, solver, log_det, kept, scratch, n, pass);
    if (pass == Pass::evaluate) newton.emplace(scratch, d, n);
  }
  // A state of the limit.
  ContinuousState(const ode::VectorField<T>& field, linalg::Workspace& scratch, Index n) {
    limit.emplace(field, scratch, n);
    error = scratch.take<double>(n);
    evaluations = scratch.take<Index>(n);
    outcome = scratch.take<ode::Convergence>(n);
  }

  /// The start of step k of the grid, at a point.
  ode::StepStart<T> start(Index k, ConstMatrixView<T> x) const {
    const auto all = static_cast<double>(steps);
    return {x, context, static_cast<double>(steps - k) / all, -1 / all};
  }

  Index steps = 0;
  ConstMatrixView<T> context;         // of the last forward()
  std::vector<MatrixView<T>> points;  // where each step of the grid begins (d × n)
  std::span<double> log_dets;
  std::span<linalg::Sign> sign;
  std::optional<ode::RungeKutta<T>> method;
  std::optional<GridInverse<T>> newton;

  std::optional<ode::Limit<T>> limit;
  std::span<double> error;
  std::span<Index> evaluations;
  std::span<ode::Convergence> outcome;

  // The memory of solve_transposed().
  Matrix<T> jacobians;  // (d × d·n)
  std::vector<int> pivots;
};

Status status_of(ode::Convergence outcome) {
  switch (outcome) {
    case ode::Convergence::reached: return Status::ok;
    case ode::Convergence::not_finite: return Status::not_finite;
    default: return Status::not_converged;
  }
}

}  // namespace

OptionSet IntegrationOptions::declare() {
  OptionSet set;
  set.add("solver", solver, "Runge-Kutta method of the grid", one_of(ode::Tableau::registry().names()))
      .add("steps", steps, "steps of the grid", between(1, 65'536, "steps"))
      .add("density", density,
           fmt::format("the density of the model; discrete: that of the map that the grid makes, exact; continuous: "
                       "the limit of small steps, to a tolerance; auto: discrete up to {} dimensions",
                       largest_discrete),
           one_of({"auto", "discrete", "continuous"}))
      .add("tolerance", tolerance, "tolerance of a log-density in evaluation", more_than(0, "nats"))
      .add("max_steps", max_steps, "steps of the finest grid in evaluation", between(2, 65'536, "steps"))
      .only_with("tolerance", "density", {"continuous"})
      .only_with("max_steps", "density", {"continuous"});
  return set;
}

std::string IntegrationOptions::log_det_of(Index d) const {
  const auto grid = fmt::format("{} {} of {}", steps, steps == 1 ? "step" : "steps", solver);
  if (is_discrete(d)) return fmt::format("exact, of {}", grid);
  return fmt::format("training: divergence along {}; evaluation: the limit of small steps, to {:g} nats", grid,
                     tolerance);
}

OptionSet ContinuousOptions::declare() {
  OptionSet set;
  declare_network(set, hidden, activation);
  set.add_all(integration.declare());
  return set;
}

template <class T>
Continuous<T>::Continuous(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                          const ContinuousOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(domain.shape),
      options_(resolved(options, domain.size())),
      field_(layout, name,
             {.dimension = domain.size(),
              .hidden = options.hidden,
              .activation = options.activation,
              .context = domain.context,
              .periodic = domain.periodic},
             seed, key) {}

template <class T>
const ode::Tableau& Continuous<T>::solver() const {
  return ode::Tableau::registry().at(options_.integration.solver);
}

template <class T>
void Continuous<T>::wrap(MatrixView<T> x) const {
  for (const Index row : field_.network().options().periodic) {
    for (Index j = 0; j < x.cols(); ++j) x(row, j) = wrap_angle<T>(static_cast<double>(x(row, j)));
  }
}

template <class T>
std::unique_ptr<TransformState<T>> Continuous<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                       Pass pass) const {
  if (pass != Pass::gradient && !is_discrete()) return std::make_unique<ContinuousState<T>>(field_, scratch, n);
  const auto log_det = pass == Pass::map_only ? ode::LogDet::none
                       : is_discrete()        ? ode::LogDet::discrete
                                              : ode::LogDet::trace;
  return std::make_unique<ContinuousState<T>>(field_, solver(), log_det, options_.integration.steps, kept, scratch, n,
                                              pass);
}

template <class T>
void Continuous<T>::follow(TransformState<T>& state, const Batch<T>& batch, double from, double to, MatrixView<T> end,
                           std::span<double> log_det, std::span<Status> status) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const auto n = static_cast<std::size_t>(batch.size());
  const auto& o = options_.integration;
  s.limit->solve(batch.x, batch.context, from, to, {.tolerance = o.tolerance, .max_steps = o.max_steps}, end, log_det,
                 {s.error.first(n), s.evaluations.first(n), s.outcome.first(n)});
  wrap(end);
  for (std::size_t i = 0; i < n; ++i) {
    if (status[i] == Status::ok) status[i] = status_of(s.outcome[i]);
  }
}

template <class T>
void Continuous<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                            std::span<Status> status) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  if (s.limit) return follow(state, batch, 1, 0, z, log_det, status);
  const Index n = batch.size(), count = std::ssize(s.points);
  const auto values = s.log_dets.first(s.method->log_det() == ode::LogDet::none ? 0 : n);
  s.context = batch.context;
  copy_samples<T>(batch.x, s.points[0].columns(0, n));
  for (Index k = 0; k < s.steps; ++k) {
    const auto next = k + 1 == s.steps ? z : s.points[(k + 1) % count].columns(0, n);
    std::ranges::fill(values, 0.0);
    s.method->step(s.start(k, s.points[k % count].columns(0, n)), next, values, s.sign);
    for (Index j = 0; j < std::ssize(values); ++j) {
      log_det[j] += values[j];
      const bool is_singular = s.method->log_det() == ode::LogDet::discrete && s.sign[j] <= 0;
      if (status[j] != Status::ok) continue;
      if (!std::isfinite(values[j]) && !(values[j] < 0)) {
        status[j] = Status::not_finite;
      } else if (is_singular) {
        status[j] = Status::negative_determinant;
      }
    }
  }
  wrap(z);
}

template <class T>
void Continuous<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                            std::span<Status> status, const InverseOptions& options) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  if (s.limit) return follow(state, batch, 0, 1, x, log_det, status);
  const Index n = batch.size();
  s.context = batch.context;
  auto from = s.points[0].columns(0, n), to = s.points[1].columns(0, n);
  copy_samples<T>(batch.x, from);
  for (Index k = s.steps - 1; k >= 0; --k) {
    s.newton->solve(*s.method, s.start(k, {}), from, to, log_det, status, options);
    std::swap(from, to);
  }
  copy_samples<T>(from, x);
  wrap(x);
}

template <class T>
void Continuous<T>::reverse(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> z_bar,
                            std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index n = z_bar.cols();
  copy_samples<T>(z_bar, x_bar);
  for (Index k = s.steps - 1; k >= 0; --k) {
    s.method->reverse(s.start(k, s.points[k].columns(0, n)), weight, x_bar, gradient);
  }
}

// Jᵀ = J₁ᵀ … J_Nᵀ, so λ = J_N⁻ᵀ … J₁⁻ᵀ b.
template <class T>
void Continuous<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> b,
                                     MatrixView<T> lambda) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index d = b.rows(), n = b.cols();
  if (s.jacobians.cols() < d * n) {
    s.jacobians = Matrix<T>(d, d * n);
    s.pivots.resize(d * n);
  }
  const auto transposes = s.jacobians.view().columns(0, d * n);
  const auto pivots = std::span(s.pivots).first(d * n);
  const auto values = s.log_dets.first(n);
  const auto sign = s.sign.first(n);
  copy_samples<T>(b, lambda);
  for (Index k = 0; k < s.steps; ++k) {
    s.method->transposed_jacobians(s.start(k, s.points[k].columns(0, n)), transposes);
    linalg::lu_log_det(transposes, pivots, values, sign);
    for (Index i = 0; i < n; ++i) {
      if (sign[i] == 0) {
        std::ranges::fill(lambda.column_span(i), std::numeric_limits<T>::quiet_NaN());
      } else {
        linalg::lu_solve(transposes.columns(i * d, d), pivots.subspan(i * d, d), lambda.columns(i, 1));
      }
    }
  }
}

template <class T>
std::vector<Attribute> Continuous<T>::describe() const {
  const auto& tableau = is_discrete() ? solver() : ode::Tableau::registry().at(ode::finest_solver);
  std::vector<double> a;
  for (const auto& row : tableau.a) {
    a.insert(a.end(), row.begin(), row.end());
    a.resize(a.size() + tableau.b.size() - row.size(), 0.0);
  }
  return {{"tableau_a", std::move(a)}, {"tableau_b", tableau.b}, {"tableau_c", tableau.c}};
}

template class Continuous<float>;
template class Continuous<double>;

}  // namespace pushforward::flow
