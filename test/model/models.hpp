#pragma once

// Models with random parameters.

#include <pushforward/model/model.hpp>

#include "../linalg/fixtures.hpp"

namespace pushforward::test {

inline data::Standardization standardization_of(data::Standardization::Kind kind, Index d) {
  if (kind == data::Standardization::Kind::none) return data::Standardization(d);
  const bool whitens = kind == data::Standardization::Kind::whiten;
  const auto factor = matrix_of<double>(d, whitens ? d : 1, [&](Index i, Index j) {
    if (i == j || !whitens) return 0.5 + static_cast<double>(i);
    return i > j ? 0.3 : 0.0;
  });
  return {kind, random_vector<double>(d, 91), factor};
}

/// A flow with random effective weights, as a model file holds them.
template <class T>
flow::Flow<T> folded_flow(Index d, const flow::FlowOptions& options) {
  flow::Flow<T> flow(d, options, 1);
  const auto values = random_vector<T>(flow.layout().size(), 92, 0.4);
  std::copy(values.begin(), values.end(), flow.parameters().begin());
  flow.bake_normalization();
  return flow;
}

template <class T>
flow::Model<T> random_model(data::Standardization::Kind kind, Index d) {
  return {standardization_of(kind, d), folded_flow<T>(d, {.blocks = 2, .hidden = {7, 5}, .lipschitz = 0.9})};
}

}  // namespace pushforward::test
