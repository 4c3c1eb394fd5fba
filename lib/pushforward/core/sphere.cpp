#include <pushforward/core/error.hpp>
#include <pushforward/core/sphere.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace pushforward {

void check_spheres(std::span<const Sphere> spheres, std::span<const Index> periodic, Index d) {
  std::vector<bool> is_taken(static_cast<std::size_t>(d));
  for (const Sphere& sphere : spheres) {
    require<OptionError>(sphere.size() >= 2, "a sphere of {} columns: at least 2 are wanted", sphere.size());
    for (std::size_t k = 0; k < sphere.size(); ++k) {
      const Index i = sphere[k];
      require<OptionError>(i >= 0 && i < d && (k == 0 || sphere[k - 1] < i),
                           "column {} of a sphere: columns are from 0 to {}, ascending", i, d - 1);
      require<OptionError>(!is_taken[i], "column {} is of two spheres", i);
      require<OptionError>(std::ranges::find(periodic, i) == periodic.end(), "column {} is of a sphere and an angle",
                           i);
      is_taken[i] = true;
    }
  }
}

std::vector<double> sphere_marks(std::span<const Sphere> spheres, Index d) {
  std::vector<double> marks(spheres.empty() ? 0 : static_cast<std::size_t>(d));
  double number = 0;
  for (const Sphere& sphere : spheres) {
    ++number;
    for (const Index i : sphere) marks[i] = number;
  }
  return marks;
}

std::vector<Sphere> spheres_of(std::span<const double> marks) {
  const double largest = marks.empty() ? 0 : std::ranges::max(marks);
  std::vector<Sphere> spheres(
      largest >= 0 && largest <= static_cast<double>(marks.size()) ? static_cast<std::size_t>(largest) : 0);
  for (std::size_t i = 0; i < marks.size(); ++i) {
    const bool is_number =
        marks[i] >= 0 && marks[i] <= static_cast<double>(spheres.size()) && marks[i] == std::floor(marks[i]);
    require<DataError>(is_number, "column {} has the mark {}; 0, or the number of its sphere, is wanted", i, marks[i]);
    if (marks[i] > 0) spheres[static_cast<std::size_t>(marks[i]) - 1].push_back(static_cast<Index>(i));
  }
  for (std::size_t k = 0; k < spheres.size(); ++k) {
    require<DataError>(spheres[k].size() >= 2, "sphere {} has {} columns; at least 2 are wanted", k + 1,
                       spheres[k].size());
  }
  return spheres;
}

std::vector<Index> columns_of(std::span<const Sphere> spheres) {
  std::vector<Index> columns;
  for (const Sphere& sphere : spheres) columns.insert(columns.end(), sphere.begin(), sphere.end());
  std::ranges::sort(columns);
  return columns;
}

double log_area(Index m) {
  const double half = 0.5 * static_cast<double>(m);
  return std::numbers::ln2 + half * std::log(std::numbers::pi) - std::lgamma(half);
}

}  // namespace pushforward
