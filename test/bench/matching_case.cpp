#include "matching.hpp"
#include "training_step.hpp"

#include <algorithm>

namespace pushforward::bench {

namespace {

template <class T>
constexpr double step_tolerance = 200 * std::numeric_limits<T>::epsilon();

}  // namespace

template <class T>
Result run_matching(const FlowCase& c, const Session& session) {
  MatchingInputs<T> inputs(session.comm, c);
  Checks checks;
  double expected = 0;
  // The whole batch on one rank; the others wait.
  comm::agree(session.comm, [&] {
    if (!session.comm.is_root()) return;
    const auto whole = matching_loss(inputs);
    check_matching(inputs, whole, checks);
    for (const double loss : whole.loss) expected += loss / static_cast<double>(c.rows);
  });
  TrainingStep<T> step(session.comm, inputs.objective(), inputs.rows(), inputs.options());
  const double loss = step.take(0);
  comm::agree(session.comm, [&] {
    if (session.comm.is_root()) checks.close("the first step's loss", loss, expected, step_tolerance<T>);
  });

  const Index mine = std::max<Index>(1, comm::share(c.rows, session.comm.rank(), session.comm.size()).count());
  BoundMeasurement<T> bound(session, matching_products(c.shape.network(), mine), 1);
  bound.measure();
  reset_peak_memory();
  Result result{.precision = c.precision, .rows = c.rows, .check = checks.nearest()};
  result.timing = time_repeats(session, [&] { step.take(0); });
  result.peak_memory = session.comm.sum(peak_memory());
  result.workspace = session.comm.sum(static_cast<double>(inputs.objective().workspace_bytes()));
  bound.measure();
  bound.report(result);
  inputs.release();
  return result;
}

template Result run_matching<float>(const FlowCase&, const Session&);
template Result run_matching<double>(const FlowCase&, const Session&);

}  // namespace pushforward::bench
