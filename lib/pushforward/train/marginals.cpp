#include <pushforward/base_density/base_kinds.hpp>
#include <pushforward/h5/sealed.hpp>
#include <pushforward/model/option_attributes.hpp>
#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/marginals.hpp>

namespace pushforward::train {

namespace {

// Why the velocity of a model does not determine the score; "" if it does.
std::string why_unknown(const h5::Group& root, const flow::Architecture& architecture,
                        Choice<ObjectiveKind>& objective) {
  if (!root.has("objective")) {
    return "the file does not say how the model was trained, because an older version wrote it; train it anew";
  }
  OptionSet keys = objective.declare();
  flow::read_options(root.group("objective"), keys);
  if (objective.kind != FlowMatchingOptions::kind) {
    return fmt::format(
        "it was trained with objective.kind = \"{}\", and only \"{}\" fits a velocity with known marginals",
        objective.kind, FlowMatchingOptions::kind);
  }
  const auto& o = objective.as<FlowMatchingOptions>();
  if (o.likelihood_steps > 0) {
    return fmt::format(
        "the last {} steps of its training were steps of maximum likelihood, which keep no marginals "
        "between t = 0 and t = 1",
        o.likelihood_steps);
  }
  if (root.has_attribute("latents") || o.source_law != "other") {
    return "its paths begin at points of data.source, and not at draws from N(0, I)";
  }
  if (o.coupling != "independent") {
    return fmt::format("its latents depend on the rows, by objective.coupling = \"{}\"", o.coupling);
  }
  if (!architecture.data.periodic.empty() || !architecture.data.spheres.empty()) {
    return "columns are angles or unit vectors, whose latents are uniform";
  }
  if (architecture.base.kind != flow::StandardNormalOptions::kind) {
    return fmt::format("its latents have base.kind = \"{}\", and not N(0, I)", architecture.base.kind);
  }
  if (Path::registry().at(o.path).at(0, o.noise).gamma > 0) {
    return fmt::format("with objective.noise = {:g} its paths do not begin at the latents", o.noise);
  }
  return "";
}

}  // namespace

ode::Marginals marginals_of_model(const std::string& path, const flow::Architecture& architecture) {
  Choice<ObjectiveKind> objective;
  const auto [root, digest] = h5::open_sealed(path);
  const auto reason = why_unknown(root, architecture, objective);
  require<OptionError>(reason.empty(), "{}: the velocity does not determine the score: {}", path, reason);
  const auto& o = objective.as<FlowMatchingOptions>();
  return [marginal = Path::registry().at(o.path).marginal, sigma = o.noise](double t) { return marginal(t, sigma); };
}

}  // namespace pushforward::train
