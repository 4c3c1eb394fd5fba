#pragma once

// The interface of transforms that do not admit every value.

#include <pushforward/core/index.hpp>

#include <fmt/format.h>

#include <string>
#include <utility>

namespace pushforward::flow {

class Supported {
 public:
  virtual ~Supported() = default;

  /// Returns the open interval of values that forward() admits in row i. It is (−∞, ∞) if the row has no bounds.
  virtual std::pair<double, double> support(Index row) const = 0;
  /// Returns whether forward() admits this value in row i.
  virtual bool admits(Index row, double x) const {
    const auto [low, high] = support(row);
    return x > low && x < high;
  }
  /// Returns the values that forward() admits in row i, for messages: "values in (0, 1)".
  virtual std::string admitted(Index row) const {
    const auto [low, high] = support(row);
    return fmt::format("values in ({:.6g}, {:.6g})", low, high);
  }
};

}  // namespace pushforward::flow
