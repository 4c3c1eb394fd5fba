#pragma once

#include <pushforward/core/sphere.hpp>

namespace pushforward::flow {

/// Samples at some place of a chain.
struct Domain {
  Shape shape;
  std::vector<Index> periodic{};  ///< values that are angles on [−π, π), ascending
  std::vector<Sphere> spheres{};  ///< values that are unit vectors
  Index context = 0;              ///< values per sample that the density is conditioned on
  bool optional_context = false;  ///< whether vector fields know samples without a context

  Index size() const { return shape.size(); }
};

/// Throws OptionError if a value is an angle.
void require_no_angles(const Domain& at);
/// Throws OptionError if values are unit vectors.
void require_no_spheres(const Domain& at);
/// Throws OptionError if there are kernels, but the samples are not images or have angles.
void require_pixels(const std::vector<Index>& kernels, const Domain& at);

}  // namespace pushforward::flow
