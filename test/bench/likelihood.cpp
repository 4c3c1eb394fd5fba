
#include "likelihood.hpp"

#include "reference.hpp"

#include <pushforward/logdet/series.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

constexpr Index few = 2;  // samples that go through plain loops
constexpr Index data_batches = 4;
constexpr double step_length = 1e-3;  // of differences, in the norm of all parameters

// Tolerances for the rounding of a log-density, and of a gradient relative to its largest element. They are measured,
// with room.
template <class T>
constexpr double value_tolerance = 200 * std::numeric_limits<T>::epsilon();
template <class T>
constexpr double gradient_tolerance = 1e3 * std::numeric_limits<T>::epsilon();
constexpr double difference_tolerance = 1e-8;

double norm(std::span<const double> x) {
  double square = 0;
  for (const double value : x) square += value * value;
  return std::sqrt(square);
}

// Prepares so that gradients can be compared.
template <class T>
void prepare(flow::Flow<T>& flow, bool normalizes) {
  if (normalizes) {
    settle(flow);
  } else {
    flow.prepare(nn::Normalization::stored);
  }
}

template <class T>
flow::Flow<T> flow_of(const FlowCase& c, const logdet::Method& method) {
  auto flow = trained_flow<T>(c.shape);
  if (c.work == Work::gradient) {
    flow.bake_normalization();
    flow.prepare(nn::Normalization::stored);
  }
  flow.set_log_det(nn::Pass::gradient, method);
  return flow;
}

// The flow in double, with the same parameters.
template <class T>
flow::Flow<double> widened_flow(const GradientInputs<T>& inputs, const FlowCase& c) {
  auto flow = flow_with<double, T>(c.shape, inputs.flow.parameters());
  flow.set_log_det(nn::Pass::gradient, inputs.method);
  prepare(flow, inputs.normalizes);
  return flow;
}

}  // namespace

train::Options step_options(const FlowCase& c) {
  train::Options options;
  options.train.batch = c.rows;
  options.train.learning_rate = 1e-4;
  options.train.schedule = "constant";
  options.train.warmup = 0;
  return options;
}

std::vector<double> direction(std::span<const double> gradient) {
  std::vector<double> chance(gradient.size()), mixed(gradient.size());
  random::Stream stream(2, random::Purpose::check);
  for (double& value : chance) value = stream.normal();
  const double a = norm(gradient), b = norm(chance);
  for (std::size_t i = 0; i < mixed.size(); ++i) mixed[i] = gradient[i] / a + chance[i] / b;
  return mixed;
}

double derivative(const std::function<double(const flow::Flow<double>&)>& f, flow::Flow<double>& flow, bool normalizes,
                  std::span<const double> along) {
  const std::vector<double> start(flow.parameters().begin(), flow.parameters().end());
  const auto at = [&](double length) {
    for (std::size_t i = 0; i < start.size(); ++i) flow.parameters()[i] = start[i] + length * along[i];
    prepare(flow, normalizes);
    return f(flow);
  };
  const auto central = [&](double length) { return (at(length) - at(-length)) / (2 * length); };
  return (4 * central(step_length / 2) - central(step_length)) / 3;
}

template <class T>
GradientInputs<T>::GradientInputs(const FlowCase& c)
    : method(logdet::parse_method(c.method)),
      options(step_options(c)),
      flow(flow_of<T>(c, method)),
      normalizes(c.normalizes()),
      data(normal_columns<T>(c.shape.dimension, data_batches * c.rows)),
      x(c.shape.dimension, c.rows),
      samples(static_cast<std::size_t>(c.rows)) {
  const random::BatchOrder order(static_cast<std::uint64_t>(options.train.seed), data.cols(), c.rows);
  order.rows(0, 0, samples);
  for (Index j = 0; j < c.rows; ++j) {
    std::copy_n(data.view().column(samples[j]), data.rows(), x.view().column(j));
  }
  const auto* const roulette = method.template get_if<logdet::RouletteOptions>();
  if (roulette == nullptr) return;
  const auto law = roulette->lengths();
  require<BugError>(law.per_step && law.samples == 1, "{}: a benchmark wants one length for all samples",
                    to_string(method));
  const auto expected = static_cast<Index>(std::lround(static_cast<double>(c.shape.blocks) / law.parameter));
  for (Index sum = 0; sum != expected; ++draw_step) {
    sum = 0;
    for (Index b = 0; b < c.shape.blocks; ++b) {
      Index length = 0;
      auto mine = draws();
      mine.block = static_cast<std::uint64_t>(b);
      draw_lengths(law, mine, {&length, 1});
      sum += length;
    }
    if (sum == expected) break;
  }
  terms = static_cast<double>(law.exact) + static_cast<double>(expected) / static_cast<double>(c.shape.blocks);
}

