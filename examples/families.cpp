// Flows of every kind put together from their transforms and fitted to a caller's own arrays on its own MPI
// communicator: on pairs of numbers, images, angles, and under a condition. Prints the NLL that they reach, the lowest
// NLL that is possible, and the NLL without a flow; with the same numbers by
//
//   build/examples/families
//   mpirun -n 2 build/examples/families
//
// up to rounding: 400 steps amplify it to the third digit at most, for the two flows of splines; others keep eight.

#include <pushforward/base_density/base_mixture.hpp>
#include <pushforward/comm/communicator.hpp>
#include <pushforward/maps/spline.hpp>
#include <pushforward/train/array_rows.hpp>
#include <pushforward/train/fit.hpp>
#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/residual.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/squeeze.hpp>

#include <cmath>
#include <cstdio>
#include <numbers>
#include <random>

namespace {

namespace pf = pushforward;
using namespace pf::flow;
using pf::Index;

constexpr Index rows = 20'000, batch = 256, steps = 400;

// A flow is the chain of its transforms, from data to latents, and a base density: N(0, I) unless told otherwise.
using Chain = std::vector<TransformOptions>;

// The caller's arrays, one sample after the other, and what is known of them: nats per sample.
struct Data {
  Domain domain;
  std::vector<double> values{}, context{};
  double entropy = 0;  // what no flow can go below
  double plain = 0;    // NLL of a density without a flow: normal and independent, or uniform for angles

