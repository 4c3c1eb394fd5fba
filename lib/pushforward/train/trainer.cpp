#include <pushforward/core/option_value.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/h5/replacement.hpp>
#include <pushforward/train/trainer.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

namespace {

// A step is tried again at most this often. Grids can be made finer 16 times.
constexpr Index most_attempts = 20;

}  // namespace

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
StateSet Trainer<T>::state() {
  StateSet state;
  state.add("step", step_);
  state.add("repeated", repeated_);
  state.add("skipped", skipped_);
  state.add("returned", returned_);
  state.add("without_improvement", without_improvement_);
  state.add("validated", validated_);
  state.add("loss_sum", loss_sum_);
  state.add("loss_count", loss_count_);
  state.add("seconds", seconds_);
  state.add("rate_factor", rate_factor_);
  state.add("best/found", has_best_);
  state.add("best/step", best_step_);
  state.add("best/mean", best_validation_.mean);
  state.add("best/standard_error", best_validation_.standard_error);
  state.add("best/rows", best_validation_.rows);
  state.add("best/failed", best_validation_.failed);
  state.add("best/outside", best_validation_.outside);
  state.add("best/parameters", best_);
  state.add("parameters", objective_.parameters());
  state.add("average", average_);
  optimizer_.add_state(state);
  objective_.add_state(state);
  return state;
}

template <class T>
StepSum<T> Trainer<T>::add_up(Wish wish) {
  failure_.clear();
  const auto parts = sum_.local_parts();
  for (Index p = parts.first; p < parts.last; ++p) {
    const auto share = comm::share(options_.train.batch, static_cast<int>(p), sum_.parts());
    const auto batch = source_.next(step_, share);
    const auto gradient = sum_.gradient(p - parts.first);
    std::ranges::fill(gradient, T(0));
    auto sum = objective_.add({step_, share.first, options_.train.batch}, batch, gradient);
    if (sum.failure.empty() && !std::isfinite(sum.loss)) sum.failure = fmt::format("the loss is {}", sum.loss);
    const bool failed = !sum.failure.empty();
    if (failed) failure_ = std::move(sum.failure);
    sum_.totals(p - parts.first) = {.loss = sum.loss,
                                    .weight = sum.weight,
                                    .failed = failed ? 1.0 : 0.0,
                                    .folded = sum.folded ? 1.0 : 0.0,
                                    .keep = wish == Wish::checkpoint ? 1.0 : 0.0,
                                    .stop = wish == Wish::stop ? 1.0 : 0.0};
  }
  return sum_.reduce();
}

template <class T>
double Trainer<T>::learning_rate(Index step) const {
  return rate_factor_ * optim::learning_rate(options_.schedule_options(), step);
}

template <class T>
typename Trainer<T>::Step Trainer<T>::take_step(Wish wish) {
  objective_.begin_step(comm_, step_);
  objective_.prepare();
  auto sum = add_up(wish);
  const auto again = [&](Index attempt) {
    return attempt < most_attempts && objective_.prepare_again(attempt, sum.totals.folded > 0);
  };
  for (Index attempt = 0; sum.totals.failed > 0 && again(attempt); ++attempt) {
    sum = add_up(wish);
    ++repeated_;
  }
  Step step;
  step.keep = sum.totals.keep > 0;
  step.stop = sum.totals.stop > 0;
  if (sum.totals.failed > 0) {
    // The reason of the lowest rank that has one.
    try {
      comm::agree(comm_, [&] { require<NumericalError>(failure_.empty(), "step {}: {}", step_ + 1, failure_); });
    } catch (const NumericalError& error) {
      step.failure = error.what();
    }
    return step;
  }

  const PhaseScope scope(Phase::optimizer);
  objective_.gradient_of_raw_parameters(sum.gradient);
  // A batch whose weights are all 0 has no gradient.
  const double scale = sum.totals.weight > 0 ? 1 / sum.totals.weight : 0;
  for (T& g : sum.gradient) g *= static_cast<T>(scale);
  step.train_loss = sum.totals.loss * scale;
  step.gradient_norm = optim::clip_norm(sum.gradient, options_.train.clip);
  // The sum is the same on all ranks, and so is what follows from it.
  if (!std::isfinite(step.gradient_norm)) {
    step.failure = fmt::format("step {}: the gradient is not finite{}", step_ + 1, smaller_steps);
    return step;
  }
  optimizer_.step(learning_rate(step_), sum.gradient, objective_.parameters());
  const double decay =
      std::min(options_.train.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_)));
  optim::update_average<T>(decay, objective_.parameters(), average_);
  ++step_;
  return step;
}

template <class T>
void Trainer<T>::diagnose(const Step& step, const std::string& path, const Warn& warn) {
  std::string text = fmt::format(
      "# A loss or a gradient that is not finite.\nstep = {}\nreason = {}\nlearning_rate = {}\ntrain_loss = {}\n"
      "gradient_norm = {}\n",
      step_ + 1, toml_text(OptionValue(step.failure)), learning_rate(step_), step.train_loss, step.gradient_norm);
  const auto batch = source_.next(step_, {0, options_.train.batch});
  std::vector<Index> rows;
  for (Index i = 0; i < batch.size(); ++i) rows.push_back(static_cast<Index>(batch.draws.sample(i)));
  text += fmt::format("# Training rows of the global batch, from 0.\nrows = [{}]\n\n[norms]\n", fmt::join(rows, ", "));
  for (const auto& [name, norm] : objective_.norms(objective_.parameters())) {
    text += fmt::format("\"{}\" = {}\n", name, norm);
  }
  try {
    h5::Replacement file(path);
    file.write(std::as_bytes(std::span(text)));
    file.commit();
    if (warn) warn(fmt::format("{}; {} has the rows and the norms", step.failure, path));
  } catch (const IoError& error) {
    if (warn) warn(error.what());
  }
}