template <class T, class U>
Likelihood<T> likelihood(const GradientInputs<U>& inputs, const flow::Flow<T>& flow, ConstMatrixView<T> x,
                         const logdet::Draws& draws, Index most) {
  constexpr double megabyte = 1e6;
  const auto bytes = static_cast<Index>(inputs.options.train.workspace * megabyte);
  auto workspace = flow::FlowWorkspace<T>::within(flow, bytes, most, nn::Pass::gradient);
  Likelihood<T> result{std::vector<double>(x.cols()), std::vector<T>(flow.parameters().size())};
  std::vector<flow::Status> status(result.log_prob.size());
  flow.add_gradient({.x = x, .draws = draws}, result.gradient, result.log_prob, status, workspace);
  if (inputs.normalizes) flow.gradient_of_raw_parameters(result.gradient);
  require<NumericalError>(!workspace.failure(), "a log-density is not finite, or a block is no contraction");
  return result;
}

template <class T>
void check_likelihood(const GradientInputs<T>& inputs, const FlowCase& c, const Likelihood<T>& result, Checks& checks) {
  const Index n = c.rows;
  const auto draws = inputs.draws();

  auto flow = widened_flow(inputs, c);
  const Matrix<double> x = widened<T>(inputs.x.view().columns(0, few));
  const PlainLikelihood here(PlainFlow(inputs.flow), x, inputs.method, draws);
  checks.close("log p by plain loops", std::span(result.log_prob).first(few), std::span(here.log_prob()),
               value_tolerance<T>);

  const auto some = likelihood(inputs, flow, x.view(), draws, few);
  const auto along = direction(some.gradient);
  const PlainLikelihood plain(PlainFlow(flow), x, inputs.method, draws);
  double expected = 0;
  for (std::size_t i = 0; i < along.size(); ++i) expected += some.gradient[i] * along[i];
  const auto surrogate = [&](const flow::Flow<double>& nearby) { return plain.surrogate(PlainFlow(nearby)); };
  checks.close("the gradient by differences", expected, derivative(surrogate, flow, inputs.normalizes, along),
               difference_tolerance);

  if constexpr (std::is_same_v<T, double>) {
    const auto other = likelihood(inputs, inputs.flow, inputs.x.view(), draws, std::max<Index>(1, n / 3));
    checks.close("log p in chunks", std::span(result.log_prob), std::span(other.log_prob), value_tolerance<T>);
    checks.close("the gradient in chunks", std::span(result.gradient), std::span(other.gradient),
                 gradient_tolerance<T>);
  } else {
    flow = widened_flow(inputs, c);
    const Matrix<double> all = widened<T>(inputs.x.view());
    const auto wide = likelihood(inputs, flow, all.view(), draws, n);
    const std::vector<T> narrow(wide.gradient.begin(), wide.gradient.end());
    checks.close("log p in double", std::span(result.log_prob), std::span(wide.log_prob), value_tolerance<T>);
    checks.close("the gradient in double", std::span(result.gradient), std::span(narrow), gradient_tolerance<T>);
  }
}

template <class T>
double gradient_error(const GradientInputs<T>& inputs, const FlowCase& c, Index count) {
  auto exact_flow = flow_with<T, T>(c.shape, inputs.flow.parameters());
  prepare(exact_flow, inputs.normalizes);
  auto draws = inputs.draws();
  const auto exact = likelihood(inputs, exact_flow, inputs.x.view(), draws, c.rows).gradient;
  double distance = 0, length = 0;
  for (const T value : exact) length += std::pow(static_cast<double>(value), 2);
  for (Index i = 0; i < count; ++i) {
    draws.step = static_cast<std::uint64_t>(inputs.draw_step + 1 + i);
    const auto drawn = likelihood(inputs, inputs.flow, inputs.x.view(), draws, c.rows).gradient;
    for (std::size_t p = 0; p < drawn.size(); ++p) {
      distance += std::pow(static_cast<double>(drawn[p]) - static_cast<double>(exact[p]), 2);
    }
  }
  return std::sqrt(distance / (static_cast<double>(count) * length));
}

template struct GradientInputs<float>;
template struct GradientInputs<double>;
template Likelihood<float> likelihood(const GradientInputs<float>&, const flow::Flow<float>&, ConstMatrixView<float>,
                                      const logdet::Draws&, Index);
template Likelihood<double> likelihood(const GradientInputs<double>&, const flow::Flow<double>&,
                                       ConstMatrixView<double>, const logdet::Draws&, Index);
template Likelihood<double> likelihood(const GradientInputs<float>&, const flow::Flow<double>&, ConstMatrixView<double>,
                                       const logdet::Draws&, Index);
template void check_likelihood(const GradientInputs<float>&, const FlowCase&, const Likelihood<float>&, Checks&);
template void check_likelihood(const GradientInputs<double>&, const FlowCase&, const Likelihood<double>&, Checks&);
template double gradient_error(const GradientInputs<float>&, const FlowCase&, Index);
template double gradient_error(const GradientInputs<double>&, const FlowCase&, Index);

}  // namespace pushforward::bench
