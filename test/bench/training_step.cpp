
#include "training_step.hpp"

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

namespace {

constexpr double megabyte = 1e6;

}  // namespace

template <class T>
TrainingStep<T>::TrainingStep(const comm::Communicator& comm, flow::Flow<T>& flow, ConstMatrixView<T> data,
                              const train::Options& options)
    : comm_(comm),
      options_(options),
      flow_(flow),
      data_(data),
      share_(comm::share(options.train.batch, comm.rank(), comm.size())),
      sum_(comm, flow.layout().size(), options.train.reproducible),
      workspace_(flow::FlowWorkspace<T>::within(flow, static_cast<Index>(options.train.workspace * megabyte),
                                                comm::share(options.train.batch, 0, comm.size()).count(),
                                                nn::Pass::gradient)),
      optimizer_(flow.layout().size(), options_.optimizer_options()),
      order_(static_cast<std::uint64_t>(options.train.seed), data.cols(), options.train.batch),
      average_(flow.parameters().begin(), flow.parameters().end()),
      x_(data.rows(), share_.count()),
      rows_(static_cast<std::size_t>(share_.count())),
      log_prob_(rows_.size()),
      status_(rows_.size()) {
  require<BugError>(!options.train.reproducible, "a benchmark's step is one part a rank");
}

template <class T>
std::span<const Index> TrainingStep<T>::next_rows() {
  order_.rows(step_, share_.first, rows_);
  return rows_;
}

template <class T>
double TrainingStep<T>::take(Index draw_step) {
  flow_.prepare(nn::Normalization::power_iteration);

  const auto mine = sum_.gradient(0);
  next_rows();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::copy_n(data_.column(rows_[i]), data_.rows(), x_.view().column(static_cast<Index>(i)));
  }
  std::fill(mine.begin(), mine.end(), T(0));
  const double likelihood = flow_.add_gradient({.x = x_,
                                                .draws = {.seed = static_cast<std::uint64_t>(options_.train.seed),
                                                          .step = static_cast<std::uint64_t>(draw_step),
                                                          .samples = rows_}},
                                               mine, log_prob_, status_, workspace_);
  sum_.totals(0) = {
      .loss = -likelihood, .weight = static_cast<double>(rows_.size()), .failed = workspace_.failure() ? 1.0 : 0.0};

  const auto sum = sum_.reduce();
  if (sum.totals.failed > 0) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: a likelihood is not finite", step_), true);
  }
  const auto gradient = sum.gradient;
  flow_.gradient_of_raw_parameters(gradient);
  const double scale = 1 / sum.totals.weight;
  for (T& g : gradient) g *= static_cast<T>(-scale);
  const double nll = sum.totals.loss * scale;
  const double norm = optim::clip_norm(gradient, options_.train.clip);
  if (!std::isfinite(norm)) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: the gradient is not finite", step_), true);
  }
  optimizer_.step(optim::learning_rate(options_.schedule_options(), step_), gradient, flow_.parameters());
  const double decay =
      std::min(options_.train.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_)));
  optim::update_average<T>(decay, flow_.parameters(), average_);
  ++step_;
  return nll;
}

template class TrainingStep<float>;
template class TrainingStep<double>;

}  // namespace pushforward::bench