template <class T>
bool Trainer<T>::recover(const Step& step, const StateCopy& good, const Keeping& keeping, const Hooks& hooks) {
  if (comm_.is_root() && !keeping.diagnosis.empty()) diagnose(step, keeping.diagnosis, hooks.warn);
  const auto& train = options_.train;
  if (train.on_nonfinite == "stop" || skipped_ + returned_ >= train.nonfinite_limit) return false;
  if (train.on_nonfinite == "skip") {
    ++skipped_;
    ++step_;
    return true;
  }
  const Index returned = returned_ + 1;
  const double factor = rate_factor_ * train.back_factor, seconds = seconds_;
  good.restore(state());
  returned_ = returned;
  rate_factor_ = factor;
  seconds_ = seconds;
  return true;
}

template <class T>
flow::Evaluation Trainer<T>::validate(const flow::Batch<T>& rows) {
  objective_.prepare_with(average_);
  const auto validation = objective_.evaluate(comm_, rows);
  validated_ = true;
  const bool best = std::isfinite(validation.mean) && (!has_best_ || objective_.better(validation, best_validation_));
  if (best) {
    has_best_ = true;
    best_validation_ = validation;
    best_step_ = step_;
    best_ = average_;
  }
  without_improvement_ = best ? 0 : without_improvement_ + 1;
  return validation;
}

template <class T>
void Trainer<T>::follow_changes(const flow::Batch<T>& rows, const Warn& warn) {
  for (auto change = objective_.take_changes(); !change.empty(); change = objective_.take_changes()) {
    warn(fmt::format("step {}: {}", step_, change));
    if (!has_best_) continue;
    objective_.prepare_with(best_);
    best_validation_ = objective_.evaluate(comm_, rows);
    has_best_ = std::isfinite(best_validation_.mean);
  }
}

template <class T>
Outcome Trainer<T>::run(History& history, const Keeping& keeping, const Hooks& hooks) {
  const Timer timer;
  const double before = seconds_;
  const auto& train = options_.train;
  const auto validation = source_.validation();
  auto* const checkpoints = keeping.checkpoints;
  const auto warn = [&](const std::string& text) {
    if (comm_.is_root() && hooks.warn) hooks.warn(text);
  };
  const bool returns = train.on_nonfinite == "back";
  StateCopy good(returns ? state() : StateSet());
  bool history_fails = false;
  Outcome outcome;
  const auto is_patient = [&] { return train.patience == 0 || without_improvement_ < train.patience; };
  Index kept = step_;
  const auto keep = [&] {
    kept = step_;
    comm_.broadcast(std::span(&seconds_, 1));  // the one value that each rank measures
    if (checkpoints != nullptr) {
      const auto problem = checkpoints->write(state(), history);
      if (!problem.empty()) warn(fmt::format("no checkpoint after step {}: {}", step_, problem));
    }
    if (returns) good = StateCopy(state());
  };
  while (step_ < train.steps && is_patient()) {
    auto wish = hooks.wish ? hooks.wish() : Wish::none;
    if (wish == Wish::none && checkpoints != nullptr && checkpoints->is_overdue()) wish = Wish::checkpoint;
    const Step step = take_step(wish);
    follow_changes(validation, warn);
    seconds_ = before + timer.seconds();
    if (!step.failure.empty()) {
      if (recover(step, good, keeping, hooks)) {
        history.cut(step_);
        continue;
      }
      outcome.end = End::diverged;
      outcome.reason = step.failure;
      break;
    }
    loss_sum_ += step.train_loss;
    ++loss_count_;
    const bool last = step_ == train.steps;
    HistoryRow row;
    if (validation.size() > 0 && (step_ % options_.validation_interval() == 0 || last)) {
      row.validation = validate(validation);
      if (objective_.validates_loss()) row.validation_loss = objective_.evaluate_loss(comm_, validation).mean;
      follow_changes(validation, warn);
    }
    if (row.validation || last || step_ % options_.output.every == 0) {
      row.step = step_;
      row.seconds = seconds_;
      row.train_loss = objective_.reported(loss_sum_ / static_cast<double>(loss_count_));
      row.learning_rate = learning_rate(step_ - 1);
      row.gradient_norm = step.gradient_norm;
      loss_sum_ = 0;
      loss_count_ = 0;
      if (comm_.is_root()) history.add(row);
      if (!history.problem().empty() && !history_fails) warn(history.problem());
      history_fails = !history.problem().empty();
      if (hooks.observer) hooks.observer(row);
    }
    if (step.stop) outcome.end = End::stop;
    if (step.stop || step.keep || (checkpoints != nullptr && checkpoints->is_due(step_))) keep();
    if (step.stop) break;
  }
  if (outcome.end != End::diverged && kept != step_) keep();
  if (outcome.end == End::steps && !is_patient()) outcome.end = End::patience;
  outcome.steps = step_;
  outcome.repeated = repeated_;
  outcome.skipped = skipped_;
  outcome.returned = returned_;
  if (outcome.end != End::diverged && validated_ && !has_best_) {
    outcome.end = End::diverged;
    outcome.reason = fmt::format("no validation gave a finite {}", objective_.validation_name().name);
  }
  outcome.best_step = best_step_;
  if (has_best_) {
    outcome.best_validation = best_validation_;
  } else if (outcome.end != End::diverged) {
    outcome.best_step = step_;
    best_ = average_;
  }
  std::ranges::copy(best_, objective_.parameters().begin());
  objective_.bake();
  return outcome;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace pushforward::train
