#pragma once

// The transforms without a network that go through the kit of invariants. Not among them: Dequantize, which draws anew
// in each pass and whose inverse gives back integers only (test_dequantize.cpp).

#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/squeeze.hpp>

#include "invariants.hpp"

namespace pushforward::test {

/// A kind of transform, and its order, form or function.
struct SimpleMap {
  std::string_view kind, detail;
};

constexpr SimpleMap simple_maps[] = {{"actnorm", "of an image"},
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

/// Of 20 and 64 values an image, of others a vector.
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

template <class T>
std::unique_ptr<flow::Transform<T>> make_simple(const SimpleMap& map, const Shape& shape, nn::ParameterLayout& layout) {
  const std::string detail(map.detail);
  if (map.kind == "actnorm") return std::make_unique<flow::ActNorm<T>>(layout, "t", shape);
  if (map.kind == "scaling") return std::make_unique<flow::Scaling<T>>(layout, "t", shape);
  if (map.kind == "elementwise") {
    return std::make_unique<flow::Elementwise<T>>(layout, "t", shape, elementwise_options(map));
  }
  if (map.kind == "permutation") {
    return std::make_unique<flow::Permutation<T>>(layout, "t", shape, flow::PermutationOptions{.order = detail}, 1, 1);
  }
  if (map.kind == "linear") {
    return std::make_unique<flow::Linear<T>>(layout, "t", shape, flow::LinearOptions{.form = detail}, 1, 1);
  }
  if (map.kind == "planar") {
    return std::make_unique<flow::Planar<T>>(layout, "t", shape, flow::PlanarOptions(), 1, 1);
  }
  if (map.kind == "radial") {
    return std::make_unique<flow::Radial<T>>(layout, "t", shape, flow::RadialOptions(), 1, 1);
  }
  if (map.kind == "squeeze") return std::make_unique<flow::Squeeze<T>>(layout, "t", shape);
  return std::make_unique<flow::FactorOut<T>>(layout, "t", shape, flow::FactorOutOptions());
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

/// Of a planar flow u is moved along w until wᵀu = −1, where volumes change.
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
