#include <pushforward/ode/tableau.hpp>
#include <pushforward/transforms/integrated.hpp>

namespace pushforward::flow {

OptionSet IntegrationOptions::declare() {
  OptionSet set;
  set.add("solver", solver, "Runge-Kutta method of the grid", one_of(ode::Tableau::registry().names()))
      .add("steps", steps,
           "steps of the grid; training doubles them where a determinant or a log-density shows that the grid is too "
           "coarse",
           between(1, 65'536, "steps"))
      .add("density", density,
           fmt::format("the density of the model; discrete: that of the map that the grid makes, exact; continuous: "
                       "the limit of small steps, to a tolerance; auto: discrete up to {} dimensions",
                       largest_discrete),
           one_of({"auto", "discrete", "continuous"}))
      .add("tolerance", tolerance, "tolerance of a log-density in evaluation", more_than(0, "nats"))
      .add("max_steps", max_steps,
           "steps of the finest grid; training doubles the steps up to it, and evaluation of a continuous density too",
           between(2, 65'536, "steps"))
      .only_with("tolerance", "density", {"continuous"});
  return set;
}

std::string IntegrationOptions::log_det_of(Index d, std::string_view divergence) const {
  const auto grid = fmt::format("{} {} of {}", steps, steps == 1 ? "step" : "steps", solver);
  if (is_discrete(d)) return fmt::format("exact, of {}", grid);
  return fmt::format("training: {} along {}; evaluation: the limit of small steps, to {:g} nats", divergence, grid,
                     tolerance);
}

}  // namespace pushforward::flow
