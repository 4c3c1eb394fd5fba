// The file of a case for the PyTorch baseline. All arrays in C order, a row per sample, in the case's precision unless
// said otherwise.
//
//   attributes            case, work (train, match, gradient, density, sample), precision, flow (residual, realnvp,
//                         continuous), kind (of the log-det: exact, roulette; of a continuous flow, discrete,
//                         continuous), normalizes (0, 1: whether a step normalizes the weights to `bounds`),
//                         learning_rate, beta1, beta2, epsilon, average (of a step), tolerance (of an inverse, or of a
//                         continuous density), scale_limit (of couplings), steps (of rk4, of a continuous flow)
//   /bounds               (layers) double: spectral norms that the layers of a residual block may have
//   /parameters/NAME      weight (in, out), bias (out), log_beta (1) of each layer, NAME as in model files
//   /input                (n, d) rows of the batch, or latents
//   /log_prob             (n) double: ours; of matching, minus the losses
//   /gradient/NAME        of its sum: ours, with respect to parameters, σ as converged
//   /image                (n, d) latents of rows or samples of latents: ours, without a gradient
//   /latents, /times      (n, d), (n) of matching
//   /tableau_a, _b, _c    (stages, stages), (stages), (stages) double: of the method of a continuous density
//   /probes               (blocks, n, d), /terms (blocks) integer: of a roulette; attributes p, exact_terms

#include "evaluation.hpp"
#include "likelihood.hpp"
#include "matching.hpp"

#include <pushforward/h5/writer.hpp>
#include <pushforward/logdet/series.hpp>

#include <algorithm>
#include <array>

