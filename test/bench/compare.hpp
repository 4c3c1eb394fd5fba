#pragma once

// Comparison of a result with its reference, before it is timed.

#include <span>
#include <string_view>

namespace pushforward::bench {

/// How far a result is from its reference, and how far it may be: both relative to the reference's largest element.
struct Comparison {
  double error = 0;
  double tolerance = 0;
};

/// The comparisons of one case.
class Checks {
 public:
  /// Holds when max |actual − expected| ≤ tolerance · max |expected|. Throws NumericalError that names `what` and the
  /// worst element otherwise: also where something is not finite, sizes differ, or nothing but zeros is expected.
  template <class T>
  void close(std::string_view what, std::span<const T> actual, std::span<const T> expected, double tolerance);
  void close(std::string_view what, double actual, double expected, double tolerance) {
    close(what, std::span<const double>(&actual, 1), std::span<const double>(&expected, 1), tolerance);
  }

  /// The one that came nearest to its tolerance.
  const Comparison& nearest() const { return nearest_; }

 private:
  Comparison nearest_;
};

extern template void Checks::close(std::string_view, std::span<const float>, std::span<const float>, double);
extern template void Checks::close(std::string_view, std::span<const double>, std::span<const double>, double);

}  // namespace pushforward::bench
