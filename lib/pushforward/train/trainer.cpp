#include <pushforward/core/text.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/train/trainer.hpp>

#include <cmath>

namespace pushforward::train {

namespace {

using data::Split;
using flow::Status;
using nn::Normalization;

// Rows from which data-dependent parameters are initialized, at least; every rank works all of them.
constexpr Index initial_rows = 1024;
constexpr Index evaluation_chunk = 256;
constexpr double megabyte = 1e6;

Index bytes_of(const TrainOptions& options) {
  return static_cast<Index>(options.workspace * megabyte);
}

// Most rows that any part of a batch has.
Index part_rows(Index batch, int parts) {
  return comm::share(batch, 0, parts).count();
}

template <class T>
void gather(ConstMatrixView<T> samples, std::span<const Index> rows, MatrixView<T> x) {
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(samples.column(rows[i]), samples.rows(), x.column(static_cast<Index>(i)));
  }
}

template <class T>
flow::Flow<T> fresh_flow(const flow::Architecture& architecture, const Options& options, const LogDets& log_dets) {
  flow::Flow<T> flow(architecture, static_cast<std::uint64_t>(options.train.seed));
  flow.set_log_det(nn::Pass::gradient, log_dets.train);
  flow.set_log_det(nn::Pass::evaluate, log_dets.evaluate);
  return flow;
}

const char* what_happened(Status status) {
  switch (status) {
    case Status::negative_determinant: return "det(I + J) ≤ 0, although the block should be a contraction";
    case Status::outside_support: return "a value is outside the support";
    default: return "values are not finite";
  }
}

// What a user may do about it.
constexpr const char* slower = "; try a smaller train.learning_rate, or train.clip = 1";
const char* remedy(Status status) {
  return status == Status::outside_support
             ? ", across whose bound training has moved the row: choose transforms and a base density without bounds"
             : slower;
}

// A workspace within train.workspace, or OptionError where a single sample has no room in it.
template <class T>
flow::FlowWorkspace<T> workspace_of(const flow::Flow<T>& flow, const TrainOptions& options, Index most, nn::Pass pass) {
  const bool trains = pass == nn::Pass::gradient;
  const bool exact = std::ranges::any_of(flow.transforms(), [&](const auto& transform) {
    const auto* const method = log_det_method(*transform, pass);
    return method != nullptr && method->kind == logdet::Kind::exact;
  });
  require<OptionError>(flow::FlowWorkspace<T>::bytes_for(flow, 1, pass) <= bytes_of(options),
                       "{}: {}; train.workspace is {}: make it larger{}", trains ? "training" : "evaluation",
                       flow::FlowWorkspace<T>::demand(flow, pass), human_bytes(options.workspace * megabyte),
                       exact ? fmt::format(", or estimate log-dets, as by {} = \"krylov:8\"",
                                           trains ? "log_det.train" : "log_det.evaluate")
                             : "");
  return flow::FlowWorkspace<T>::within(flow, bytes_of(options), most, pass);
}

// The flow with what depends on the data set from the first rows that a run takes.
template <class T>
flow::Flow<T> initialized_flow(flow::Flow<T> flow, const Options& options, const TrainingData<T>& data) {
  const Index n = std::min(data.rows(Split::train), std::max(initial_rows, options.train.batch));
  const random::BatchOrder order(static_cast<std::uint64_t>(options.train.seed), data.rows(Split::train),
                                 options.train.batch);
  std::vector<Index> first(n);
  for (Index i = 0; i < n; ++i) {
    order.rows(i / order.batch(), i % order.batch(), std::span(first).subspan(i, 1));
  }
  Matrix<T> x(data.dimension(), n), context(data.context(Split::train).rows(), n);
  gather<T>(data.samples(Split::train), first, x);
  gather<T>(data.context(Split::train), first, context);
  flow.initialize_from_data(x, context, bytes_of(options.train));
  return flow;
}

}  // namespace

