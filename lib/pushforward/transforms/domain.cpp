#include <pushforward/core/error.hpp>
#include <pushforward/transforms/domain.hpp>

namespace pushforward::flow {

void require_no_angles(const Domain& at) {
  require<OptionError>(at.periodic.empty(),
                       "value {} is an angle, which only couplings, autoregressive flows, residual blocks, "
                       "continuous flows, permutations and splits can take",
                       at.periodic.empty() ? 0 : at.periodic.front());
}

void require_no_spheres(const Domain& at) {
  require<OptionError>(at.spheres.empty(),
                       "values {} are a unit vector, which only continuous flows can take; take model.kind = "
                       "\"continuous\"",
                       fmt::join(at.spheres.empty() ? Sphere() : at.spheres.front(), ", "));
}

void require_pixels(const std::vector<Index>& kernels, const Domain& at) {
  if (kernels.empty()) return;
  require<OptionError>(at.shape.is_image(),
                       "{} kernels for vectors of {} values: a convolutional network needs images; leave kernels out",
                       kernels.size(), at.size());
  require<OptionError>(at.periodic.empty(),
                       "{} kernels for images of which {} values are angles: a convolutional network sees none; leave "
                       "kernels out",
                       kernels.size(), at.periodic.size());
}

}  // namespace pushforward::flow
