// Flows of every kind put together from their transforms and trained on a caller's own array and MPI communicator, by a
// training loop of its own. Prints what they reach, beside a Gaussian and the best possible; with the same numbers by
//
//   build/examples/families
//   mpirun -n 2 build/examples/families

#include <pushforward/comm/communicator.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/optim/optimizer.hpp>

#include <cmath>
#include <cstdio>
#include <numbers>
#include <random>

namespace {

namespace pf = pushforward;
using namespace pf::flow;
using pf::Index;

constexpr Index d = 2, rows = 20'000, batch = 256, steps = 400;

// A flow is the chain of its transforms, from data to latents, and a base density: N(0, I).
using Chain = std::vector<LayerOptions>;

// `count` times the transforms that `block` gives for 0, 1, …, between an ActNorm at either end.
template <class Block>
Chain repeat(Index count, Block&& block) {
  Chain chain{ActNormOptions{}};
  for (Index k = 0; k < count; ++k) {
    for (auto& layer : block(k)) chain.push_back(layer);
  }
  chain.push_back(ActNormOptions{});
  return chain;
}

std::vector<std::pair<const char*, Chain>> families() {
  const std::vector<Index> hidden{32, 32};
  const ScalarMapOptions additive{.kind = "additive"}, affine{}, spline{.kind = "spline", .bins = 8, .bound = 5};
  // Couplings take turns with the values that they leave as they are, and autoregressive maps with the order.
  const auto coupling = [&](Index k, const auto& map) { return CouplingOptions{k % 2 ? "odd" : "even", map, hidden}; };
  const PermutationOptions reverse{.order = "reverse"};
  const ResidualOptions residual{.hidden = hidden, .lipschitz = 0.97};
  const Chain glow{ActNormOptions{}, LinearOptions{.form = "plu"}, CouplingOptions{"first", affine, hidden}};
  const Chain maf{AutoregressiveOptions{affine, hidden}, reverse};
  const Chain iaf{AutoregressiveOptions{.map = affine, .hidden = hidden, .inverse = true}, reverse};
  return {{"residual", repeat(8, [&](Index) { return Chain{residual}; })},
          {"nice", repeat(4, [&](Index k) { return Chain{coupling(k, additive)}; })},
          {"realnvp", repeat(4, [&](Index k) { return Chain{coupling(k, affine)}; })},
          {"glow", repeat(4, [&](Index) { return glow; })},
          {"spline", repeat(4, [&](Index k) { return Chain{coupling(k, spline)}; })},
          {"maf", repeat(4, [&](Index) { return maf; })},
          {"iaf", repeat(4, [&](Index) { return iaf; })},
          {"planar", repeat(32, [](Index) { return Chain{PlanarOptions{}}; })},
          {"radial", repeat(32, [](Index) { return Chain{RadialOptions{}}; })}};
}

// Trains a flow on x (d × n), which all ranks have, and gives its NLL over all of it, nats, on all ranks.
double train(const Chain& chain, pf::ConstMatrixView<double> x, const pf::comm::Communicator& comm) {
  const Domain vectors{pf::Shape::vector(x.rows())};
  Flow<double> flow({vectors, chain}, 1);
  flow.initialise_from_data(x.columns(0, 1000));  // ActNorms; the same rows on all ranks

  // Memory is planned once, for the rows of a batch that this rank works.
  const auto mine = pf::comm::share(batch, comm.rank(), comm.size());
  FlowWorkspace<double> workspace(flow, std::max<Index>(1, mine.count()), Purpose::gradient);
  std::vector<double> log_prob(static_cast<std::size_t>(mine.count()));
  std::vector<Status> status(log_prob.size());
  std::vector<double> sum(flow.parameters().size() + 1);  // [gradient | Σ log p], added up over ranks in one go
  const auto gradient = std::span(sum).first(flow.parameters().size());
  pf::optim::Optimizer<double> adam(flow.layout().size(), {});
  const pf::optim::ScheduleOptions schedule{.rate = 5e-3, .steps = steps, .warmup = 20};

  for (Index step = 0; step < steps; ++step) {
    flow.prepare(Normalization::power_iteration);  // after each change of the parameters
    std::fill(sum.begin(), sum.end(), 0.0);
    const auto samples = x.columns(step * batch % (rows - batch) + mine.first, mine.count());
    sum.back() = flow.add_gradient(samples, {}, gradient, log_prob, status, workspace);
    comm.sum(std::span(sum));
    // What is not finite on one rank is not finite in the sum: all ranks throw, and none waits for another.
    pf::require<pf::NumericalError>(std::isfinite(sum.back()), "step {} is not finite", step + 1);
    flow.finish_gradient(gradient);
    for (double& g : gradient) g /= -static_cast<double>(batch);  // of the mean NLL
    adam.step(pf::optim::learning_rate(schedule, step), gradient, flow.parameters());
  }

  flow.prepare(Normalization::svd);
  const auto part = pf::comm::share(x.cols(), comm.rank(), comm.size());
  std::vector<double> all(static_cast<std::size_t>(part.count()));
  std::vector<Status> all_status(all.size());
  FlowWorkspace<double> evaluation(flow, 256, Purpose::evaluate);  // larger batches are worked in chunks
  flow.log_prob(x.columns(part.first, part.count()), all, {}, all_status, evaluation);
  double total = 0;
  for (const double value : all) total += value;
  return -comm.sum(total) / static_cast<double>(x.cols());
}

}  // namespace

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Comm ours;  // so that the library's messages never meet the caller's
  MPI_Comm_dup(MPI_COMM_WORLD, &ours);
  const pf::comm::Communicator comm(ours);

  // The caller's array: a banana, x₂ = x₁²/2 + noise, one sample after the other.
  constexpr double width = 1.5, noise = 0.3;
  std::mt19937_64 generator(1);
  std::normal_distribution<double> normal;
  std::vector<double> samples(d * rows);
  for (std::size_t i = 0; i < samples.size(); i += d) {
    samples[i] = width * normal(generator);
    samples[i + 1] = samples[i] * samples[i] / 2 + noise * normal(generator);
  }

  try {
    const double gaussian = std::log(2 * std::numbers::pi * std::numbers::e);  // of unit deviations, per two values
    const double spread = std::sqrt(width * width * width * width / 2 + noise * noise);  // of x₂
    if (comm.is_root()) {
      std::printf("%-9s %.8f\n%-9s %.8f\n", "gaussian", gaussian + std::log(width * spread), "entropy",
                  gaussian + std::log(width * noise));
    }
    for (const auto& [name, chain] : families()) {
      const double nll = train(chain, {samples.data(), d, rows}, comm);
      if (comm.is_root()) std::printf("%-9s %.8f\n", name, nll);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "families: %s\n", error.what());
    comm.abort(1);  // whether or not the other ranks have failed too
  }
  MPI_Comm_free(&ours);
  MPI_Finalize();
  return 0;
}