template <class T>
Trainer<T>::Trainer(const comm::Communicator& comm, const Options& options, const flow::Architecture& architecture,
                    const LogDets& log_dets, const TrainingData<T>& data)
    : comm_(comm),
      options_(options),
      data_(data),
      flow_(initialized_flow(fresh_flow<T>(architecture, options, log_dets), options, data)),
      average_(fresh_flow<T>(architecture, options, log_dets)),
      sum_(comm, flow_.layout().size(), options.train.reproducible),
      workspace_(workspace_of(flow_, options.train, part_rows(options.train.batch, sum_.parts()), nn::Pass::gradient)),
      optimizer_(flow_.layout().size(), options.optimizer_options()),
      order_(static_cast<std::uint64_t>(options.train.seed), data.rows(Split::train), options.train.batch) {
  const auto part = static_cast<std::size_t>(part_rows(options.train.batch, sum_.parts()));
  x_ = Matrix<T>(data.dimension(), static_cast<Index>(part));
  context_ = Matrix<T>(data.context(Split::train).rows(), static_cast<Index>(part));
  weight_.resize(data.weighted() ? part : 0);
  rows_.resize(part);
  log_prob_.resize(part);
  status_.resize(part);
  std::copy(flow_.parameters().begin(), flow_.parameters().end(), average_.parameters().begin());
  if (data.rows(Split::validation) + data.rows(Split::test) > 0) evaluation_workspace();
}

template <class T>
flow::FlowWorkspace<T>& Trainer<T>::evaluation_workspace() {
  if (!evaluation_workspace_) {
    evaluation_workspace_.emplace(workspace_of(flow_, options_.train, evaluation_chunk, nn::Pass::evaluate));
  }
  return *evaluation_workspace_;
}

template <class T>
std::string Trainer<T>::place(Index transform) const {
  const auto& transforms = flow_.transforms();
  if (transform == std::ssize(transforms)) return fmt::format("the base density ({})", flow_.architecture().base.kind);
  return fmt::format("transform {} ({})", transform, transforms[transform]->kind());
}

template <class T>
void Trainer<T>::require_spread() const {
  const auto& chain = flow_.architecture().chain;
  if (std::ranges::any_of(chain, [](const auto& layer) { return layer.kind() == "dequantize"; })) return;
  const auto x = data_.samples(Split::train);
  std::vector<std::string> constant;
  for (Index i = 0; i < x.rows(); ++i) {
    Index j = 1;
    while (j < x.cols() && x(i, j) == x(i, 0)) ++j;
    if (j == x.cols()) constant.push_back(data_.source().feature_names[i]);
  }
  data::require_no_constants(constant);
}

template <class T>
void Trainer<T>::require_support() {
  if (support_checked_) return;
  comm::agree(comm_, [&] { require_spread(); });
  support_checked_ = flow_.fixed_transforms() == 0 && !flow_.is_bounded();
  if (support_checked_) return;
  std::optional<flow::FlowWorkspace<T>> room;
  comm::agree(comm_, [&] {
    room.emplace(flow::FlowWorkspace<T>::within(flow_, bytes_of(options_.train), evaluation_chunk, nn::Pass::map_only));
  });
  auto& workspace = *room;
  // By split, so that the message is the same on any number of ranks.
  for (const Split split : data::splits) require_support(split, flow::Reach::fixed, workspace);
  // What parameters may still move is asked of the rows that training cannot do without.
  if (flow_.is_bounded()) require_support(Split::train, flow::Reach::whole, workspace);
  support_checked_ = true;
}

template <class T>
void Trainer<T>::require_support(Split split, flow::Reach reach, flow::FlowWorkspace<T>& workspace) const {
  std::string excluded;
  const auto samples = data_.samples(split), context = data_.context(split);
  const auto mine = comm::share(samples.cols(), comm_.rank(), comm_.size());
  const Index chunk = workspace.capacity();
  for (Index first = mine.first; first < mine.last && excluded.empty(); first += chunk) {
    const Index count = std::min(chunk, mine.last - first);
    workspace.set_draws({.seed = static_cast<std::uint64_t>(options_.train.seed), .first = first});
    const auto x = samples.columns(first, count);
    const auto found = flow_.excluded(x, reach, workspace, context.empty() ? context : context.columns(first, count));
    if (!found) continue;
    const auto values = x.column_span(found->sample);
    excluded = fmt::format("{}, {} row {}: {}{}{}; the row is ({:.6g}{})", place(found->transform), split_name(split),
                           first + found->sample, what_happened(found->status), found->reason.empty() ? "" : ": ",
                           found->reason, fmt::join(values.first(std::min<std::size_t>(values.size(), 8)), ", "),
                           values.size() > 8 ? ", …" : "");
  }
  comm::agree(comm_, [&] { require<DataError>(excluded.empty(), "{}", excluded); });
}