namespace pushforward::bench {

namespace {

std::string_view log_det_kind(const FlowCase& c, const logdet::Method& method) {
  if (c.shape.is_continuous()) return c.shape.integration.density;
  return method.exact() ? "exact" : "roulette";
}

h5::FileImage start(const FlowCase& c, const logdet::Method& method) {
  h5::FileImage file("pushforward-benchmark", 1);
  const h5::GroupWriter& root = file.root();
  root.attribute("case", c.name);
  root.attribute("work", work_name(c.work));
  root.attribute("precision", c.precision);
  root.attribute("kind", log_det_kind(c, method));
  root.attribute("flow", c.shape.kind);
  if (c.shape.is_continuous()) root.attribute("steps", c.shape.integration.steps);
  root.attribute("scale_limit", c.shape.options().map.as<flow::AffineMapOptions>().scale_limit);
  root.attribute("normalizes", c.normalizes());
  return file;
}

template <class T>
void write_parameters(const h5::GroupWriter& root, const std::string& group, const flow::Flow<T>& flow,
                      std::span<const T> values) {
  for (const auto& block : flow.layout().blocks()) {
    const ConstMatrixView<T> view(values.data() + block.offset, block.rows, block.cols);
    const auto name = group + "/" + block.name;
    if (block.is_vector) {
      root.write<T>(name, view.column_span(0));
    } else {
      root.write<T>(name, view);
    }
  }
}

void write_step(const h5::GroupWriter& root, const train::Options& options) {
  root.attribute("learning_rate", options.train.learning_rate);
  root.attribute("beta1", options.train.beta1);
  root.attribute("beta2", options.train.beta2);
  root.attribute("epsilon", options.optimizer_options().epsilon);
  root.attribute("average", options.train.average);
}

template <class T>
void write_bounds(const h5::GroupWriter& root, const flow::Flow<T>& flow) {
  const auto* const contraction = lipschitz_network(*flow.transforms()[0]);
  if (contraction == nullptr) return;
  std::vector<double> bounds;
  for (const auto& layer : contraction->layers()) {
    bounds.push_back(static_cast<double>(layer->bound()));
  }
  root.write("bounds", bounds);
}

template <class T>
void write_draws(const h5::GroupWriter& root, const FlowCase& c, const GradientInputs<T>& inputs) {
  const auto& options = inputs.method.template as<logdet::RouletteOptions>();
  const auto law = options.lengths();
  const Index d = c.shape.dimension, n = c.rows, blocks = c.shape.blocks;
  Matrix<T> probes(d, n * blocks);
  std::vector<Index> terms;
  for (Index b = 0; b < blocks; ++b) {
    auto draws = inputs.draws();
    draws.block = static_cast<std::uint64_t>(b);
    draw_probes(logdet::probe_names().value(options.probe), draws, 1, probes.view().columns(b * n, n));
    Index length = 0;
    draw_lengths(law, draws, {&length, 1});
    terms.push_back(law.exact + length);
  }
  root.write_array<T>("probes", std::array{blocks, n, d}, probes.data());
  root.write<Index>("terms", terms);
  root.attribute("p", options.p);
  root.attribute("exact_terms", options.exact);
}

template <class T>
void save_gradient(const FlowCase& c, const std::string& path) {
  const GradientInputs<T> inputs(c);
  Checks checks;
  const auto result = likelihood(inputs);
  check_likelihood(inputs, c, result, checks);
  h5::FileImage file = start(c, inputs.method);
  const h5::GroupWriter& root = file.root();
  write_step(root, inputs.options);
  write_bounds(root, inputs.flow);
  write_parameters<T>(root, "parameters", inputs.flow, inputs.flow.parameters());
  root.write<T>("input", inputs.x.view());
  root.write("log_prob", result.log_prob);
  write_parameters<T>(root, "gradient", inputs.flow, result.gradient);
  if (inputs.method.template get_if<logdet::RouletteOptions>() != nullptr) write_draws(root, c, inputs);
  file.save(path);
}

template <class T>
void save_matching(const FlowCase& c, const std::string& path) {
  MatchingInputs<T> inputs(comm::Communicator::self(), c);
  Checks checks;
  auto result = matching_loss(inputs);
  check_matching(inputs, result, checks);
  for (double& loss : result.loss) loss = -loss;
  for (T& value : result.gradient) value = -value;
  h5::FileImage file = start(c, {});
  const h5::GroupWriter& root = file.root();
  write_step(root, inputs.options());
  write_parameters<T>(root, "parameters", inputs.flow(), inputs.flow().parameters());
  root.write<T>("input", inputs.x().view());
  root.write<double>("latents", inputs.latents().view());
  root.write("times", inputs.times());
  root.write("log_prob", result.loss);
  write_parameters<T>(root, "gradient", inputs.flow(), result.gradient);
  file.save(path);
  inputs.release();
}

void write_tableau(const h5::GroupWriter& root) {
  const auto& tableau = ode::Tableau::registry().at(ode::finest_solver);
  Matrix<double> a(tableau.stages(), tableau.stages());
  for (Index i = 0; i < tableau.stages(); ++i) std::ranges::copy(tableau.a[i], a.view().column(i));
  root.write<double>("tableau_a", std::as_const(a).view());
  root.write("tableau_b", tableau.b);
  root.write("tableau_c", tableau.c);
}

template <class T>
void save_evaluation(const FlowCase& c, const std::string& path) {
  const Evaluation<T> evaluation(c);
  const Matrix<T> in = normal_columns<T>(c.shape.dimension, c.rows);
  auto workspace = evaluation.workspace(c.rows);
  Evaluated<T> out(c.shape.dimension, c.rows);
  evaluation.evaluate(in, out, workspace);
  Checks checks;
  evaluation.check(checks, in.view(), out);
  h5::FileImage file = start(c, evaluation.method());
  const h5::GroupWriter& root = file.root();
  if (c.shape.is_continuous()) {
    root.attribute("tolerance", c.shape.integration.tolerance);
    write_tableau(root);
  } else {
    root.attribute("tolerance", evaluation.inverse().tolerance);
  }
  write_bounds(root, evaluation.flow());
  write_parameters<T>(root, "parameters", evaluation.flow(), evaluation.flow().parameters());
  root.write<T>("input", in.view());
  root.write("log_prob", out.log_prob);
  root.write<T>("image", std::as_const(out.image).view());
  file.save(path);
}

}  // namespace

template <class T>
void save_flow_case(const FlowCase& c, const std::string& path) {
  if (c.work == Work::match) {
    save_matching<T>(c, path);
  } else if (c.work == Work::train || c.work == Work::gradient) {
    save_gradient<T>(c, path);
  } else {
    save_evaluation<T>(c, path);
  }
}

template void save_flow_case<float>(const FlowCase&, const std::string&);
template void save_flow_case<double>(const FlowCase&, const std::string&);

}  // namespace pushforward::bench
