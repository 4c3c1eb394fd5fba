#include <pushforward/analysis/evaluation.hpp>

#include <cmath>
#include <limits>

namespace pushforward::flow {

namespace {

enum Sum : std::size_t { w, wl, w2, w2l, w2l2, rows, failed, outside };

}  // namespace

void LossSums::add(double loss, Status status, double weight) {
  ++values[rows];
  if (status != Status::ok) {
    ++values[failed];
    if (status == Status::outside_support) ++values[outside];
    return;
  }
  values[w] += weight;
  values[wl] += weight * loss;
  values[w2] += weight * weight;
  values[w2l] += weight * weight * loss;
  values[w2l2] += weight * weight * loss * loss;
}

Evaluation LossSums::result() const {
  const double mean = values[wl] / values[w];
  const double spread = values[w2l2] - 2 * mean * values[w2l] + mean * mean * values[w2];
  const bool none_inside = values[outside] > 0 && values[outside] == values[rows];
  return {.mean = none_inside ? std::numeric_limits<double>::infinity() : mean,
          .standard_error = std::sqrt(std::max(0.0, spread)) / values[w],
          .rows = static_cast<Index>(values[rows]),
          .failed = static_cast<Index>(values[failed]),
          .outside = static_cast<Index>(values[outside])};
}

bool better(const Evaluation& a, const Evaluation& b) {
  return a.failed != b.failed ? a.failed < b.failed : a.mean < b.mean;
}

std::string failures(const Evaluation& evaluation) {
  const Index others = evaluation.failed - evaluation.outside;
  std::string text;
  if (evaluation.outside > 0)
    text = fmt::format("{} of {} rows outside the support", evaluation.outside, evaluation.rows);
  if (others > 0) {
    text += fmt::format("{}{} of {} rows not evaluated", text.empty() ? "" : ", ", others, evaluation.rows);
  }
  return text;
}

template <class T>
Evaluation evaluate(const comm::Communicator& comm, const Flow<T>& flow, const Batch<T>& rows,
                    FlowWorkspace<T>& workspace, Index block) {
  const Index most = std::min(block, rows.size());
  std::vector<double> log_prob(static_cast<std::size_t>(most));
  std::vector<Status> status(log_prob.size());
  return evaluate_blocks(comm, rows.size(), block, [&](Index first, Index count, LossSums& sums) {
    const auto part = rows.part(first, count);
    const auto n = static_cast<std::size_t>(count);
    flow.log_prob(part, std::span(log_prob).first(n), {}, std::span(status).first(n), workspace);
    for (std::size_t i = 0; i < n; ++i) {
      sums.add(-log_prob[i], status[i], part.weight.empty() ? 1.0 : static_cast<double>(part.weight[i]));
    }
  });
}

template Evaluation evaluate(const comm::Communicator&, const Flow<float>&, const Batch<float>&, FlowWorkspace<float>&,
                             Index);
template Evaluation evaluate(const comm::Communicator&, const Flow<double>&, const Batch<double>&,
                             FlowWorkspace<double>&, Index);

}  // namespace pushforward::flow