template <class T>
void Trainer<T>::add_part(Index part, StepSum<T> sum) {
  const auto share = comm::share(options_.train.batch, static_cast<int>(part), sum_.parts());
  const auto n = static_cast<std::size_t>(share.count());
  const auto rows = std::span(rows_).first(n);
  const auto x = x_.view().columns(0, share.count()), context = context_.view().columns(0, share.count());
  order_.rows(step_, share.first, rows);
  gather<T>(data_.samples(Split::train), rows, x);
  gather<T>(data_.context(Split::train), rows, context);
  std::span<const T> weight;
  double total = static_cast<double>(n);
  if (data_.weighted()) {
    total = 0;
    for (std::size_t i = 0; i < n; ++i) {
      weight_[i] = data_.weights(Split::train)[rows[i]];
      total += static_cast<double>(weight_[i]);
    }
    weight = std::span<const T>(weight_).first(n);
  }
  std::fill(sum.gradient().begin(), sum.gradient().end(), T(0));
  workspace_.set_draws({.seed = static_cast<std::uint64_t>(options_.train.seed),
                        .step = static_cast<std::uint64_t>(step_),
                        .samples = rows});
  const double log_likelihood = flow_.add_gradient(x, weight, sum.gradient(), std::span(log_prob_).first(n),
                                                   std::span(status_).first(n), workspace_, context);
  sum[StepSum<T>::log_likelihood] = static_cast<T>(log_likelihood);
  sum[StepSum<T>::weight] = static_cast<T>(total);
  if (const auto& f = workspace_.failure()) {
    failure_ = fmt::format("{}, training row {}: {}{}", place(f->transform), rows[f->sample], what_happened(f->status),
                           remedy(f->status));
  }
}

template <class T>
StepSum<T> Trainer<T>::add_up(bool failed, bool stop) {
  failure_.clear();
  const auto parts = sum_.local_parts();
  for (Index p = parts.first; p < parts.last; ++p) {
    auto sum = sum_.part(p - parts.first);
    add_part(p, sum);
    sum[StepSum<T>::non_finite] = failure_.empty() ? T(0) : T(1);
    sum[StepSum<T>::stop] = stop ? T(1) : T(0);
    sum[StepSum<T>::error] = failed ? T(1) : T(0);
  }
  return sum_.reduce();
}

template <class T>
typename Trainer<T>::Step Trainer<T>::take_step(const std::exception_ptr& failure, bool stop) {
  flow_.prepare(Normalization::power_iteration);
  auto sum = add_up(failure != nullptr, stop);
  if (sum[StepSum<T>::non_finite] > 0) {
    // A power iteration bounds a norm from below only: now and then a weight has outgrown it, and its block is no
    // contraction. With norms by SVD it is one again.
    flow_.prepare(Normalization::svd);
    sum = add_up(failure != nullptr, stop);
    ++repeated_;
  }
  if (sum[StepSum<T>::error] > 0) {
    comm::agree(comm_, [&] {
      if (failure) std::rethrow_exception(failure);
    });
  }
  if (sum[StepSum<T>::non_finite] > 0) {
    comm::agree(comm_, [&] { require<NumericalError>(failure_.empty(), "step {}: {}", step_ + 1, failure_); });
  }

  const PhaseScope scope(Phase::optimizer);
  const auto gradient = sum.gradient();
  flow_.gradient_of_raw_parameters(gradient);
  // A batch whose weights are all 0 says nothing.
  const double weight = static_cast<double>(sum[StepSum<T>::weight]);
  const T scale = weight > 0 ? static_cast<T>(-1 / weight) : T(0);
  for (T& g : gradient) g *= scale;
  Step step;
  step.train_nll = static_cast<double>(sum[StepSum<T>::log_likelihood]) * static_cast<double>(scale);
  step.gradient_norm = optim::clip_norm(gradient, options_.train.clip);
  step.stop = sum[StepSum<T>::stop] > 0;
  // The sum is the same on all ranks, so all of them throw.
  if (!std::isfinite(step.gradient_norm)) {
    throw_error(ErrorKind::numerical, fmt::format("step {}: the gradient is not finite{}", step_ + 1, slower), true);
  }
  optimizer_.step(optim::learning_rate(options_.schedule_options(), step_), gradient, flow_.parameters());
  const double decay =
      std::min(options_.train.average, (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_)));
  optim::update_average<T>(decay, flow_.parameters(), average_.parameters());
  ++step_;
  return step;
}

