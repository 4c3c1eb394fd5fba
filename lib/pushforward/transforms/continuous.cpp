#include <pushforward/core/angle.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
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

// The grid of a state: equal steps of a method from a time, 1 or 0, to the other one.
struct Grid {
  const ode::Tableau* solver;
  Index steps;
  double from;
};

// The memory of the passes.
template <class T>
struct ContinuousState final : TransformState<T> {
  // A state of a grid. Its points are x₀, x₁ … in the direction of its steps.
  ContinuousState(const ode::VectorField<T>& field, const Grid& of, ode::LogDet log_det, linalg::Workspace& kept,
                  linalg::Workspace& scratch, Index n, Pass pass, const logdet::HutchinsonOptions* estimator = nullptr,
                  const ode::Penalty& penalty = {})
      : grid(of) {
    const Index d = field.dimension();
    // Evaluations go back and forth between two.
    for (Index k = 0; k < (pass == Pass::gradient ? grid.steps : 2); ++k) {
      points.push_back((pass == Pass::gradient ? kept : scratch).template matrix<T>(d, n));
    }
    log_dets = scratch.take<double>(n);
    sign = scratch.take<linalg::Sign>(n);
    if (pass == Pass::gradient) {
      found_log_det = kept.take<double>(n);
      found_status = kept.take<Status>(n);
    }
    if (estimator != nullptr) {
      probes.emplace(*estimator, d, grid.steps, grid.solver->stages(), kept, scratch, n);
    } else if (log_det == ode::LogDet::estimate) {
      probes.emplace(d, kept, n);
    }
    method.emplace(field, *grid.solver, log_det, kept, scratch, n, pass, probes ? probes->count() : 0, penalty);
    if (pass != Pass::gradient) take_report(scratch, n);
    if (pass != Pass::gradient && log_det == ode::LogDet::discrete) newton.emplace(scratch, d, n);
  }
  // A state of the limit.
  ContinuousState(const ode::VectorField<T>& field, linalg::Workspace& scratch, Index n) {
    limit.emplace(field, scratch, n);
    take_report(scratch, n);
    outcome = scratch.take<ode::Convergence>(n);
  }

  // A state of a diffusion.
  ContinuousState(const ode::VectorField<T>& field, const ode::Diffusion& of, linalg::Workspace& scratch, Index n)
      : diffusion(of) {
    diffusion_steps.emplace(field.dimension(), scratch, n);
    velocity.emplace(field, scratch, scratch, n, ode::Derivative::none, Pass::evaluate);
    take_report(scratch, n);
  }

  void take_report(linalg::Workspace& scratch, Index n) {
    error = scratch.take<double>(n);
    evaluations = scratch.take<Index>(n);
  }

  /// Returns what the last step of the grid, with log-dets, says about sample j.
  Status status_of_step(Index j) const {
    if (!std::isfinite(log_dets[j]) && !(log_dets[j] < 0)) return Status::not_finite;
    const bool is_singular = method->log_det() == ode::LogDet::discrete && sign[j] <= 0;
    return is_singular ? Status::negative_determinant : Status::ok;
  }

  /// The start of step k of the grid, at a point.
  ode::StepStart<T> start(Index k, ConstMatrixView<T> x) const {
    const auto all = static_cast<double>(grid.steps);
    const bool falls = grid.from > 0;
    return {x,
            context,
            static_cast<double>(falls ? grid.steps - k : k) / all,
            (falls ? -1 : 1) / all,
            probes ? &*probes : nullptr,
            k};
  }

  Grid grid{};
  ConstMatrixView<T> context;         // of the last pass
  std::vector<MatrixView<T>> points;  // where each step of the grid begins (d × n)
  // The last step wrote these values.
  std::span<double> log_dets;
  std::span<linalg::Sign> sign;
  // The last reverse() found these sums and statuses.
  std::span<double> found_log_det;
  std::span<Status> found_status;
  std::optional<ode::Probes<T>> probes;  // of an estimated divergence
  std::optional<ode::RungeKutta<T>> method;
  std::optional<GridInverse<T>> newton;

  std::optional<ode::Limit<T>> limit;
  std::span<ode::Convergence> outcome;

  ode::Diffusion diffusion{};
  std::optional<ode::DiffusionSteps<T>> diffusion_steps;
  std::optional<ode::FieldState<T>> velocity;

  // The report on the last pass of an evaluation.
  std::span<double> error;
  std::span<Index> evaluations;

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

// Sets the status of samples that have a value which is not finite.
template <class T>
void mark_not_finite(ConstMatrixView<T> x, std::span<Status> status) {
  for (Index j = 0; j < x.cols(); ++j) {
    const bool is_finite = std::isfinite(linalg::norm_in_double<T>(x.column_span(j)));
    if (status[j] == Status::ok && !is_finite) status[j] = Status::not_finite;
  }
}

}  // namespace

