// A flow passes these options on to its transforms that integrate an equation.

#include <pushforward/flow/flow.hpp>

namespace pushforward::flow {

template <class T>
std::vector<IntegrationOptions> Flow<T>::integrations() const {
  std::vector<IntegrationOptions> all;
  for (const auto& role : roles_) {
    if (role.integrated != nullptr) all.push_back(role.integrated->integration());
  }
  return all;
}

template <class T>
void Flow<T>::set_integrations(std::span<const IntegrationOptions> options) {
  auto next = options.begin();
  for (std::size_t k = 0; k < roles_.size(); ++k) {
    if (roles_[k].integrated == nullptr) continue;
    require<ShapeError>(next != options.end(), "flow: {} integrations are too few", options.size());
    IntegrationOptions values = *next++;
    roles_[k].integrated->set_integration(values);
    const OptionSet keys = values.declare();
    OptionSet in_architecture = architecture_.chain[k].declare();
    for (const auto& entry : keys.entries()) {
      in_architecture.set(entry.key, current_value(entry.target), architecture_.chain[k].kind());
    }
  }
  require<ShapeError>(next == options.end(), "flow: {} integrations are too many", options.size());
}

template <class T>
void Flow<T>::set_sampler(const Sampler& sampler) {
  bool found = false;
  for (const auto& role : roles_) {
    if (role.integrated == nullptr) continue;
    role.integrated->set_sampler(sampler);
    found = true;
  }
  require<OptionError>(found, "a sampler of {} steps of {}, but no transform of this model integrates an equation: {}",
                       sampler.steps, sampler.solver, summary(architecture_));
}

template <class T>
void Flow<T>::set_diffusion(const ode::Diffusion& diffusion) {
  require<OptionError>(
      !roles_.empty() && roles_.back().integrated != nullptr,
      "a sampler by a stochastic differential equation, but the last transform of this model integrates "
      "no equation: {}",
      summary(architecture_));
  roles_.back().integrated->set_diffusion(diffusion);
}

template <class T>
void Flow<T>::set_guidance(double scale) {
  require<OptionError>(!integrations().empty(),
                       "guidance is for vector fields, and no transform of this model integrates an equation: {}",
                       summary(architecture_));
  for (const auto& role : roles_) {
    if (role.integrated != nullptr) role.integrated->set_guidance(scale);
  }
}

template std::vector<IntegrationOptions> Flow<float>::integrations() const;
template void Flow<float>::set_integrations(std::span<const IntegrationOptions> options);
template void Flow<float>::set_sampler(const Sampler& sampler);
template void Flow<float>::set_diffusion(const ode::Diffusion& diffusion);
template void Flow<float>::set_guidance(double scale);
template std::vector<IntegrationOptions> Flow<double>::integrations() const;
template void Flow<double>::set_integrations(std::span<const IntegrationOptions> options);
template void Flow<double>::set_sampler(const Sampler& sampler);
template void Flow<double>::set_diffusion(const ode::Diffusion& diffusion);
template void Flow<double>::set_guidance(double scale);

}  // namespace pushforward::flow
