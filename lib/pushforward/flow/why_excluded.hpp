#pragma once

// Texts about samples that a flow does not admit (Flow::excluded()).

#include <pushforward/base_density/base_density.hpp>
#include <pushforward/transforms/supported.hpp>

#include <fmt/format.h>

namespace pushforward::flow {

/// Says which value of a sample is not admitted by a transform; "" if all are. transform: may be null. x: (d) in.
template <class T>
std::string why_excluded(const Supported* transform, std::span<const T> x) {
  if (transform == nullptr) return "";
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto row = static_cast<Index>(i);
    if (transform->admits(row, static_cast<double>(x[i]))) continue;
    return fmt::format("value {} is {:.6g}, and only {} are admitted", row, x[i], transform->admitted(row));
  }
  return "";
}

/// Says which value of a latent is not in the support of the base density; "" if all are. z: (d) in.
template <class T>
std::string why_excluded(const BaseDensity<T>& base, std::span<const T> z) {
  const auto [low, high] = base.support();
  for (const Index row : base.rows()) {
    const T value = z[row];
    if (value >= static_cast<T>(low) && value <= static_cast<T>(high)) continue;
    return fmt::format("value {} is {:.6g}, outside [{:.6g}, {:.6g}]", row, value, low, high);
  }
  return "";
}

}  // namespace pushforward::flow
