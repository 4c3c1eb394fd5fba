#pragma once

// Coupling and autoregressive transforms for the kit of invariants.

#include <pushforward/maps/spline.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/coupling.hpp>

#include "invariants.hpp"

#include <variant>

namespace pushforward::test {

using flow::Domain;

/// A transform under test, with where it stands.
struct Conditional {
  std::variant<flow::CouplingOptions, flow::AutoregressiveOptions> options;
  Domain domain;

  const flow::ScalarMapOptions& map() const {
    return std::visit([](const auto& o) -> const flow::ScalarMapOptions& { return o.map; }, options);
  }
  std::string name() const {
    const auto* const coupling = std::get_if<flow::CouplingOptions>(&options);
    const std::string kind = coupling != nullptr ? fmt::format("coupling, {}{}", coupling->mask,
                                                               coupling->kernels.empty() ? "" : ", convolutional")
                             : std::get<flow::AutoregressiveOptions>(options).inverse ? "inverse autoregressive"
                                                                                      : "autoregressive";
    return fmt::format("{}, {}, on {}, {} angles, context of {}", kind, map().kind, to_string(domain.shape),
                       domain.periodic.size(), domain.context);
  }
};

inline flow::ScalarMapOptions map_of(const std::string& kind) {
  flow::ScalarMapOptions map(kind);
  map.as<flow::AffineMapOptions>().scale_limit = 1.5;
  map.as<flow::SplineOptions>() = {.bins = 4, .min_width = 0.05, .min_height = 0.05, .min_derivative = 0.1};
  return map;
}

inline Conditional coupling(const std::string& mask, const std::string& map, const Domain& domain,
                            std::vector<Index> kernels = {}) {
  return {flow::CouplingOptions{.mask = mask, .map = map_of(map), .hidden = {9, 7}, .kernels = std::move(kernels)},
          domain};
}
inline Conditional autoregressive(const std::string& map, const Domain& domain, bool inverse) {
  return {flow::AutoregressiveOptions{.map = map_of(map), .hidden = {70, 66}, .inverse = inverse}, domain};
}

template <class T>
std::unique_ptr<flow::Transform<T>> make_transform(const Conditional& of, nn::ParameterLayout& layout) {
  if (const auto* const o = std::get_if<flow::CouplingOptions>(&of.options)) {
    return std::make_unique<flow::Coupling<T>>(layout, "map", of.domain, *o, 1, 1);
  }
  const auto& options = std::get<flow::AutoregressiveOptions>(of.options);
  auto made = std::make_unique<flow::Autoregressive<T>>(layout, "map", of.domain, options, 1, 1);
  if (!options.inverse) return made;
  return std::make_unique<flow::Inverse<T>>(std::move(made));
}

template <class T>
std::unique_ptr<Subject<T>> make_subject(const Conditional& of) {
  return std::make_unique<TransformSubject<T>>(
      of.domain.size(), [&](nn::ParameterLayout& layout) { return make_transform<T>(of, layout); });
}

/// The second derivatives of a spline jump at its knots, and angles at ±π.
inline double step_of(const Conditional& of) {
  return of.map().kind == "spline" || !of.domain.periodic.empty() ? 0.03 : 0.3;
}

template <class T>
Case<T> make_case(const Conditional& of, Fault fault = Fault::none) {
  Case<T> c([&] { return std::make_unique<Broken<T>>(make_subject<T>(of), fault); },
            [&] { return make_subject<double>(of); }, 4);
  if (of.domain.context > 0) c.condition(of.domain.context);
  c.step = step_of(of);
  return c;
}

}  // namespace pushforward::test