template <class T>
Evaluation Trainer<T>::evaluate(Split split, const flow::Flow<T>& flow) {
  auto result = train::evaluate<T>(comm_, flow, data_.samples(split), data_.weights(split), data_.context(split),
                                   evaluation_workspace());
  result.nll -= data_.standardization().log_det();
  return result;
}

template <class T>
Outcome Trainer<T>::run(History& history, const Observer& observer, const std::function<bool()>& stop_requested) {
  require_support();
  const Timer timer;
  const Index every = options_.output.every, validate_every = options_.validation_interval();
  const bool validates = data_.rows(Split::validation) > 0;
  std::vector<T> best(average_.parameters().begin(), average_.parameters().end());
  std::exception_ptr failure;  // of writing the history, which all ranks hear of with the next step
  Outcome outcome;
  double nll_sum = 0;
  Index nll_count = 0, without_improvement = 0;

  while (step_ < options_.train.steps) {
    Step step;
    try {
      step = take_step(failure, stop_requested());
    } catch (const NumericalError& e) {
      outcome.end = End::diverged;
      outcome.reason = e.what();
      break;
    }
    nll_sum += step.train_nll;
    ++nll_count;
    const bool last = step_ == options_.train.steps;
    const bool validate = validates && (step_ % validate_every == 0 || last);
    HistoryRow row;
    if (validate) {
      average_.prepare(Normalization::svd);
      const auto validation = evaluate(Split::validation, average_);
      row.validation = validation;
      if (std::isfinite(validation.nll) && (!outcome.best_validation || better(validation, *outcome.best_validation))) {
        outcome.best_validation = validation;
        outcome.best_step = step_;
        std::copy(average_.parameters().begin(), average_.parameters().end(), best.begin());
        without_improvement = 0;
      } else {
        ++without_improvement;
      }
    }
    if (validate || last || step_ % every == 0) {
      row.step = step_;
      row.seconds = timer.seconds();
      row.train_nll = nll_sum / static_cast<double>(nll_count) - data_.standardization().log_det();
      row.learning_rate = optim::learning_rate(options_.schedule_options(), step_ - 1);
      row.gradient_norm = step.gradient_norm;
      nll_sum = 0;
      nll_count = 0;
      try {
        if (comm_.is_root()) history.add(row);
      } catch (...) {
        failure = std::current_exception();
      }
      observer(row);
    }
    if (step.stop) {
      outcome.end = End::stop;
      break;
    }
    if (options_.train.patience > 0 && without_improvement >= options_.train.patience) {
      outcome.end = End::patience;
      break;
    }
  }
  comm::agree(comm_, [&] {
    if (failure) std::rethrow_exception(failure);
  });
  outcome.steps = step_;
  outcome.repeated = repeated_;
  if (!outcome.best_validation && outcome.end != End::diverged) {
    std::copy(average_.parameters().begin(), average_.parameters().end(), best.begin());
    outcome.best_step = step_;
  }
  std::copy(best.begin(), best.end(), flow_.parameters().begin());
  flow_.bake_normalization();
  return outcome;
}

template class Trainer<float>;
template class Trainer<double>;

}  // namespace pushforward::train