OptionSet ContinuousOptions::declare() {
  OptionSet set;
  declare_network(set, hidden, activation);
  declare_time(set, time);
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
              .time = options.time,
              .context = domain.context,
              .optional_context = domain.optional_context,
              .periodic = domain.periodic,
              .spheres = domain.spheres},
             seed, key) {}

template <class T>
void Continuous<T>::wrap(MatrixView<T> x) const {
  for (const Index row : field_.network().options().periodic) {
    for (Index j = 0; j < x.cols(); ++j) x(row, j) = wrap_angle<T>(static_cast<double>(x(row, j)));
  }
}

template <class T>
void Continuous<T>::set_log_det(Pass pass, const logdet::Method& method) {
  const bool estimates = method.kind() == logdet::HutchinsonOptions::kind;
  require<OptionError>(takes(method), "log-det method {}: a continuous flow takes exact, or in training hutchinson",
                       to_string(method));
  require<OptionError>(!estimates || pass == Pass::gradient,
                       "log-det method {}: the density of a continuous flow is evaluated exactly; the estimate is for "
                       "training",
                       to_string(method));
  require<OptionError>(!estimates || !is_discrete(),
                       "log-det method {}: it estimates divergences, and with model.density = \"discrete\" the log-det "
                       "is that of the grid, by LU",
                       to_string(method));
  if (pass == Pass::gradient) training_ = method;
}

template <class T>
void Continuous<T>::set_integration(const IntegrationOptions& options) {
  options_.integration = options;
  options_ = resolved(std::move(options_), field_.dimension());
}

template <class T>
void Continuous<T>::set_sampler(const Sampler& sampler) {
  require<OptionError>(sampler.steps >= 1, "a sampler of {} steps: must be at least 1", sampler.steps);
  ode::Tableau::registry().at(sampler.solver);
  sampler_ = sampler;
}

template <class T>
void Continuous<T>::set_diffusion(const ode::Diffusion& diffusion) {
  require<OptionError>(
      diffusion.steps >= 1 && diffusion.eta >= 0 && std::isfinite(diffusion.eta),
      "a sampler of {} stochastic steps with eta = {}: there must be at least 1 step, and eta at least 0",
      diffusion.steps, diffusion.eta);
  diffusion_ = diffusion;
}

template <class T>
std::unique_ptr<TransformState<T>> Continuous<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                       Pass pass) const {
  const auto& tableaus = ode::Tableau::registry();
  const auto& o = options_.integration;
  if (diffusion_ && pass == Pass::evaluate) {
    return std::make_unique<ContinuousState<T>>(field_, *diffusion_, scratch, n);
  }
  if (sampler_ && pass != Pass::gradient) {
    const Grid grid{&tableaus.at(sampler_->solver), sampler_->steps, 0};
    return std::make_unique<ContinuousState<T>>(field_, grid, ode::LogDet::discrete, kept, scratch, n, Pass::evaluate);
  }
  if (pass != Pass::gradient && !is_discrete()) return std::make_unique<ContinuousState<T>>(field_, scratch, n);
  const auto* const estimator = pass == Pass::gradient ? training_.get_if<logdet::HutchinsonOptions>() : nullptr;
  const auto penalty = pass == Pass::gradient ? o.penalty : ode::Penalty{};
  // The norm of the Jacobian takes the tangents of all unit vectors, which are an exact estimate.
  const bool estimates = estimator != nullptr || penalty.jacobian_norm > 0;
  const auto log_det = pass == Pass::map_only ? ode::LogDet::none
                       : is_discrete()        ? ode::LogDet::discrete
                       : estimates            ? ode::LogDet::estimate
                                              : ode::LogDet::trace;
  return std::make_unique<ContinuousState<T>>(field_, Grid{&tableaus.at(o.solver), o.steps, 1}, log_det, kept, scratch,
                                              n, pass, is_discrete() ? nullptr : estimator, penalty);
}

template <class T>
void Continuous<T>::add_report(const TransformState<T>& state, const IntegrationReport& report) const {
  const auto& s = static_cast<const ContinuousState<T>&>(state);
  for (std::size_t i = 0; i < report.error.size(); ++i) report.error[i] += s.error[i];
  for (std::size_t i = 0; i < report.evaluations.size(); ++i) report.evaluations[i] += s.evaluations[i];
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
void Continuous<T>::take_steps(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> end,
                               std::span<double> log_det, std::span<Status> status) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index n = batch.size(), count = std::ssize(s.points), steps = s.grid.steps;
  const bool has_log_det = s.method->log_det() != ode::LogDet::none && !log_det.empty();
  const auto values = s.log_dets.first(has_log_det ? n : 0);
  s.context = batch.context;
  if (s.probes) s.probes->draw(batch.draws, n);
  copy_samples<T>(batch.x, s.points[0].columns(0, n));
  for (Index k = 0; k < steps; ++k) {
    const auto next = k + 1 == steps ? end : s.points[(k + 1) % count].columns(0, n);
    std::ranges::fill(values, 0.0);
    s.method->step(s.start(k, s.points[k % count].columns(0, n)), next, values, s.sign);
    for (Index j = 0; j < std::ssize(values); ++j) {
      log_det[j] += values[j];
      if (status[j] == Status::ok) status[j] = s.status_of_step(j);
    }
  }
  mark_not_finite<T>(end, status);
  if (!s.error.empty()) {
    std::ranges::fill(s.error.first(n), 0.0);
    std::ranges::fill(s.evaluations.first(n), steps * s.method->stages());
  }
  wrap(end);
}

