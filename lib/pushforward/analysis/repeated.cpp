#include <pushforward/analysis/repeated.hpp>

#include <cmath>
#include <limits>

namespace pushforward::flow {

namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// Mean and variance of the values that were added so far [Welford 1962].
struct Moments {
  Index count = 0;
  double mean = 0, squares = 0;

  void add(double value) {
    ++count;
    const double before = value - mean;
    mean += before / static_cast<double>(count);
    squares += before * (value - mean);
  }
  double variance() const { return squares / static_cast<double>(count - 1); }
  double standard_error() const { return std::sqrt(variance() / static_cast<double>(count)); }
};

// The repeats of the rows of one slab. A batch takes repeats of several rows. The repeats of a row are added up in
// their order.
template <class T>
class Repeats {
 public:
  Repeats(const Model<T>& model, const Batch<double>& rows, const RepeatedLogProb& result, FlowWorkspace<T>& workspace)
      : model_(model),
        all_(rows),
        result_(result),
        workspace_(workspace),
        moments_(static_cast<std::size_t>(rows.size())),
        x_(rows.x.rows(), workspace.capacity()),
        context_(rows.context.rows(), workspace.capacity()),
        values_(static_cast<std::size_t>(workspace.capacity())),
        outcomes_(values_.size()) {}

  const Moments& moments(std::size_t row) const { return moments_[row]; }

  /// Repeat 0 of all rows.
  void take_first(MatrixView<double> z) {
    model_.log_prob(all_, result_.log_prob, z, result_.status, workspace_, result_.integration);
    for (std::size_t row = 0; row < moments_.size(); ++row) {
      result_.repeats[row] = 1;
      if (result_.status[row] == Status::ok) moments_[row].add(result_.log_prob[row]);
    }
  }

  /// Repeats [from, to) of a row, some of them not before finish().
  void take(std::size_t row, Index from, Index to) {
    for (Index repeat = from; repeat < to && result_.status[row] == Status::ok; ++repeat) {
      const auto at = static_cast<Index>(row), next = std::ssize(rows_);
      std::copy_n(all_.x.column(at), x_.rows(), x_.view().column(next));
      if (!all_.context.empty()) std::copy_n(all_.context.column(at), context_.rows(), context_.view().column(next));
      rows_.push_back(row);
      numbers_.push_back(static_cast<Index>(all_.draws.sample(at)));
      steps_.push_back(repeat);
      if (std::ssize(rows_) == workspace_.capacity()) finish();
    }
  }

  void finish() {
    const auto n = rows_.size();
    const Index count = std::ssize(rows_);
    model_.log_prob({.x = x_.view().columns(0, count),
                     .context = context_.view().columns(0, count),
                     .draws = {.seed = all_.draws.seed, .steps = steps_, .samples = numbers_}},
                    std::span(values_).first(n), {}, std::span(outcomes_).first(n), workspace_);
    for (std::size_t i = 0; i < n; ++i) add(rows_[i], values_[i], outcomes_[i]);
    rows_.clear();
    numbers_.clear();
    steps_.clear();
  }

 private:
  void add(std::size_t row, double value, Status outcome) {
    if (result_.status[row] != Status::ok) return;
    ++result_.repeats[row];
    result_.status[row] = outcome;
    if (outcome == Status::ok) moments_[row].add(value);
  }

  const Model<T>& model_;
  Batch<double> all_;
  const RepeatedLogProb& result_;
  FlowWorkspace<T>& workspace_;
  std::vector<Moments> moments_;

  // The batch that is being filled.
  Matrix<double> x_;               // (d × capacity)
  Matrix<double> context_;         // (c × capacity)
  std::vector<std::size_t> rows_;  // of the slab
  std::vector<Index> numbers_, steps_;
  std::vector<double> values_;
  std::vector<Status> outcomes_;
};

}  // namespace

