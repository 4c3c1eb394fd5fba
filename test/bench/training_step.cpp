
#include "training_step.hpp"

#include <algorithm>
#include <cmath>

namespace pushforward::bench {

template <class T>
TrainingStep<T>::TrainingStep(const comm::Communicator& comm, train::Objective<T>& objective, ConstMatrixView<T> data,
                              const train::Options& options)
    : comm_(comm),
      options_(options),
      objective_(objective),
      data_(data),
      share_(comm::share(options.train.batch, comm.rank(), comm.size())),
      sum_(comm, std::ssize(objective.parameters()), options.train.reproducible),
      optimizer_(std::ssize(objective.parameters()), options_.optimizer_options()),
      order_(static_cast<std::uint64_t>(options.train.seed), data.cols(), options.train.batch),
      average_(objective.parameters().begin(), objective.parameters().end()),
      x_(data.rows(), share_.count()),
      rows_(static_cast<std::size_t>(share_.count())) {
  require<BugError>(!options.train.reproducible, "a benchmark's step is one part a rank");
  objective.plan(comm::share(options.train.batch, 0, comm.size()).count());
}

template <class T>
std::span<const Index> TrainingStep<T>::next_rows() {
  order_.rows(step_, share_.first, rows_);
  return rows_;
}

template <class T>
double TrainingStep<T>::take(Index draw_step) {
  objective_.begin_step(comm_, step_);
  objective_.prepare();

  const auto mine = sum_.gradient(0);
  next_rows();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    std::copy_n(data_.column(rows_[i]), data_.rows(), x_.view().column(static_cast<Index>(i)));
  }
  std::fill(mine.begin(), mine.end(), T(0));
  const auto share = objective_.add({step_, share_.first, options_.train.batch},
                                    {.x = x_,
                                     .draws = {.seed = static_cast<std::uint64_t>(options_.train.seed),
                                               .step = static_cast<std::uint64_t>(draw_step),
                                               .samples = rows_}},
                                    mine);
  sum_.totals(0) = {.loss = share.loss, .weight = share.weight, .failed = share.failure.empty() ? 0.0 : 1.0};

  const auto sum = sum_.reduce();
  if (sum.totals.failed > 0) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: a loss is not finite", step_), true);
  }
  const auto gradient = sum.gradient;
  objective_.gradient_of_raw_parameters(gradient);
  const double scale = 1 / sum.totals.weight;
  for (T& g : gradient) g *= static_cast<T>(scale);
  const double loss = sum.totals.loss * scale;
  const double norm = optim::clip_norm(gradient, options_.train.clip);
  if (!std::isfinite(norm)) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: the gradient is not finite", step_), true);
  }
  optimizer_.step(optim::learning_rate(options_.schedule_options(), step_), gradient, objective_.parameters());
  const double decay =
      std::min(options_.train.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_)));
  optim::update_average<T>(decay, objective_.parameters(), average_);
  ++step_;
  return loss;
}

template class TrainingStep<float>;
template class TrainingStep<double>;

}  // namespace pushforward::bench