template <class T>
void Continuous<T>::invert_steps(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> start,
                                 std::span<double> log_det, std::span<Status> status,
                                 const InverseOptions& options) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index n = batch.size();
  const auto evaluations = s.evaluations.first(n);
  s.context = batch.context;
  std::ranges::fill(s.error.first(n), 0.0);
  std::ranges::fill(evaluations, Index{0});
  auto from = s.points[0].columns(0, n), to = s.points[1].columns(0, n);
  copy_samples<T>(batch.x, from);
  for (Index k = s.grid.steps - 1; k >= 0; --k) {
    s.newton->solve(*s.method, s.start(k, {}), from, to, log_det, {status, evaluations}, options);
    std::swap(from, to);
  }
  copy_samples<T>(from, start);
  wrap(start);
}

template <class T>
void Continuous<T>::diffuse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x,
                            std::span<Status> status) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index n = batch.size();
  const auto velocity = [&](ConstMatrixView<T> at, double t, MatrixView<T> v) {
    field_.forward(*s.velocity, at, std::span(&t, 1), batch.context, v);
  };
  s.diffusion_steps->solve(velocity, batch.x, s.diffusion, batch.draws, x);
  std::ranges::fill(s.error.first(n), 0.0);
  std::ranges::fill(s.evaluations.first(n), s.diffusion.evaluations());
  mark_not_finite<T>(x, status);
}

template <class T>
void Continuous<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                            std::span<Status> status) const {
  const auto& s = static_cast<const ContinuousState<T>&>(state);
  require<OptionError>(!s.diffusion_steps,
                       "a sampler by a stochastic differential equation has no way back to latents");
  if (s.limit) return follow(state, batch, 1, 0, z, log_det, status);
  if (s.grid.from > 0) return take_steps(state, batch, z, log_det, status);
  invert_steps(state, batch, z, log_det, status, {});
}

template <class T>
void Continuous<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                            std::span<Status> status, const InverseOptions& options) const {
  const auto& s = static_cast<const ContinuousState<T>&>(state);
  if (s.diffusion_steps) return diffuse(state, batch, x, status);
  if (s.limit) return follow(state, batch, 0, 1, x, log_det, status);
  if (s.grid.from == 0) return take_steps(state, batch, x, log_det, status);
  invert_steps(state, batch, x, log_det, status, options);
}

template <class T>
void Continuous<T>::reverse(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> z_bar,
                            std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<ContinuousState<T>&>(state);
  const Index n = z_bar.cols();
  const auto values = s.log_dets.first(n), log_det = s.found_log_det.first(n);
  const auto status = s.found_status.first(n);
  std::ranges::fill(log_det, 0.0);
  std::ranges::fill(status, Status::ok);
  copy_samples<T>(z_bar, x_bar);
  for (Index k = s.grid.steps - 1; k >= 0; --k) {
    std::ranges::fill(values, 0.0);
    s.method->reverse(s.start(k, s.points[k].columns(0, n)), weight, x_bar, gradient, values, s.sign);
    for (Index j = 0; j < n; ++j) {
      log_det[j] += values[j];
      // The first step of the grid that fails decides.
      if (const Status of_step = s.status_of_step(j); of_step != Status::ok) status[j] = of_step;
    }
  }
}

template <class T>
void Continuous<T>::forward_without_log_det(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z,
                                            std::span<Status> status) const {
  take_steps(state, batch, z, {}, status);
}

template <class T>
void Continuous<T>::add_log_det(const TransformState<T>& state, std::span<double> log_det,
                                std::span<Status> status) const {
  const auto& s = static_cast<const ContinuousState<T>&>(state);
  for (std::size_t j = 0; j < log_det.size(); ++j) {
    log_det[j] += s.found_log_det[j];
    if (status[j] == Status::ok) status[j] = s.found_status[j];
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
  for (Index k = 0; k < s.grid.steps; ++k) {
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
  const auto& tableau = ode::Tableau::registry().at(is_discrete() ? options_.integration.solver : ode::finest_solver);
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
