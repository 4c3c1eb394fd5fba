#include "kernels.hpp"
#include "subject.hpp"

#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/reference.hpp>

#include <algorithm>
#include <array>

namespace pushforward::bench {

namespace {

constexpr double power_tolerance = 1e-3;   // of the training steps' power iteration
constexpr double step_of_training = 1e-3;  // relative change of weights from step to step

std::vector<FlowShape> shapes(const Session& session) {
  std::vector<FlowShape> all{{2, 10, {128, 128, 128, 128}}, {43, 10, {128, 128}}, {64, 10, {256, 256}}};
  if (session.tiny) std::transform(all.begin(), all.end(), all.begin(), tiny);
  return all;
}

std::string label(const FlowShape& shape) {
  return fmt::format("d={} {}×{}", shape.dimension, shape.hidden.size(), shape.hidden.front());
}

template <class T>
double weight_bytes(const flow::Flow<T>& flow) {
  return static_cast<double>(flow.parameters().size_bytes());
}

}  // namespace

template <class T>
std::vector<Result> time_spectral_norm(const Session& session) {
  std::vector<Result> results;
  for (const auto& shape : shapes(session)) {
    auto flow = trained_flow<T>(shape);
    // Two sets of weights in turn, as far from each other as a step takes them.
    std::array<std::vector<T>, 2> weights;
    for (auto& w : weights) w.assign(flow.parameters().begin(), flow.parameters().end());
    const auto change = normal_columns<T>(std::ssize(weights[1]), 1);
    for (std::size_t i = 0; i < weights[1].size(); ++i) {
      weights[1][i] *= T(1) + static_cast<T>(step_of_training) * change.span()[i];
    }
    std::size_t turn = 0;
    const auto prepare = [&] {
      turn = 1 - turn;
      std::copy(weights[turn].begin(), weights[turn].end(), flow.parameters().begin());
      flow.prepare(nn::Normalization::power_iteration);
    };
    prepare();
    Checks checks;
    for (const auto& layer : lipschitz_network(*flow.transforms()[0])->layers()) {
      checks.close("a layer's norm", linalg::reference::spectral_norm<T>(layer->weight()),
                   static_cast<double>(layer->bound()), power_tolerance);
    }
    Result result{.label = label(shape), .rows = 0, .check = checks.nearest()};
    result.timing = time_repeats(session, prepare);
    result.bytes = 6 * weight_bytes(flow) * session.comm.size();  // copied, read by an iteration, scaled
    results.push_back(result);
  }
  return results;
}

template <class T>
std::vector<Result> time_raw_gradient(const Session& session) {
  std::vector<Result> results;
  for (const auto& shape : shapes(session)) {
    const auto flow = trained_flow<T>(shape);
    const auto start = normal_columns<T>(flow.layout().size(), 1);
    std::vector<T> gradient(start.span().begin(), start.span().end());
    flow.gradient_of_raw_parameters(gradient);
    // W times a number has the same effective weight: the gradient is orthogonal to W.
    Checks checks;
    for (const auto& block : flow.layout().blocks()) {
      if (!block.name.ends_with("/weight")) continue;
      const auto at = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
      const auto bar = std::span<const T>(gradient).subspan(at, size), w = flow.parameters().subspan(at, size);
      const double scale = static_cast<double>(linalg::norm2(bar)) * static_cast<double>(linalg::norm2(w));
      checks.close("⟨W̄, W⟩", scale + static_cast<double>(linalg::dot(bar, w)), scale,
                   std::is_same_v<T, float> ? 1e-4 : 1e-12);
    }
    Result result{.label = label(shape), .rows = 0, .check = checks.nearest()};
    result.timing = time_repeats(session, [&] {
      std::copy(start.span().begin(), start.span().end(), gradient.begin());
      flow.gradient_of_raw_parameters(gradient);
    });
    result.bytes = 8 * weight_bytes(flow) * session.comm.size();  // copied, read with W, updated twice
    results.push_back(result);
  }
  return results;
}

template std::vector<Result> time_spectral_norm<float>(const Session&);
template std::vector<Result> time_spectral_norm<double>(const Session&);
template std::vector<Result> time_raw_gradient<float>(const Session&);
template std::vector<Result> time_raw_gradient<double>(const Session&);

}  // namespace pushforward::bench