Index stein_repeats(double variance, const RepeatOptions& options) {
  const double wanted = std::ceil(variance / (options.standard_error * options.standard_error));
  if (!(wanted < static_cast<double>(options.max_repeats))) return options.max_repeats;
  return std::max(first_repeats, static_cast<Index>(wanted));
}

template <class T>
void repeated_log_prob(const Model<T>& model, const Batch<double>& batch, MatrixView<double> z,
                       const RepeatOptions& options, const RepeatedLogProb& result, FlowWorkspace<T>& workspace) {
  const auto n = static_cast<std::size_t>(batch.size());
  const auto& numbers = batch.draws.samples;
  require<ShapeError>((numbers.empty() || numbers.size() == n) && result.log_prob.size() == n &&
                          result.standard_error.size() == n && result.repeats.size() == n && result.status.size() == n,
                      "repeated_log_prob: {} row numbers, {} log-densities, {} standard errors, {} numbers of repeats "
                      "and {} statuses for {} rows",
                      numbers.size(), result.log_prob.size(), result.standard_error.size(), result.repeats.size(),
                      result.status.size(), n);
  require<OptionError>(options.standard_error > 0, "standard error {} must be more than 0 nats",
                       options.standard_error);
  require<OptionError>(options.max_repeats >= first_repeats, "{} repeats at most: must be at least {}",
                       options.max_repeats, first_repeats);
  const auto settle = [&](std::size_t row, double log_prob, double standard_error) {
    const bool good = result.status[row] == Status::ok;
    const bool outside = result.status[row] == Status::outside_support;
    result.log_prob[row] = good ? log_prob : outside ? -std::numeric_limits<double>::infinity() : nan;
    result.standard_error[row] = good ? standard_error : nan;
  };
  if (!model.log_det().stochastic()) {
    // A dequantization draws noise even if the log-det does not.
    model.log_prob(batch, result.log_prob, z, result.status, workspace, result.integration);
    for (std::size_t row = 0; row < n; ++row) {
      result.repeats[row] = 1;
      settle(row, result.log_prob[row], 0);
    }
    return;
  }
  Repeats<T> repeats(model, batch, result, workspace);
  repeats.take_first(z);
  for (std::size_t row = 0; row < n; ++row) repeats.take(row, 1, first_repeats);
  repeats.finish();
  for (std::size_t row = 0; row < n; ++row) {
    if (result.status[row] != Status::ok) continue;
    repeats.take(row, first_repeats, stein_repeats(repeats.moments(row).variance(), options));
  }
  repeats.finish();
  for (std::size_t row = 0; row < n; ++row) {
    settle(row, repeats.moments(row).mean, repeats.moments(row).standard_error());
  }
}

template <class T>
double log_det_bias_bound(const Model<T>& model) {
  double bound = 0;
  for (const auto& transform : model.flow().transforms()) {
    const auto* const network = lipschitz_network(*transform);
    if (network == nullptr) continue;
    const auto estimator = logdet::make_estimator<T>(model.log_det(), network->options());
    bound += estimator->bias_bound(network->in(), network->lipschitz());
  }
  return bound;
}

template <class T>
double largest_lipschitz(const Flow<T>& flow) {
  double largest = 0;
  for (const auto& transform : flow.transforms()) {
    const auto* const network = lipschitz_network(*transform);
    if (network != nullptr) largest = std::max(largest, network->lipschitz());
  }
  return largest;
}

template void repeated_log_prob(const Model<float>&, const Batch<double>&, MatrixView<double>, const RepeatOptions&,
                                const RepeatedLogProb&, FlowWorkspace<float>&);
template void repeated_log_prob(const Model<double>&, const Batch<double>&, MatrixView<double>, const RepeatOptions&,
                                const RepeatedLogProb&, FlowWorkspace<double>&);
template double log_det_bias_bound(const Model<float>&);
template double log_det_bias_bound(const Model<double>&);
template double largest_lipschitz(const Flow<float>&);
template double largest_lipschitz(const Flow<double>&);

}  // namespace pushforward::flow
