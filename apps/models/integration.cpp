#include <models/integration.hpp>
#include <pushforward/ode/tableau.hpp>

#include <algorithm>
#include <limits>

namespace pushforward::apps {

void IntegrationFlags::add_sampler(OptionSet& keys) {
  keys.add("steps", steps,
           "continuous flows: take the map of a sampler with this number of explicit steps from latents to data, and "
           "its exact density; 0: the model as it was trained",
           at_least(0));
  std::vector<std::string> solvers{"model"};
  for (const auto& name : ode::Tableau::registry().names()) solvers.push_back(name);
  keys.add("solver", solver, "solver of that sampler; model: that of the model", one_of(solvers));
}

void IntegrationFlags::add_tolerance(OptionSet& keys, const std::string& name) {
  keys.add(name, tolerance, "continuous densities: tolerance of log p, nats; 0: that of the model", at_least(0));
}

void IntegrationFlags::add_guidance(OptionSet& keys) {
  keys.add("guidance", guidance,
           "models that were trained with objective.unconditional: strength S of classifier-free guidance, the field "
           "(1 - S) v(x, t; none) + S v(x, t; context) with its own density; 1: the plain model; 0: that without a "
           "context");
}

void IntegrationFlags::require_effect_of_context(const std::string& context) const {
  require<OptionError>(uses_context() || context.empty(), "--context '{}' has no effect with --guidance 0", context);
}

template <class T>
std::string IntegrationFlags::guide(flow::Model<T>& model) const {
  if (guidance == 1) return "";
  model.set_guidance(guidance);
  return guidance == 0 ? "the field without a context" : fmt::format("the field guided with strength {:g}", guidance);
}

template <class T>
std::string IntegrationFlags::apply(flow::Model<T>& model) const {
  auto text = guide(model);
  const auto of_steps = choose_steps(model);
  if (!text.empty() && !of_steps.empty()) text += ", ";
  return text + of_steps;
}

template <class T>
std::string IntegrationFlags::choose_steps(flow::Model<T>& model) const {
  auto integrations = model.flow().integrations();
  const bool samples = steps > 0 || solver != "model";
  if (!samples && tolerance == 0) return "";
  require<OptionError>(!integrations.empty(),
                       "--steps, --solver and tolerances of log p are for continuous flows, and this model is {}",
                       summary(model.flow().architecture()));
  if (samples) {
    require<OptionError>(tolerance == 0, "a sampler of explicit steps has an exact density: leave the tolerance out");
    const flow::Sampler sampler{.solver = solver == "model" ? integrations[0].solver : solver,
                                .steps = steps > 0 ? steps : integrations[0].steps};
    model.set_sampler(sampler);
    return fmt::format("the sampler with {} explicit {} of {}; its density is exact", sampler.steps,
                       sampler.steps == 1 ? "step" : "steps", sampler.solver);
  }
  bool has_effect = false;
  for (auto& integration : integrations) {
    if (integration.is_discrete(model.dimension())) continue;
    integration.tolerance = tolerance;
    has_effect = true;
  }
  require<OptionError>(has_effect,
                       "a tolerance of log p is for models with model.density = \"continuous\"; the density of this "
                       "model is that of its grid, which is exact");
  model.set_integrations(integrations);
  return fmt::format("the limit of small steps, to {:g} nats", tolerance);
}

IntegrationColumns::IntegrationColumns(bool present, Index most)
    : present_(present), error_(1, present ? most : 0), evaluations_(1, present ? most : 0) {}

void IntegrationColumns::add_arrays(std::vector<h5::RowArray>& arrays, Index n) const {
  if (!present_) return;
  arrays.push_back(
      {"log_prob_error",
       h5::Element::real64,
       n,
       0,
       {.units = "nat", .long_name = "estimated error of log_prob from the integration; 0 if it is exact"}});
  arrays.push_back({"evaluations",
                    h5::Element::integer64,
                    n,
                    0,
                    {.units = "", .long_name = "evaluations of the vector field for this row"}});
}

flow::IntegrationReport IntegrationColumns::report(Index count) {
  if (!present_) return {};
  const auto n = static_cast<std::size_t>(count);
  return {error_.span().first(n), evaluations_.span().first(n)};
}

void IntegrationColumns::write(h5::ResultFile& file, Index first, std::span<const flow::Status> status) {
  if (!present_) return;
  const auto [error, evaluations] = report(std::ssize(status));
  for (std::size_t i = 0; i < status.size(); ++i) {
    const auto count = static_cast<double>(evaluations[i]);
    all_evaluations_ += count;
    most_evaluations_ = std::max(most_evaluations_, count);
    count_ += 1;
    if (status[i] == flow::Status::negative_determinant) folded_ += 1;
    if (status[i] != flow::Status::ok) {
      error[i] = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    errors_ += error[i];
    largest_error_ = std::max(largest_error_, error[i]);
  }
  file.write_rows<double>("log_prob_error", first, error_.view().columns(0, std::ssize(status)));
  file.write_rows<Index>("evaluations", first, evaluations_.view().columns(0, std::ssize(status)));
}

void IntegrationColumns::print(const comm::Communicator& comm, Console& console) const {
  if (!present_) return;
  const double count = comm.sum(count_), errors = comm.sum(errors_), evaluations = comm.sum(all_evaluations_);
  const double largest = comm.max(largest_error_), most = comm.max(most_evaluations_);
  const double folded = comm.sum(folded_);
  if (count == 0) return;
  const auto of_error =
      largest > 0 ? fmt::format("error of log p {:.1e} nats in the mean, at most {:.1e}", errors / count, largest)
                  : std::string("log p exact");
  console.result("integration    {}; {:.1f} evaluations of a row, at most {:.0f}", of_error, evaluations / count, most);
  if (folded == 0) return;
  console.message(
      "warning: the steps fold at {} of {} rows: the map is not invertible there, and the densities of other rows may "
      "lack a part; take more steps",
      folded, count);
}

template std::string IntegrationFlags::guide(flow::Model<float>&) const;
template std::string IntegrationFlags::guide(flow::Model<double>&) const;
template std::string IntegrationFlags::apply(flow::Model<float>&) const;
template std::string IntegrationFlags::apply(flow::Model<double>&) const;

}  // namespace pushforward::apps
