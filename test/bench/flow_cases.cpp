
#include "flow_case.hpp"

#include <algorithm>

namespace pushforward::bench {

namespace {

constexpr Index tiny_rows = 24;
constexpr double least_rate_seconds = 0.005, most_rate_seconds = 0.05;  // for a shape

const std::vector<FlowCase>& table() {
  static const FlowShape d2{2, 10, {128, 128, 128, 128}}, d2_long{2, 100, {128, 128, 128, 128}},
      d43{43, 10, {128, 128}}, d64{64, 10, {256, 256}}, one64{64, 1, {256, 256}}, one256{256, 1, {256, 256}},
      realnvp{43, 10, {128, 128}, "realnvp"}, discrete{2, 1, {64, 64}, "continuous", {.density = "discrete"}},
      limit2{2, 1, {64, 64}, "continuous", {.density = "continuous", .tolerance = 1e-7}},
      limit16{16, 1, {128, 128}, "continuous", {.density = "continuous", .tolerance = 1e-7}};
  // Geometric with ½ beyond two exact terms, a length a step as is customary.
  static const std::string neumann = "neumann:p=0.5,exact=2,length=step", krylov = "trace+krylov:3";
  static const std::vector<FlowCase> cases{
      {"train.exact.d2", "training step, 10 blocks 2-128-128-128-128-2", Work::train, "float", d2, 500},
      {"train.exact.d2_100", "the same, 100 blocks", Work::train, "float", d2_long, 500},
      {"train.exact.d2_double", "the same, 10 blocks, double", Work::train, "double", d2, 500},
      {"train.exact.d43", "training step, d = 43, 10 blocks of 2×128", Work::train, "float", d43, 512},
      {"train.exact.d43_1024", "the same, batch 1024", Work::train, "float", d43, 1024},
      {"train.neumann.d43", "Neumann roulette, d = 43, 10 blocks of 2×128", Work::train, "float", d43, 512, neumann},
      {"train.neumann.d64", "Neumann roulette, d = 64, 10 blocks of 2×256", Work::train, "float", d64, 512, neumann},
      {"train.krylov.d43", "trace+krylov:3, d = 43, 10 blocks of 2×128", Work::train, "float", d43, 512, krylov, false},
      {"train.krylov.d64", "trace+krylov:3, d = 64, 10 blocks of 2×256", Work::train, "float", d64, 512, krylov, false},
      {"train.realnvp.d43", "RealNVP, d = 43, 10 couplings of 2×128", Work::train, "float", realnvp, 512},
      {"train.continuous.d2", "continuous flow, discrete density, d = 2, 2×64", Work::train, "float", discrete, 256},
      {"train.continuous.d16", "continuous flow, exact trace, d = 16, 2×128", Work::train, "float", limit16, 256},
      {"train.matching.d2", "flow matching, d = 2, 2×64", Work::match, "float", discrete, 512},
      {"log_det.gradient64", "exact log-det and gradient, net 64-256-256-64", Work::gradient, "double", one64, 256},
      {"log_det.value256", "exact log-det, net 256-256-256-256", Work::density, "double", one256, 256},
      {"density.d43", "log p of rows, exact, d = 43", Work::density, "float", d43, 10'000},
      {"density.d43_double", "the same in double, as flow_density has it", Work::density, "double", d43, 10'000},
      {"density.continuous.d2", "log p of rows to 1e-7, d = 2, 2×64", Work::density, "double", limit2, 10'000},
      {"density.continuous.d16", "log p of rows to 1e-7, d = 16, 2×128", Work::density, "double", limit16, 2000},
      {"sample.d2", "samples with log p, d = 2", Work::sample, "float", d2, 10'000},
      {"sample.d43", "samples with log p, d = 43", Work::sample, "float", d43, 10'000},
      {"sample.d2_double", "d = 2 in double, as flow_sample has it", Work::sample, "double", d2, 10'000},
      {"sample.d43_double", "d = 43 in double, as flow_sample has it", Work::sample, "double", d43, 10'000},
  };
  return cases;
}

template <class T>
Case case_in(const FlowCase& c) {
  Case made{.name = c.name, .summary = fmt::format("{}, {}, {} rows", c.summary, c.precision, c.rows)};
  made.run = [c](const Session& session) -> std::vector<Result> {
    const auto sized = sized_for(session, c);
    switch (c.work) {
      case Work::train:
      case Work::gradient: return {run_gradient<T>(sized, session)};
      case Work::match: return {run_matching<T>(sized, session)};
      default: return {run_evaluation<T>(sized, session)};
    }
  };
  if (c.has_baseline) {
    made.save = [c](const Session& session, const std::string& path) {
      save_flow_case<T>(sized_for(session, c), path);
    };
  }
  return made;
}

}  // namespace

std::string_view work_name(Work work) {
  static constexpr std::array<std::string_view, 5> names{"train", "match", "gradient", "density", "sample"};
  return names[static_cast<Index>(work)];
}

Case case_of(const FlowCase& c) {
  return c.precision == "float" ? case_in<float>(c) : case_in<double>(c);
}

FlowCase sized_for(const Session& session, const FlowCase& c) {
  if (!session.tiny) return c;
  FlowCase small = c;
  small.shape = tiny(c.shape);
  small.rows = tiny_rows;
  return small;
}

std::vector<Case> flow_cases() {
  std::vector<Case> cases;
  for (const auto& c : table()) cases.push_back(case_of(c));
  return cases;
}

template <class T>
void BoundMeasurement<T>::measure() {
  const auto shapes = static_cast<double>(products_.shapes().size());
  session_.comm.barrier();
  rates_.measure(session_.tiny ? 0
                               : std::clamp(session_.seconds / (2 * shapes), least_rate_seconds, most_rate_seconds));
}

template <class T>
void BoundMeasurement<T>::report(Result& result) const {
  result.flops = session_.comm.sum(factor_ * products_.flops());
  result.bound = session_.comm.max(factor_ * rates_.bound());
}

template class BoundMeasurement<float>;
template class BoundMeasurement<double>;

}  // namespace pushforward::bench
