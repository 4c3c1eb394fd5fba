#pragma once

// The transforms without a network that go through the kit of invariants, by their kinds. A kind of the registry that
// is not named here goes through the kit with its default options.

#include <pushforward/maps/scalar_function.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/transform_kind.hpp>

#include "invariants.hpp"

namespace pushforward::test {

/// A kind of transform, and the value of its first key: its order, form or function. "" is the default.
struct SimpleMap {
  std::string_view kind, detail;
};

constexpr SimpleMap simple_maps[] = {{"actnorm", ""},
                                     {"scaling", ""},
                                     {"elementwise", "affine"},
                                     {"elementwise", "leaky"},
                                     {"elementwise", "cube"},
                                     {"elementwise", "cube_root"},
                                     {"elementwise", "exp"},
                                     {"elementwise", "log"},
                                     {"elementwise", "softplus"},
                                     {"elementwise", "inverse_softplus"},
                                     {"elementwise", "tanh"},
                                     {"elementwise", "atanh"},
                                     {"elementwise", "sigmoid"},
                                     {"elementwise", "logit"},
                                     {"permutation", "random"},
                                     {"permutation", "reverse"},
                                     {"linear", "dense"},
                                     {"linear", "plu"},
                                     {"linear", "householder"},
                                     {"planar", ""},
                                     {"radial", ""},
                                     {"squeeze", ""},
                                     {"split", ""}};

/// Kinds with subjects of their own: transforms with a network (test_invariants.cpp, conditional.hpp), and dequantize,
/// which draws anew in each pass and whose inverse gives back integers only (test_dequantize.cpp).
constexpr std::string_view kinds_tested_elsewhere[] = {"residual", "continuous", "coupling", "autoregressive",
                                                       "dequantize"};

/// The maps above, and all other kinds of the registry.
inline std::vector<SimpleMap> all_simple_maps() {
  std::vector<SimpleMap> all(std::begin(simple_maps), std::end(simple_maps));
  for (const auto& kind : flow::TransformKind::registry().all()) {
    const bool is_named = std::ranges::count(all, std::string_view(kind.name), &SimpleMap::kind) > 0 ||
                          std::ranges::count(kinds_tested_elsewhere, kind.name) > 0;
    if (!is_named) all.push_back({kind.name, ""});
  }
  return all;
}

/// 20 and 64 values make an image, other numbers a vector.
inline Shape simple_shape(Index d) {
  if (d == 20) return {2, 2, 5};
  return d == 64 ? Shape{4, 4, 4} : Shape::vector(d);
}

/// Squeezes want images, splits two channels. On the line all reflections are the same, so that there is no gradient.
inline bool is_defined(const SimpleMap& map, Index d) {
  if (map.kind == "squeeze") return simple_shape(d).is_image();
  return d > 1 || (map.kind != "split" && map.detail != "householder");
}

/// Maps whose log-det is 0: for these the kit's changes_volume() must say no.
inline bool keeps_volume(const SimpleMap& map) {
  return map.kind == "permutation" || map.kind == "squeeze" || map.kind == "split" || map.detail == "householder";
}

inline flow::ElementwiseOptions elementwise_options(const SimpleMap& map) {
  flow::ElementwiseOptions options{.function = std::string(map.detail), .shift = -0.5, .scale = 2};
  if (map.detail == "exp") options.columns = {0};
  if (map.detail == "leaky") options.slope = 0.3;
  if (map.detail == "logit" || map.detail == "sigmoid") options.margin = 0.05;
  return options;
}

inline flow::TransformOptions options_of(const SimpleMap& map) {
  if (map.kind == "elementwise") return elementwise_options(map);
  flow::TransformOptions options(map.kind);
  OptionSet keys = options.declare();
  if (!map.detail.empty()) keys.set_text(keys.entries().front().key, map.detail, "subject");
  return options;
}

template <class T>
std::unique_ptr<flow::Transform<T>> make_simple(const SimpleMap& map, const Shape& shape, nn::ParameterLayout& layout) {
  return options_of(map).make<T>({layout, "t", {.shape = shape}, 1, 1});
}

template <class T>
std::unique_ptr<Subject<T>> make_subject(const SimpleMap& map, Index d) {
  return std::make_unique<TransformSubject<T>>(
      d, [&](nn::ParameterLayout& layout) { return make_simple<T>(map, simple_shape(d), layout); });
}

/// Moves a number of the line into an interval and away from its ends, and from 0, where there are kinks and poles.
inline double into(std::pair<double, double> interval, double value) {
  const auto [low, high] = interval;
  if (std::isfinite(high)) return 0.5 * (low + high) + 0.4 * (high - low) * std::tanh(value);
  return std::isfinite(low) ? low + 0.5 + std::abs(value) : value + std::copysign(0.5, value);
}

/// Moves the u of a planar flow along w until wᵀu = −1, where volumes change.
template <class T>
void move_planar(Case<T>& c) {
  const auto d = static_cast<std::size_t>(c.subject->dimension());
  const auto u = std::span(c.parameters).first(d), w = std::span(c.parameters).subspan(d, d);
  double product = 0, square = 0;
  for (std::size_t i = 0; i < d; ++i) {
    product += u[i] * w[i];
    square += w[i] * w[i];
  }
  for (std::size_t i = 0; i < d; ++i) u[i] = static_cast<float>(u[i] - (1 + product) / square * w[i]);
  c.prepare(nn::Normalization::svd);
}

/// Moves the samples and latents of a case to where an elementwise function and its inverse are defined.
template <class T>
void place(const SimpleMap& map, Case<T>& c) {
  if (map.kind == "planar") move_planar(c);
  if (map.kind != "elementwise") return;
  const auto options = elementwise_options(map);
  const flow::ScalarFunction function(flow::function_of(options.function), options.slope, options.margin);
  for (T& value : c.x.span()) {
    value = static_cast<T>(options.shift + options.scale * into(function.domain(), static_cast<double>(value)));
  }
  for (T& value : c.z.span()) {
    value = static_cast<T>(into(function.inverse().domain(), static_cast<double>(value)));
  }
}

}  // namespace pushforward::test
