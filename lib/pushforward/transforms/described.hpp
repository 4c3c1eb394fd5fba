#pragma once

// The interface of transforms about which a model file says more than their options and parameters.

#include <pushforward/core/index.hpp>

#include <string>
#include <variant>
#include <vector>

namespace pushforward::flow {

/// A fact about a transform: the name and the value of an attribute in a model file.
struct Attribute {
  std::string name;
  std::variant<Index, double, std::vector<double>> value;
};

class Described {
 public:
  virtual ~Described() = default;

  /// Returns the facts about the transform as it is prepared.
  virtual std::vector<Attribute> describe() const = 0;
};

}  // namespace pushforward::flow
