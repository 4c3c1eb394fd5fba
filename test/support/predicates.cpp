
#include "predicates.hpp"

#include <cmath>
#include <string>

namespace pushforward::test {

namespace {

Verdict failure(const std::string& message) {
  Verdict verdict(false);
  verdict.message() << message;
  return verdict;
}

template <class T>
ConstMatrixView<T> as_column(std::span<const T> values) {
  return {values.data(), static_cast<Index>(values.size()), 1};
}

template <class T>
double largest_magnitude(ConstMatrixView<T> a) {
  double largest = 0;
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index i = 0; i < a.rows(); ++i) largest = std::max(largest, std::abs(static_cast<double>(a(i, j))));
  }
  return largest;
}

// Fails unless every difference is at most `bound`; a NaN difference or bound is never at most anything.
template <class T>
Verdict within(ConstMatrixView<T> actual, ConstMatrixView<T> expected, double bound) {
  if (actual.rows() != expected.rows() || actual.cols() != expected.cols()) {
    return failure(fmt::format("sizes differ: actual ({} x {}), expected ({} x {})", actual.rows(), actual.cols(),
                               expected.rows(), expected.cols()));
  }
  Verdict verdict(true);
  double worst = -1;
  for (Index j = 0; j < actual.cols(); ++j) {
    for (Index i = 0; i < actual.rows(); ++i) {
      const double a = static_cast<double>(actual(i, j)), e = static_cast<double>(expected(i, j));
      if (a == e) continue;
      const double difference = std::abs(a - e);
      if (difference <= bound || difference <= worst) continue;
      worst = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
      verdict = failure(fmt::format("element ({}, {}): actual {}, expected {}, difference {} is not at most {}", i, j,
                                    a, e, difference, bound));
    }
  }
  return verdict;
}

template <class T>
Verdict within_relative(ConstMatrixView<T> actual, ConstMatrixView<T> expected, double tolerance) {
  return within(actual, expected, tolerance * largest_magnitude(expected));
}

}  // namespace

Verdict close_absolute(double actual, double expected, double tolerance) {
  return within<double>({&actual, 1, 1}, {&expected, 1, 1}, tolerance);
}
Verdict close_absolute(std::span<const float> actual, std::span<const float> expected, double tolerance) {
  return within(as_column(actual), as_column(expected), tolerance);
}
Verdict close_absolute(std::span<const double> actual, std::span<const double> expected, double tolerance) {
  return within(as_column(actual), as_column(expected), tolerance);
}
Verdict close_absolute(ConstMatrixView<float> actual, ConstMatrixView<float> expected, double tolerance) {
  return within(actual, expected, tolerance);
}
Verdict close_absolute(ConstMatrixView<double> actual, ConstMatrixView<double> expected, double tolerance) {
  return within(actual, expected, tolerance);
}

Verdict close_relative(double actual, double expected, double tolerance) {
  return within_relative<double>({&actual, 1, 1}, {&expected, 1, 1}, tolerance);
}
Verdict close_relative(std::span<const float> actual, std::span<const float> expected, double tolerance) {
  return within_relative(as_column(actual), as_column(expected), tolerance);
}
Verdict close_relative(std::span<const double> actual, std::span<const double> expected, double tolerance) {
  return within_relative(as_column(actual), as_column(expected), tolerance);
}
Verdict close_relative(ConstMatrixView<float> actual, ConstMatrixView<float> expected, double tolerance) {
  return within_relative(actual, expected, tolerance);
}
Verdict close_relative(ConstMatrixView<double> actual, ConstMatrixView<double> expected, double tolerance) {
  return within_relative(actual, expected, tolerance);
}

}  // namespace pushforward::test
