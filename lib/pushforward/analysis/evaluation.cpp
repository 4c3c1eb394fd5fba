#include <pushforward/analysis/evaluation.hpp>

#include <cmath>
#include <limits>

namespace pushforward::flow {

namespace {

enum Sum : std::size_t { w, mean, w2, w2l, w2l2, counted, rows, failed, outside, folded };

constexpr double none = std::numeric_limits<double>::quiet_NaN();

// Takes the sums about another mean.
void shift(std::array<double, 10>& v, double to) {
  const double step = to - v[mean];
  v[w2l2] += step * (step * v[w2] - 2 * v[w2l]);
  v[w2l] -= step * v[w2];
  v[mean] = to;
}

}  // namespace

void LossSums::add(double loss, Status status, double weight) {
  LossSums row;
  row.values[rows] = 1;
  if (status != Status::ok) {
    row.values[failed] = 1;
    if (status == Status::outside_support) row.values[outside] = 1;
    if (status == Status::negative_determinant) row.values[folded] = 1;
  } else if (weight > 0) {
    row.values[w] = weight;
    row.values[mean] = loss;
    row.values[w2] = weight * weight;
    row.values[counted] = 1;
  }
  merge(row);
}

void LossSums::merge(const LossSums& other) {
  auto theirs = other.values;
  if (theirs[w] > 0) {
    const double to = values[mean] + (theirs[mean] - values[mean]) * (theirs[w] / (values[w] + theirs[w]));
    shift(values, values[w] > 0 ? to : theirs[mean]);
    shift(theirs, values[mean]);
  } else {
    theirs[mean] = values[mean];
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != mean) values[i] += theirs[i];
  }
}

Evaluation LossSums::result() const {
  const bool none_inside = values[outside] > 0 && values[outside] == values[rows];
  const double n = values[counted];
  return {.mean = none_inside     ? std::numeric_limits<double>::infinity()
                  : values[w] > 0 ? values[mean]
                                  : none,
          .standard_error = n > 1 ? std::sqrt(n / (n - 1) * std::max(0.0, values[w2l2])) / values[w] : none,
          .rows = static_cast<Index>(values[rows]),
          .failed = static_cast<Index>(values[failed]),
          .outside = static_cast<Index>(values[outside]),
          .folded = static_cast<Index>(values[folded])};
}

LossSums merged(const comm::Communicator& comm, std::span<LossSums> table) {
  std::vector<double> numbers;
  for (const auto& sums : table) numbers.insert(numbers.end(), sums.values.begin(), sums.values.end());
  // A place is zero on all ranks but one, so its sum over the ranks is exact.
  comm.sum(std::span(numbers));
  LossSums total;
  for (std::size_t place = 0; place < table.size(); ++place) {
    LossSums part;
    std::copy_n(numbers.begin() + static_cast<std::ptrdiff_t>(place * part.values.size()), part.values.size(),
                part.values.begin());
    total.merge(part);
  }
  return total;
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
