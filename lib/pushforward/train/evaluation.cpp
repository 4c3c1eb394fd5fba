#include <pushforward/train/evaluation.hpp>

#include <cmath>
#include <limits>

namespace pushforward::train {

namespace {

constexpr Index block_rows = 256;

enum Sum : std::size_t { w, wl, w2, w2l, w2l2, rows, failed, outside };

}  // namespace

void NllSums::add(double log_prob, flow::Status status, double weight) {
  ++values[rows];
  if (status != flow::Status::ok) {
    ++values[failed];
    if (status == flow::Status::outside_support) ++values[outside];
    return;
  }
  values[w] += weight;
  values[wl] += weight * log_prob;
  values[w2] += weight * weight;
  values[w2l] += weight * weight * log_prob;
  values[w2l2] += weight * weight * log_prob * log_prob;
}

Evaluation NllSums::result() const {
  const double mean = values[wl] / values[w];
  const double spread = values[w2l2] - 2 * mean * values[w2l] + mean * mean * values[w2];
  const bool none_inside = values[outside] > 0 && values[outside] == values[rows];
  return {.nll = none_inside ? std::numeric_limits<double>::infinity() : -mean,
          .standard_error = std::sqrt(std::max(0.0, spread)) / values[w],
          .rows = static_cast<Index>(values[rows]),
          .failed = static_cast<Index>(values[failed]),
          .outside = static_cast<Index>(values[outside])};
}

bool better(const Evaluation& a, const Evaluation& b) {
  return a.failed != b.failed ? a.failed < b.failed : a.nll < b.nll;
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
Evaluation evaluate(const comm::Communicator& comm, const flow::Flow<T>& flow, ConstMatrixView<T> samples,
                    std::span<const T> weights, ConstMatrixView<T> context, flow::FlowWorkspace<T>& workspace) {
  const Index blocks = (samples.cols() + block_rows - 1) / block_rows;
  const auto mine = comm::share(blocks, comm.rank(), comm.size());
  constexpr std::size_t width = NllSums().values.size();
  std::vector<double> table(static_cast<std::size_t>(blocks) * width), log_prob(block_rows);
  std::vector<flow::Status> status(block_rows);
  for (Index b = mine.first; b < mine.last; ++b) {
    const Index first = b * block_rows, count = std::min(block_rows, samples.cols() - first);
    const auto n = static_cast<std::size_t>(count);
    workspace.set_draws({.first = first});
    flow.log_prob(samples.columns(first, count), std::span(log_prob).first(n), {}, std::span(status).first(n),
                  workspace, context.empty() ? context : context.columns(first, count));
    NllSums sums;
    for (std::size_t i = 0; i < n; ++i) {
      const auto row = static_cast<std::size_t>(first) + i;
      sums.add(log_prob[i], status[i], weights.empty() ? 1.0 : static_cast<double>(weights[row]));
    }
    std::copy(sums.values.begin(), sums.values.end(), table.begin() + b * static_cast<Index>(width));
  }
  // Every block is some rank's, zero on the others: its sum over ranks is exact.
  comm.sum(std::span(table));
  NllSums total;
  for (std::size_t i = 0; i < table.size(); ++i) total.values[i % width] += table[i];
  return total.result();
}

template Evaluation evaluate(const comm::Communicator&, const flow::Flow<float>&, ConstMatrixView<float>,
                             std::span<const float>, ConstMatrixView<float>, flow::FlowWorkspace<float>&);
template Evaluation evaluate(const comm::Communicator&, const flow::Flow<double>&, ConstMatrixView<double>,
                             std::span<const double>, ConstMatrixView<double>, flow::FlowWorkspace<double>&);

}  // namespace pushforward::train
