#include "evaluation.hpp"

#include <pushforward/core/timer.hpp>

#include <algorithm>

namespace pushforward::bench {

namespace {

constexpr Index counted_latents = 512;  // on which the work of an inverse is counted

// The products of an inverse by this method for a block and n samples, from the operations that the library counts.
template <class T>
Products inverse_products(const FlowCase& c, flow::InverseAlgorithm method, Index n) {
  Evaluation<T> inverse(c);
  inverse.set_inverse(method);
  const Index rows = std::min(c.rows, counted_latents);
  const auto z = normal_columns<T>(c.shape.dimension, rows);
  auto workspace = inverse.workspace(rows);
  Evaluated<T> out(c.shape.dimension, rows);
  profile().clear();
  inverse.evaluate(z, out, workspace);

  const auto network = c.shape.network();
  const auto h = exact_through(inverse.method().template as<logdet::ExactOptions>(), network);
  const auto jacobian = h ? logdet::exact_flops_through_hidden(network, *h, nn::Pass::evaluate)
                          : logdet::exact_flops_through_input(network, nn::Pass::evaluate);
  const auto samples = static_cast<double>(rows * c.shape.blocks);
  Products products;
  products.add(value_products(network, n),
               profile()[Phase::forward].flops / (samples * logdet::product_flops(network)));
  products.add(log_det_products(inverse.method(), network, n, 0),
               profile()[Phase::tangents].flops / (samples * jacobian.gemm));
  return products;
}

// For a block and n samples: the ways to the same result of which the fastest is the bound. evaluations: of a sample.
template <class T>
std::vector<Products> ways(const FlowCase& c, Index n, double evaluations) {
  if (c.shape.is_continuous()) {
    Products products;
    products.add(evaluation_products(c.shape.network(), n), evaluations);
    return {products};
  }
  if (c.work == Work::sample) {
    return {inverse_products<T>(c, flow::InverseAlgorithm::newton, n),
            inverse_products<T>(c, flow::InverseAlgorithm::anderson, n)};
  }
  Products products = value_products(c.shape.network(), n);
  products.add(log_det_products(logdet::parse_method(c.method), c.shape.network(), n, 0));
  return {products};
}

}  // namespace

template <class T>
Result run_evaluation(const FlowCase& c, const Session& session) {
  const Evaluation<T> evaluation(c);
  const auto share = comm::share(c.rows, session.comm.rank(), session.comm.size());
  const Matrix<T> in = normal_columns<T>(c.shape.dimension, share.count(), share.first);
  auto workspace = evaluation.workspace(share.count());
  Evaluated<T> out(c.shape.dimension, share.count());
  Checks checks;
  comm::agree(session.comm, [&] {
    evaluation.evaluate(in, out, workspace);
    evaluation.check(checks, in.view(), out);
  });

  const Index n = std::clamp<Index>(share.count(), 1, workspace.capacity());
  const double chunks = static_cast<double>(c.shape.blocks * share.count()) / static_cast<double>(n);
  std::vector<BoundMeasurement<T>> bounds;
  for (const auto& products : ways<T>(c, n, out.mean_evaluations())) bounds.emplace_back(session, products, chunks);
  for (auto& bound : bounds) bound.measure();
  reset_peak_memory();
  Result result{.precision = c.precision, .rows = c.rows, .check = checks.nearest()};
  result.timing = time_repeats(session, [&] { evaluation.evaluate(in, out, workspace); });
  result.peak_memory = session.comm.sum(peak_memory());
  result.workspace = session.comm.sum(static_cast<double>(workspace.bytes()));
  for (auto& bound : bounds) {
    bound.measure();
    Result other;
    bound.report(other);
    if (result.bound == 0 || other.bound < result.bound) {
      result.bound = other.bound;
      result.flops = other.flops;
    }
  }
  return result;
}

template Result run_evaluation<float>(const FlowCase&, const Session&);
template Result run_evaluation<double>(const FlowCase&, const Session&);

}  // namespace pushforward::bench
