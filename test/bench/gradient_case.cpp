
#include "likelihood.hpp"
#include "training_step.hpp"

#include <pushforward/train/likelihood.hpp>

#include <algorithm>

namespace pushforward::bench {

namespace {

constexpr Index error_draws = 10, tiny_error_draws = 2;
template <class T>
constexpr double step_tolerance = 200 * std::numeric_limits<T>::epsilon();

// Products of this rank's share of the rows, worked in chunks of `capacity` samples.
struct ShareOfProducts {
  Products chunk;
  double chunks;
};
ShareOfProducts share_of_products(const FlowCase& c, const logdet::Method& method, double terms, Index mine,
                                  Index capacity) {
  const Index n = std::max<Index>(1, std::min(mine, capacity));
  const double chunks = static_cast<double>(mine) / static_cast<double>(n);
  if (c.shape.is_continuous()) return {grid_products(c.shape, n, nn::Pass::gradient), chunks};
  Products all;
  for (Index b = 0; b < c.shape.blocks; ++b) {
    const auto network = c.shape.network(b);
    all.add(c.shape.is_residual() ? gradient_products(method, network, n, terms) : gradient_products(network, n));
  }
  return {all, chunks};
}

// The samples that a step works at a time.
template <class T>
Index chunk_of(const GradientInputs<T>& inputs, Index mine) {
  return flow::FlowWorkspace<T>::within(inputs.flow, inputs.options.workspace_bytes(), std::max<Index>(1, mine),
                                        nn::Pass::gradient)
      .capacity();
}

template <class T>
Result timed_steps(const FlowCase& c, const Session& session, GradientInputs<T>& inputs, double expected_nll) {
  train::Likelihood<T> objective(inputs.flow, {.bytes = inputs.options.workspace_bytes()});
  TrainingStep<T> step(session.comm, objective, inputs.data, inputs.options);
  const double nll = step.take(inputs.draw_step);
  comm::agree(session.comm, [&] {
    Checks checks;
    if (session.comm.is_root()) checks.close("the first step's NLL", nll, expected_nll, step_tolerance<T>);
  });
  const Index mine = comm::share(c.rows, session.comm.rank(), session.comm.size()).count();
  const auto products = share_of_products(c, inputs.method, inputs.terms, mine, chunk_of(inputs, mine));
  BoundMeasurement<T> bound(session, products.chunk, products.chunks);
  bound.measure();
  reset_peak_memory();
  Result result{.timing = time_repeats(session, [&] { step.take(inputs.draw_step); })};
  result.peak_memory = session.comm.sum(peak_memory());
  result.workspace = session.comm.sum(static_cast<double>(objective.workspace_bytes()));
  bound.measure();
  bound.report(result);
  return result;
}

template <class T>
Result timed_gradients(const FlowCase& c, const Session& session, GradientInputs<T>& inputs) {
  const auto share = comm::share(c.rows, session.comm.rank(), session.comm.size());
  const auto n = static_cast<std::size_t>(share.count());
  const auto x = std::as_const(inputs.x).view().columns(share.first, share.count());
  auto workspace = flow::FlowWorkspace<T>::within(inputs.flow, static_cast<Index>(inputs.options.train.workspace * 1e6),
                                                  std::max<Index>(1, share.count()), nn::Pass::gradient);
  const flow::Batch<T> batch{.x = x, .draws = inputs.draws().from(share.first)};
  std::vector<T> gradient(inputs.flow.parameters().size());
  std::vector<double> log_prob(n);
  std::vector<flow::Status> status(n);
  const auto products = share_of_products(c, inputs.method, inputs.terms, share.count(), workspace.capacity());
  BoundMeasurement<T> bound(session, products.chunk, products.chunks);
  bound.measure();
  reset_peak_memory();
  Result result{.timing = time_repeats(session, [&] {
                  std::fill(gradient.begin(), gradient.end(), T(0));
                  inputs.flow.add_gradient(batch, gradient, log_prob, status, workspace);
                })};
  result.peak_memory = session.comm.sum(peak_memory());
  result.workspace = session.comm.sum(static_cast<double>(workspace.bytes()));
  bound.measure();
  bound.report(result);
  return result;
}

}  // namespace

template <class T>
Result run_gradient(const FlowCase& c, const Session& session) {
  GradientInputs<T> inputs(c);
  Checks checks;
  double nll = 0;
  std::optional<double> error;
  // The whole batch on one rank; the others wait.
  comm::agree(session.comm, [&] {
    if (!session.comm.is_root()) return;
    const auto whole = likelihood(inputs);
    check_likelihood(inputs, c, whole, checks);
    for (const double log_prob : whole.log_prob) nll -= log_prob / static_cast<double>(c.rows);
    if (inputs.method.stochastic()) {
      error = gradient_error(inputs, c, session.tiny ? tiny_error_draws : error_draws);
    }
  });
  auto result = c.work == Work::train ? timed_steps(c, session, inputs, nll) : timed_gradients(c, session, inputs);
  result.precision = c.precision;
  result.rows = c.rows;
  result.check = checks.nearest();
  result.gradient_error = error;
  return result;
}

template Result run_gradient<float>(const FlowCase&, const Session&);
template Result run_gradient<double>(const FlowCase&, const Session&);

}  // namespace pushforward::bench
