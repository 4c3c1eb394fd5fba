#pragma once

// The marginals of the paths on which flow matching has trained the vector field of a model. They determine the score,
// and therefore samplers by a stochastic differential equation (ode/diffusion.hpp).

#include <pushforward/flow/architecture.hpp>
#include <pushforward/ode/diffusion.hpp>

#include <string>

namespace pushforward::train {

/// Returns the marginals that the vector field of a model has. path: the model file, whose group `/objective` says how
/// it was trained. architecture: of its flow. The field has the marginals x_t = β(t) x₁ + s(t) ε of its path if latents
/// are draws from N(0, I) that do not depend on the rows. Throws OptionError, with the reason, if they are not, or if
/// the last steps of the run were steps of maximum likelihood, which change the field. Throws IoError and DataError if
/// the file cannot be read. Not collective.
ode::Marginals marginals_of_model(const std::string& path, const flow::Architecture& architecture);

}  // namespace pushforward::train
