#include <pushforward/core/timer.hpp>
#include <pushforward/train/trainer.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

template <class T>
Trainer<T>::Trainer(const comm::Communicator& comm, const Options& options, Objective<T>& objective,
                    BatchSource<T>& source)
    : comm_(comm),
      options_(options),
      objective_(objective),
      source_(source),
      sum_(comm, std::ssize(objective.parameters()), options.train.reproducible),
      optimizer_(std::ssize(objective.parameters()), options.optimizer_options()),
      average_(objective.parameters().begin(), objective.parameters().end()),
      best_(average_) {
  objective.plan(largest_part(comm, options));
  if (source.validation().size() > 0) objective.plan_evaluation();
}

template <class T>
Index Trainer<T>::largest_part(const comm::Communicator& comm, const Options& options) {
  const int parts = GradientSum<T>::parts(comm.size(), options.train.reproducible);
  return comm::share(options.train.batch, 0, parts).count();
}

template <class T>
StepSum<T> Trainer<T>::add_up(bool error, bool stop) {
  failure_.clear();
  const auto parts = sum_.local_parts();
  for (Index p = parts.first; p < parts.last; ++p) {
    const auto batch = source_.next(step_, comm::share(options_.train.batch, static_cast<int>(p), sum_.parts()));
    const auto gradient = sum_.gradient(p - parts.first);
    std::ranges::fill(gradient, T(0));
    auto sum = objective_.add(batch, gradient);
    if (sum.failure.empty() && !std::isfinite(sum.loss)) sum.failure = fmt::format("the loss is {}", sum.loss);
    const bool failed = !sum.failure.empty();
    if (failed) failure_ = std::move(sum.failure);
    sum_.totals(p - parts.first) = {.loss = sum.loss,
                                    .weight = sum.weight,
                                    .failed = failed ? 1.0 : 0.0,
                                    .stop = stop ? 1.0 : 0.0,
                                    .error = error ? 1.0 : 0.0};
  }
  return sum_.reduce();
}

template <class T>
typename Trainer<T>::Step Trainer<T>::take_step(const std::exception_ptr& error, bool stop) {
  objective_.prepare();
  auto sum = add_up(error != nullptr, stop);
  if (sum.totals.failed > 0 && objective_.prepare_again()) {
    sum = add_up(error != nullptr, stop);
    ++repeated_;
  }
  if (sum.totals.error > 0) {
    comm::agree(comm_, [&] {
      if (error) std::rethrow_exception(error);
    });
  }
  if (sum.totals.failed > 0) {
    comm::agree(comm_, [&] { require<NumericalError>(failure_.empty(), "step {}: {}", step_ + 1, failure_); });
  }

  const PhaseScope scope(Phase::optimizer);
  objective_.gradient_of_raw_parameters(sum.gradient);
  // A batch whose weights are all 0 has no gradient.
  const double scale = sum.totals.weight > 0 ? 1 / sum.totals.weight : 0;
  for (T& g : sum.gradient) g *= static_cast<T>(scale);
  Step step;
  step.train_loss = sum.totals.loss * scale;
  step.gradient_norm = optim::clip_norm(sum.gradient, options_.train.clip);
  step.stop = sum.totals.stop > 0;
  // The sum is the same on all ranks, so all of them throw.
  if (!std::isfinite(step.gradient_norm)) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: the gradient is not finite{}", step_ + 1, smaller_steps),
                true);
  }
  optimizer_.step(optim::learning_rate(options_.schedule_options(), step_), sum.gradient, objective_.parameters());
  const double decay =
      std::min(options_.train.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_)));
  optim::update_average<T>(decay, objective_.parameters(), average_);
  ++step_;
  return step;
}

template <class T>
flow::Evaluation Trainer<T>::validate(const flow::Batch<T>& rows, Outcome& outcome) {
  objective_.prepare_with(average_);
  const auto validation = objective_.evaluate(comm_, rows);
  validated_ = true;
  const bool best = std::isfinite(validation.mean) &&
                    (!outcome.best_validation || objective_.better(validation, *outcome.best_validation));
  if (best) {
    outcome.best_validation = validation;
    outcome.best_step = step_;
    best_ = average_;
  }
  without_improvement_ = best ? 0 : without_improvement_ + 1;
  return validation;
}

template <class T>
Outcome Trainer<T>::run(History& history, const Observer& observer, const StopRequest& stop_requested) {
  const Timer timer;
  const auto& train = options_.train;
  const auto validation = source_.validation();
  std::exception_ptr error;  // from writing the history; all ranks learn of it with the next step
  Outcome outcome;
  double loss_sum = 0;
  Index loss_count = 0;
  while (step_ < train.steps) {
    Step step;
    try {
      step = take_step(error, stop_requested && stop_requested());
    } catch (const NumericalError& e) {
      outcome.end = End::diverged;
      outcome.reason = e.what();
      break;
    }
    loss_sum += step.train_loss;
    ++loss_count;
    const bool last = step_ == train.steps;
    HistoryRow row;
    if (validation.size() > 0 && (step_ % options_.validation_interval() == 0 || last)) {
      row.validation = validate(validation, outcome);
    }
    if (row.validation || last || step_ % options_.output.every == 0) {
      row.step = step_;
      row.seconds = timer.seconds();
      row.train_loss = objective_.reported(loss_sum / static_cast<double>(loss_count));
      row.learning_rate = optim::learning_rate(options_.schedule_options(), step_ - 1);
      row.gradient_norm = step.gradient_norm;
      loss_sum = 0;
      loss_count = 0;
      try {
        if (comm_.is_root()) history.add(row);
      } catch (...) {
        error = std::current_exception();
      }
      if (observer) observer(row);
    }
    if (step.stop) {
      outcome.end = End::stop;
      break;
    }
    if (train.patience > 0 && without_improvement_ >= train.patience) {
      outcome.end = End::patience;
      break;
    }
  }
  comm::agree(comm_, [&] {
    if (error) std::rethrow_exception(error);
  });
  outcome.steps = step_;
  outcome.repeated = repeated_;
  if (outcome.end != End::diverged && validated_ && !outcome.best_validation) {
    outcome.end = End::diverged;
    outcome.reason = fmt::format("no validation gave a finite {}", objective_.loss_name().name);
  }
  if (!outcome.best_validation && outcome.end != End::diverged) {
    best_ = average_;
    outcome.best_step = step_;
  }
  std::ranges::copy(best_, objective_.parameters().begin());
  objective_.bake();
  return outcome;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace pushforward::train
