#pragma once

// Closeness of numbers, arrays and matrices, for BOOST_TEST(close_relative(actual, expected, tolerance)).
//
// NaN on either side fails. Equal infinities are close. Sizes that differ fail. Array tolerances are normwise: the
// largest |actual − expected| is held against `tolerance` (absolute) or `tolerance` · max |expected| (relative), so
// a relative comparison with zeros passes only for zeros. The message of a failure names the worst element.

#include <pushforward/linalg/matrix.hpp>

#include <boost/test/unit_test.hpp>

#include <span>

namespace pushforward::test {

using Verdict = boost::test_tools::assertion_result;

/// |actual − expected| ≤ tolerance.
Verdict close_absolute(double actual, double expected, double tolerance);
Verdict close_absolute(std::span<const float> actual, std::span<const float> expected, double tolerance);
Verdict close_absolute(std::span<const double> actual, std::span<const double> expected, double tolerance);
Verdict close_absolute(ConstMatrixView<float> actual, ConstMatrixView<float> expected, double tolerance);
Verdict close_absolute(ConstMatrixView<double> actual, ConstMatrixView<double> expected, double tolerance);

/// |actual − expected| ≤ tolerance · |expected|.
Verdict close_relative(double actual, double expected, double tolerance);
Verdict close_relative(std::span<const float> actual, std::span<const float> expected, double tolerance);
Verdict close_relative(std::span<const double> actual, std::span<const double> expected, double tolerance);
Verdict close_relative(ConstMatrixView<float> actual, ConstMatrixView<float> expected, double tolerance);
Verdict close_relative(ConstMatrixView<double> actual, ConstMatrixView<double> expected, double tolerance);

}  // namespace pushforward::test
