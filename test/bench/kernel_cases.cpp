
#include "kernels.hpp"

namespace pushforward::bench {

namespace {

template <class T>
void add_kernels(std::vector<Case>& cases, const std::string& precision) {
  const auto add = [&](const std::string& name, const std::string& summary,
                       std::vector<Result> (*run)(const Session&)) {
    cases.push_back({.name = fmt::format("kernel.{}.{}", name, precision),
                     .summary = fmt::format("{}, {}", summary, precision),
                     .run = [run, precision](const Session& session) {
                       auto results = run(session);
                       for (auto& result : results) result.precision = precision;
                       return results;
                     }});
  };
  add("gemm", "matrix products at the shapes of training steps", time_gemm<T>);
  add("activate", "lipswish with φ′ and φ″", time_activate<T>);
  add("scale_tangents", "tangents through an activation", time_scale_tangents<T>);
  add("reverse_activation", "reverse of value and tangents through an activation", time_reverse_activation<T>);
  add("lu", "log-dets and inverse transposes of many small matrices", time_lu<T>);
  add("spectral_norm", "prepare() by warm-started power iteration, 10 blocks", time_spectral_norm<T>);
  add("raw_gradient", "gradient through the spectral normalization, 10 blocks", time_raw_gradient<T>);
}

}  // namespace

std::vector<Case> kernel_cases() {
  std::vector<Case> cases;
  add_kernels<float>(cases, "float");
  add_kernels<double>(cases, "double");
  return cases;
}

}  // namespace pushforward::bench
