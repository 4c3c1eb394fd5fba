#pragma once

// The interface of transforms that have parameters, which are a part of the flow's flat buffer.

#include <pushforward/core/state_set.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

template <class T>
class Trained {
 public:
  virtual ~Trained() = default;

  /// Sets initial parameters that depend on no data.
  virtual void initialize(std::span<T> parameters) const = 0;
  /// Sets the initial parameters that depend on data. x: (d × n) in, the data as it arrives at this transform. Most
  /// kinds have no such parameters.
  virtual void initialize_from_data(std::span<T> /*parameters*/, ConstMatrixView<T> /*x*/) const {}
  /// Computes what the passes need from the parameters. Call it whenever the parameters have changed.
  virtual void prepare(std::span<const T> parameters, Normalization normalization) = 0;
  /// What prepare() keeps for its next call. Most kinds keep nothing.
  virtual void add_state(StateSet& /*state*/, const std::string& /*name*/) {}
  /// Turns the gradient with respect to effective parameters into the gradient with respect to parameters, in place.
  virtual void gradient_of_raw_parameters(std::span<T> /*gradient*/) const {}
  /// Overwrites parameters with effective parameters, which a model file holds.
  virtual void bake_normalization(std::span<T> /*parameters*/) const {}
};

/// Returns whether a transform has parameters. A transform without parameters always does to data what it does now.
template <class T>
bool is_trained(const Transform<T>& transform) {
  return dynamic_cast<const Trained<T>*>(&transform) != nullptr;
}

}  // namespace pushforward::flow