  pf::ConstMatrixView<double> x() const { return {values.data(), domain.size(), rows}; }
  pf::ConstMatrixView<double> u() const { return {context.data(), domain.context, domain.context > 0 ? rows : 0}; }
};

struct Example {
  const char* name;
  const Data& data;
  Chain chain;
  BaseOptions base{};
};

const double unit_normal = 0.5 * std::log(2 * std::numbers::pi * std::numbers::e);  // its entropy

double plain_nll(const Data& data) {
  const auto x = data.x();
  double nll = 0;
  for (Index i = 0; i < x.rows(); ++i) {
    double sum = 0, square = 0;
    for (Index j = 0; j < rows; ++j) {
      sum += x(i, j);
      square += x(i, j) * x(i, j);
    }
    const double mean = sum / rows;
    nll += unit_normal + 0.5 * std::log(square / rows - mean * mean);
  }
  return nll;
}

using Normal = std::normal_distribution<double>;

// A banana, x₂ = x₁²/2 + noise; or, given u, one that is bent by u.
Data banana(bool conditional) {
  constexpr double width = 1.5, noise = 0.3;
  std::mt19937_64 generator(1);
  Normal normal;
  std::uniform_real_distribution<double> bend(-1, 1);
  Data data{.domain = {.shape = pf::Shape::vector(2), .context = conditional ? 1 : 0}};
  for (Index j = 0; j < rows; ++j) {
    const double x = width * normal(generator), u = conditional ? bend(generator) : 1;
    data.values.insert(data.values.end(), {x, u * x * x / 2 + noise * normal(generator)});
    if (conditional) data.context.push_back(u);
  }
  data.entropy = 2 * unit_normal + std::log(width * noise);
  data.plain = plain_nll(data);
  return data;
}

// 4 × 4 pixels y + y³/4, each y near the one to its left.
Data images() {
  constexpr double step = 0.5;
  std::mt19937_64 generator(2);
  Normal normal;
  Data data{.domain = {.shape = {4, 4, 1}}};
  const Index pixels = data.domain.size();
  for (Index j = 0; j < rows; ++j) {
    double y = 0;
    for (Index i = 0; i < pixels; ++i) {
      y = (i % 4 == 0 ? 0 : 0.9 * y) + step * normal(generator);
      data.values.push_back(y + y * y * y / 4);
      data.entropy += std::log(1 + 0.75 * y * y) / rows;
    }
  }
  data.entropy += static_cast<double>(pixels) * (unit_normal + std::log(step));
  data.plain = plain_nll(data);
  return data;
}

// φ about 1, and ψ about 2φ: a band that runs around the torus.
Data angles() {
  constexpr double width = 0.5, noise = 0.4;
  std::mt19937_64 generator(3);
  Normal normal;
  Data data{.domain = {.shape = pf::Shape::vector(2), .periodic = {0, 1}}};
  for (Index j = 0; j < rows; ++j) {
    const double phi = 1 + width * normal(generator), psi = 2 * phi + noise * normal(generator);
    for (const double angle : {phi, psi}) data.values.push_back(std::remainder(angle, 2 * std::numbers::pi));
  }
  data.entropy = 2 * unit_normal + std::log(width * noise);
  data.plain = 2 * std::log(2 * std::numbers::pi);
  return data;
}

void append(Chain& chain, const Chain& more) {
  chain.insert(chain.end(), more.begin(), more.end());
}

// `count` times the transforms that `block` gives for 0, 1, …, and what ends them.
template <class Block>
Chain repeat(Index count, Block&& block, const Chain& end) {
  Chain chain;
  for (Index k = 0; k < count; ++k) append(chain, block(k));
  append(chain, end);
  return chain;
}

const std::vector<Index> hidden{32, 32};
const ScalarMapOptions additive(AdditiveMapOptions{}), affine(AffineMapOptions{}),
    spline(SplineOptions{.bins = 8, .bound = 5});

// Couplings take turns with the values that they leave as they are.
CouplingOptions alternating(Index k, const ScalarMapOptions& map) {
  return {k % 2 == 0 ? "even" : "odd", map, hidden};
}

// Two scales of an image: residual blocks and couplings of pixels, a squeeze of 4 × 4 × 1 to 2 × 2 × 4, a 1 × 1
// convolution and a coupling of channels; half of the channels are latents then, the others go on.
Chain multi_scale() {
  const std::vector<Index> channels{8}, kernels{3, 3};
  const auto coupling = [&](const char* mask) { return CouplingOptions{mask, affine, channels, kernels}; };
  const auto mixed = Chain{ActNormOptions{}, LinearOptions{.form = "plu"}, coupling("first"), coupling("second")};
  Chain chain{ActNormOptions{}, coupling("checkerboard"), coupling("checkerboard-odd"),
              ResidualOptions{.hidden = channels, .kernels = kernels, .lipschitz = 0.9}, SqueezeOptions{}};
  append(chain, mixed);
  chain.emplace_back(FactorOutOptions{});
  append(chain, mixed);
  chain.emplace_back(ActNormOptions{});
  return chain;
}

std::vector<Example> examples(const Data& pairs, const Data& pixels, const Data& torus, const Data& given) {
  const Chain norm{ActNormOptions{}};
  const PermutationOptions reverse{.order = "reverse"};
  const AutoregressiveOptions maf{affine, hidden}, iaf{.map = affine, .hidden = hidden, .inverse = true};
  const auto of = [](const Chain& chain) { return [chain](Index) { return chain; }; };
  const auto nice = [](Index k) { return Chain{alternating(k, additive)}; };
  const auto realnvp = [](Index k) { return Chain{ActNormOptions{}, alternating(k, affine)}; };
  const auto splines = [](Index k) { return Chain{alternating(k, spline)}; };
  const Chain residual{ActNormOptions{}, ResidualOptions{.hidden = hidden, .lipschitz = 0.97}};
  const Chain glow{ActNormOptions{}, LinearOptions{.form = "plu"}, CouplingOptions{"first", affine, hidden}};
  return {{"residual", pairs, repeat(8, of(residual), norm)},
          {"nice", pairs, repeat(4, nice, {ScalingOptions{}})},
          {"realnvp", pairs, repeat(4, realnvp, norm)},
          {"glow", pairs, repeat(4, of(glow), norm)},
          {"spline", pairs,
           repeat(
               4,
               [&](Index k) {
                 return Chain{ActNormOptions{}, alternating(k, spline)};
               },
               norm)},
          {"maf", pairs, repeat(4, of({ActNormOptions{}, maf, reverse}), norm)},
          {"iaf", pairs, repeat(4, of({ActNormOptions{}, iaf, reverse}), norm)},
          {"continuous", pairs, {ContinuousOptions{.hidden = {32, 32}}}},
          {"planar", pairs, repeat(32, of({PlanarOptions{}}), norm)},
          {"radial", pairs, repeat(32, of({RadialOptions{}}), norm)},
          {"realnvp, mixture", pairs, repeat(2, realnvp, norm), MixtureOptions{.components = 5}},
          {"images", pixels, multi_scale()},
          {"angles", torus, repeat(4, splines, {})},
          {"residual, angles", torus, repeat(6, of({ResidualOptions{.hidden = hidden, .lipschitz = 0.97}}), {})},
          {"maf given u", given, repeat(4, of({ActNormOptions{}, maf, reverse}), norm)}};
}

// Fits a flow to arrays that all ranks have, and returns its NLL over all rows, nats, on all ranks.
double train(const Example& example, const pf::comm::Communicator& comm) {
  const Domain& domain = example.data.domain;
  const Batch<double> all{.x = example.data.x(), .context = example.data.u()};
  const pf::train::ArrayRows arrays({all}, {.name = example.name, .periodic = domain.periodic});
  pf::train::Options options;
  options.data.standardize = "none";
  options.train = {.steps = steps, .batch = batch, .learning_rate = 5e-3, .warmup = 20, .average = 0};
  pf::train::TrainingData<double> data(comm, arrays, options.data);
  const auto fitted =
      pf::train::fit<double>(comm, options, data, {.architecture = Architecture{domain, example.chain, example.base}});
  pf::require<pf::NumericalError>(fitted.outcome.end == pf::train::End::steps, "{}: {}", example.name,
                                  fitted.outcome.reason);
  FlowWorkspace<double> workspace(fitted.flow, 256, Pass::evaluate);  // larger batches are worked in chunks
  const double nll = evaluate(comm, fitted.flow, data.batch(pf::data::Split::train), workspace).mean;
  data.release();
  return nll;
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm ours;  // so that the library's messages never meet the caller's
  MPI_Comm_dup(MPI_COMM_WORLD, &ours);
  const pf::comm::Communicator comm(ours);

  try {
    const Data pairs = banana(false), pixels = images(), torus = angles(), given = banana(true);
    if (comm.is_root()) std::printf("%-16s  %11s  %11s  %11s\n", "NLL, nats", "flow", "entropy", "without");
    for (const auto& example : examples(pairs, pixels, torus, given)) {
      const double nll = train(example, comm);
      if (!comm.is_root()) continue;
      std::printf("%-16s  %11.8f  %11.8f  %11.8f\n", example.name, nll, example.data.entropy, example.data.plain);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "families: %s\n", error.what());
    comm.abort(1);  // whether or not the other ranks have failed too
  }
  MPI_Comm_free(&ours);
  MPI_Finalize();
  return 0;
}
