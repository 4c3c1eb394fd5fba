#include "compare.hpp"

#include <pushforward/core/error.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

template <class T>
void Checks::close(std::string_view what, std::span<const T> actual, std::span<const T> expected, double tolerance) {
  require<NumericalError>(actual.size() == expected.size(), "{}: {} values, but the reference has {}", what,
                          actual.size(), expected.size());
  double scale = 0;
  for (const T value : expected) scale = std::max(scale, std::abs(static_cast<double>(value)));
  require<NumericalError>(scale > 0 && std::isfinite(scale),
                          "{}: a reference of {} elements, the largest {}, says nothing", what, expected.size(), scale);
  double error = 0;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const double a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
    const double distance = std::abs(a - e) / scale;
    require<NumericalError>(
        distance <= tolerance,
        "{}: element {} is {:.10g}, but the reference {:.10g}: {:.2g} of the largest, more than {:.2g}", what, i, a, e,
        distance, tolerance);
    error = std::max(error, distance);
  }
  if (nearest_.tolerance == 0 || error * nearest_.tolerance > nearest_.error * tolerance) nearest_ = {error, tolerance};
}

template void Checks::close(std::string_view, std::span<const float>, std::span<const float>, double);
template void Checks::close(std::string_view, std::span<const double>, std::span<const double>, double);

}  // namespace pushforward::bench
