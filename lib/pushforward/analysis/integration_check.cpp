#include <pushforward/analysis/integration_check.hpp>
#include <pushforward/transforms/continuous.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

constexpr Index chunk = 256;

struct Evaluated {
  std::vector<double> log_prob;
  std::vector<Status> status;
};

// log p of all rows by the model with other options. Gradients follow the grid, whatever the density is.
Evaluated evaluated(Model<double>& model, const Batch<double>& batch, std::span<const IntegrationOptions> options,
                    Pass pass, Index bytes) {
  const auto n = static_cast<std::size_t>(batch.size());
  model.set_integrations(options);
  auto workspace = FlowWorkspace<double>::within(model.flow(), bytes, std::min(chunk, batch.size()), pass);
  Evaluated result{std::vector<double>(n), std::vector<Status>(n)};
  model.log_prob(batch, result.log_prob, {}, result.status, workspace);
  return result;
}

double largest_contraction_of(const Flow<double>& flow) {
  double largest = 0;
  for (const auto& transform : flow.transforms()) {
    const auto* const continuous = dynamic_cast<const Continuous<double>*>(transform.get());
    if (continuous == nullptr) continue;
    const auto& options = continuous->integration();
    const auto& solver = ode::Tableau::registry().at(options.solver);
    const double h = 1 / static_cast<double>(options.steps);
    largest = std::max(largest, solver.increment_lipschitz(h * continuous->field().lipschitz()));
  }
  return largest;
}

}  // namespace

IntegrationCheck check_integration(Model<double>& model, ConstMatrixView<double> x, ConstMatrixView<double> context,
                                   Index bytes) {
  const Batch<double> batch{.x = x, .context = context};
  const auto own = model.flow().integrations();
  auto finer = own, smallest = own;
  for (auto& options : finer) options.steps *= 2;
  for (auto& options : smallest) {
    // The limit is compared with the model, so it does not depend on how near to it the model is content to come.
    options.density = "continuous";
    options.tolerance = std::min(options.tolerance, IntegrationOptions().tolerance);
    options.max_steps = std::max(options.max_steps, IntegrationOptions().max_steps);
  }
  const auto grid = evaluated(model, batch, own, Pass::gradient, bytes);
  const auto half = evaluated(model, batch, finer, Pass::gradient, bytes);
  const auto limit = evaluated(model, batch, smallest, Pass::evaluate, bytes);
  model.set_integrations(own);

  IntegrationCheck check{.rows = batch.size(), .contraction = largest_contraction_of(model.flow())};
  double count = 0;
  for (std::size_t i = 0; i < grid.status.size(); ++i) {
    if (grid.status[i] == Status::negative_determinant) {
      ++check.folded;
      continue;
    }
    if (grid.status[i] != Status::ok || half.status[i] != Status::ok || limit.status[i] != Status::ok) {
      ++check.failed;
      continue;
    }
    const double change = std::abs(half.log_prob[i] - grid.log_prob[i]);
    check.mean_change += change;
    check.largest_change = std::max(check.largest_change, change);
    check.grid_nll -= grid.log_prob[i];
    check.limit_nll -= limit.log_prob[i];
    ++count;
  }
  for (double* const sum : {&check.mean_change, &check.grid_nll, &check.limit_nll}) *sum /= count;
  return check;
}

}  // namespace pushforward::flow
