#pragma once

// Spheres: groups of m ≥ 2 columns that hold a unit vector, a point of S^{m−1}. The marks of files give each of d
// columns a number: 0 if the column is of no sphere, and k if it is of the k-th sphere.

#include <pushforward/core/shape.hpp>

#include <cmath>
#include <span>
#include <vector>

namespace pushforward {

/// The columns of a sphere, ascending.
using Sphere = std::vector<Index>;

/// The largest | |x| − 1 | of a vector that counts as a unit vector. Files in single precision, or with five digits,
/// are well within it.
inline constexpr double unit_tolerance = 1e-4;

/// Throws OptionError unless each sphere has at least two of d columns, ascending, and no column is an angle or of two
/// spheres. periodic: the columns that are angles.
void check_spheres(std::span<const Sphere> spheres, std::span<const Index> periodic, Index d);

/// Returns the mark of each of d columns, or nothing if there is no sphere.
std::vector<double> sphere_marks(std::span<const Sphere> spheres, Index d);
/// Returns the spheres of marks. Throws DataError unless marks are 0, 1, … without a gap.
std::vector<Sphere> spheres_of(std::span<const double> marks);

/// Returns the columns of all spheres, ascending.
std::vector<Index> columns_of(std::span<const Sphere> spheres);

/// Returns the logarithm of the area of the unit sphere of ℝᵐ, log 2 + (m/2) log π − log Γ(m/2).
double log_area(Index m);

/// Returns |x| over the columns of a sphere. x: (d) in.
template <class T>
double radius_of(const Sphere& sphere, std::span<const T> x) {
  double square = 0;
  for (const Index i : sphere) square += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return std::sqrt(square);
}

}  // namespace pushforward
