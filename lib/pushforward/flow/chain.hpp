#pragma once

// From the options of a chain (architecture.hpp) to its transforms.

#include <pushforward/flow/architecture.hpp>
#include <pushforward/transforms/transform.hpp>

namespace pushforward::flow {

/// The transform that these options describe, on samples of this domain, its parameters below `<name>/`. seed, key: of
/// initial weights. What the options leave to the seed, like a random order, is written into them. Throws OptionError
/// and ShapeError.
template <class T>
std::unique_ptr<Transform<T>> make_transform(nn::ParameterLayout& layout, const std::string& name,
                                             LayerOptions& options, const Domain& domain, std::uint64_t seed,
                                             std::uint64_t key);

extern template std::unique_ptr<Transform<float>> make_transform(nn::ParameterLayout&, const std::string&,
                                                                 LayerOptions&, const Domain&, std::uint64_t,
                                                                 std::uint64_t);
extern template std::unique_ptr<Transform<double>> make_transform(nn::ParameterLayout&, const std::string&,
                                                                  LayerOptions&, const Domain&, std::uint64_t,
                                                                  std::uint64_t);

}  // namespace pushforward::flow
