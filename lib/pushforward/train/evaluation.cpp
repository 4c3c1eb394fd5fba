#include <pushforward/train/evaluation.hpp>

#include <cmath>
#include <limits>

namespace pushforward::train {

namespace {

constexpr Index block_rows = 256;

// Sums over a block of rows; ℓ is log p.
enum Sum : std::size_t { w, wl, w2, w2l, w2l2, failed, sums };

}  // namespace

template <class T>
Evaluation evaluate(const comm::Communicator& comm, const flow::Flow<T>& flow, ConstMatrixView<T> samples,
                    std::span<const T> weights, flow::FlowWorkspace<T>& workspace) {
  const Index blocks = (samples.cols() + block_rows - 1) / block_rows;
  const auto mine = comm::share(blocks, comm.rank(), comm.size());
  std::vector<double> table(static_cast<std::size_t>(blocks) * sums), log_prob(block_rows);
  std::vector<flow::Status> status(block_rows);
  for (Index b = mine.first; b < mine.last; ++b) {
    const Index first = b * block_rows, count = std::min(block_rows, samples.cols() - first);
    const auto n = static_cast<std::size_t>(count);
    flow.log_prob(samples.columns(first, count), std::span(log_prob).first(n), {}, std::span(status).first(n),
                  workspace);
    double* const sum = table.data() + static_cast<std::size_t>(b) * sums;
    for (std::size_t i = 0; i < n; ++i) {
      if (status[i] != flow::Status::ok) {
        ++sum[failed];
        continue;
      }
      const double weight = weights.empty() ? 1.0 : static_cast<double>(weights[static_cast<std::size_t>(first) + i]);
      const double l = log_prob[i];
      sum[w] += weight;
      sum[wl] += weight * l;
      sum[w2] += weight * weight;
      sum[w2l] += weight * weight * l;
      sum[w2l2] += weight * weight * l * l;
    }
  }
  // Every block is some rank's, zero on the others: its sum over ranks is exact.
  comm.sum(std::span(table));
  std::array<double, sums> total{};
  for (std::size_t i = 0; i < table.size(); ++i) total[i % sums] += table[i];

  Evaluation result;
  result.rows = samples.cols();
  result.failed = static_cast<Index>(total[failed]);
  const double mean = total[wl] / total[w];
  const double spread = total[w2l2] - 2 * mean * total[w2l] + mean * mean * total[w2];
  result.nll = result.failed > 0 ? std::numeric_limits<double>::quiet_NaN() : -mean;
  result.standard_error = std::sqrt(std::max(0.0, spread)) / total[w];
  return result;
}

template Evaluation evaluate(const comm::Communicator&, const flow::Flow<float>&, ConstMatrixView<float>,
                             std::span<const float>, flow::FlowWorkspace<float>&);
template Evaluation evaluate(const comm::Communicator&, const flow::Flow<double>&, ConstMatrixView<double>,
                             std::span<const double>, flow::FlowWorkspace<double>&);

}  // namespace pushforward::train
