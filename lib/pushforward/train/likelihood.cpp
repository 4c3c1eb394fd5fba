#include <pushforward/core/text.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/train/density_check.hpp>
#include <pushforward/train/likelihood.hpp>
#include <pushforward/train/options.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

namespace {

using data::Split;
using flow::Status;

constexpr Index evaluation_chunk = 256;

const char* what_happened(Status status) {
  switch (status) {
    case Status::negative_determinant: return "the determinant is ≤ 0, although the map should be invertible";
    case Status::outside_support: return "a value is outside the support";
    default: return "values are not finite";
  }
}

// The end of a message: how a user may avoid the failure.
std::string_view remedy(Status status) {
  switch (status) {
    case Status::outside_support:
      return ", across whose bound training has moved the row: choose transforms and a base density without bounds";
    case Status::negative_determinant: return "; try a smaller train.learning_rate, or more model.max_steps";
    default: return smaller_steps;
  }
}

template <class T>
void negate(std::span<T> values) {
  for (T& value : values) value = -value;
}

}  // namespace

template <class T>
Likelihood<T>::Likelihood(flow::Flow<T>& flow, const LikelihoodSetup& setup)
    : flow_(flow), setup_(setup), guard_(flow) {
  auto integrations = flow_.integrations();
  require<OptionError>(setup.penalty.empty() || !integrations.empty(),
                       "train.kinetic_energy = {}, train.jacobian_norm = {}: these penalties are for continuous "
                       "flows, and the flow has no transform that integrates an equation",
                       setup.penalty.kinetic_energy, setup.penalty.jacobian_norm);
  for (auto& integration : integrations) integration.penalty = setup.penalty;
  flow_.set_integrations(integrations);
}

template <class T>
Likelihood<T>::Likelihood(const ObjectivePlace<T>& place, const LikelihoodOptions&)
    : Likelihood(place.flow, {.log_det = place.data.standardization().log_det(),
                              .bytes = place.options.workspace_bytes(),
                              .seed = static_cast<std::uint64_t>(place.options.train.seed),
                              .penalty = place.options.train.penalty}) {
  training_rows_ = place.data.batch(Split::train);
  training_rows_.draws.seed = setup_.seed;
}

template <class T>
flow::FlowWorkspace<T> Likelihood<T>::workspace(Index most, nn::Pass pass) const {
  const bool trains = pass == nn::Pass::gradient;
  const bool exact = std::ranges::any_of(flow_.transforms(), [&](const auto& transform) {
    return lipschitz_network(*transform) != nullptr && log_det_method(*transform, pass)->exact();
  });
  require<OptionError>(flow::FlowWorkspace<T>::bytes_for(flow_, 1, pass) <= setup_.bytes,
                       "{}: {}; train.workspace is {}: make it larger{}", trains ? "training" : "evaluation",
                       flow::FlowWorkspace<T>::demand(flow_, pass), human_bytes(static_cast<double>(setup_.bytes)),
                       exact ? fmt::format(", or estimate log-dets, as by {} = \"krylov:8\"",
                                           trains ? "log_det.train" : "log_det.evaluate")
                             : "");
  return flow::FlowWorkspace<T>::within(flow_, setup_.bytes, most, pass);
}

template <class T>
void Likelihood<T>::plan_evaluation() {
  if (!evaluation_workspace_) evaluation_workspace_.emplace(workspace(evaluation_chunk, nn::Pass::evaluate));
}

template <class T>
std::vector<std::pair<std::string, double>> Likelihood<T>::norms(std::span<const T> values) const {
  std::vector<std::pair<std::string, double>> norms;
  for (const auto& block : flow_.layout().blocks()) {
    const auto part = values.subspan(block.offset, block.size());
    norms.emplace_back(block.name, std::sqrt(linalg::dot_in_double(part.data(), part.data(), block.size())));
  }
  return norms;
}

template <class T>
void Likelihood<T>::plan(Index n) {
  if (workspace_ && std::ssize(log_prob_) == n) return;
  workspace_.emplace(workspace(n, nn::Pass::gradient));
  log_prob_.resize(static_cast<std::size_t>(n));
  status_.resize(log_prob_.size());
}

template <class T>
void Likelihood<T>::plan_again() {
  if (workspace_) workspace_.emplace(workspace(std::ssize(log_prob_), nn::Pass::gradient));
  if (evaluation_workspace_) evaluation_workspace_.emplace(workspace(evaluation_chunk, nn::Pass::evaluate));
}

template <class T>
void Likelihood<T>::add_state(StateSet& state) {
  flow_.add_state(state);
  guard_.add_state(state);
}

template <class T>
void Likelihood<T>::follow_grids() {
  if (guard_.apply()) plan_again();
}

template <class T>
void Likelihood<T>::prepare() {
  follow_grids();
  flow_.prepare(nn::Normalization::power_iteration);
}

template <class T>
void Likelihood<T>::prepare_with(std::span<const T> parameters) {
  follow_grids();
  flow_.prepare(parameters, nn::Normalization::values);
}

template <class T>
void Likelihood<T>::bake() {
  follow_grids();
  flow_.bake_normalization();
}

template <class T>
bool Likelihood<T>::prepare_again(Index attempt, bool folded) {
  if (folded && guard_.refine("a determinant is ≤ 0")) {
    plan_again();
    return true;
  }
  if (attempt > 0 || lipschitz_networks(flow_.architecture()).empty()) return false;
  flow_.prepare(nn::Normalization::svd);
  return true;
}

// Every rank does the same with the same rows, so that all come to the same end.
template <class T>
void Likelihood<T>::begin_step(const comm::Communicator&, Index step) {
  const Index n = std::min(GridGuard<T>::rows, training_rows_.size());
  if (step % GridGuard<T>::interval != 0 || n == 0 || !guard_.has_limit()) return;
  prepare();
  plan_evaluation();
  const Index first = step / GridGuard<T>::interval * n % (training_rows_.size() - n + 1);
  const double difference = guard_.difference(training_rows_.part(first, n), *evaluation_workspace_, setup_.bytes);
  const auto why = fmt::format("log p along the grid is off by {:.2g} nats in the mean", difference);
  if (!(difference > GridGuard<T>::largest_difference)) return;
  if (guard_.refine(why)) {
    plan_again();
  } else {
    guard_.warn(why);
  }
}

template <class T>
std::string Likelihood<T>::place(Index transform) const {
  const auto& transforms = flow_.transforms();
  if (transform == std::ssize(transforms)) return fmt::format("the base density ({})", flow_.architecture().base.kind);
  return fmt::format("transform {} ({})", transform, transforms[transform]->kind());
}

template <class T>
LossSum Likelihood<T>::add(const StepPart&, const flow::Batch<T>& batch, std::span<T> gradient) {
  const auto n = static_cast<std::size_t>(batch.size());
  require<ShapeError>(workspace_.has_value() && n <= log_prob_.size(), "likelihood: {} samples, but {} were planned", n,
                      log_prob_.size());
  // The flow adds the gradient of Σ w log p. Changing signs twice is exact.
  negate(gradient);
  const double log_likelihood =
      flow_.add_gradient(batch, gradient, std::span(log_prob_).first(n), std::span(status_).first(n), *workspace_);
  negate(gradient);
  LossSum sum{.loss = -log_likelihood, .weight = static_cast<double>(n), .failure = {}, .folded = false};
  if (!batch.weight.empty()) {
    sum.weight = 0;
    for (const T weight : batch.weight) sum.weight += static_cast<double>(weight);
  }
  if (const auto& f = workspace_->failure()) {
    sum.failure = fmt::format("{}, training row {}: {}{}", place(f->transform), batch.draws.sample(f->sample),
                              what_happened(f->status), remedy(f->status));
    sum.folded = std::ranges::count(std::span(status_).first(n), Status::negative_determinant) > 0;
  }
  return sum;
}

template <class T>
flow::Evaluation Likelihood<T>::evaluate(const comm::Communicator& comm, const flow::Batch<T>& rows) {
  plan_evaluation();
  auto result = flow::evaluate(comm, flow_, rows, *evaluation_workspace_);
  while (result.folded > 0 && guard_.refine("a determinant of a validation row is ≤ 0")) {
    plan_again();
    result = flow::evaluate(comm, flow_, rows, *evaluation_workspace_);
  }
  result.mean = reported(result.mean);
  return result;
}

template <class T>
void Likelihood<T>::require_spread(const TrainingData<T>& data) const {
  const auto& chain = flow_.architecture().chain;
  if (std::ranges::any_of(chain, [](const auto& layer) { return layer.kind() == "dequantize"; })) return;
  const auto x = data.batch(Split::train).x;
  std::vector<std::string> constant;
  for (Index i = 0; i < x.rows(); ++i) {
    Index j = 1;
    while (j < x.cols() && x(i, j) == x(i, 0)) ++j;
    if (j == x.cols()) constant.push_back(data.description().feature_names[i]);
  }
  data::require_no_constants(constant);
}

template <class T>
void Likelihood<T>::require_density(const TrainingData<T>& data, const Warn& warn) const {
  const auto& chain = flow_.architecture().chain;
  if (std::ranges::any_of(chain, [](const auto& layer) { return layer.kind() == "dequantize"; })) return;
  const auto rows = data.batch(Split::train);
  const auto& about = data.description();
  auto curved = columns_of(about.spheres);
  curved.insert(curved.end(), about.periodic.begin(), about.periodic.end());
  const auto findings = check_density(rows, about.feature_names, curved);
  for (const auto& doubt : findings.doubts) warn(doubt);
  for (const auto& refusal : findings.refusals) warn(refusal);
  require<DataError>(findings.refusals.empty(), "{}: the likelihood has no bound: {}", about.name,
                     findings.refusals.empty() ? "" : findings.refusals.front());
}

template <class T>
void Likelihood<T>::require_data(const comm::Communicator& comm, const TrainingData<T>& data, const Warn& warn) {
  comm::agree(comm, [&] { require_spread(data); });
  if (flow_.fixed_transforms() > 0 || flow_.is_bounded()) {
    std::optional<flow::FlowWorkspace<T>> room;
    comm::agree(comm, [&] {
      room.emplace(flow::FlowWorkspace<T>::within(flow_, setup_.bytes, evaluation_chunk, nn::Pass::map_only));
    });
    // One split after the other, so that the message is the same on any number of ranks.
    for (const Split split : data::splits) require_support(comm, data, split, flow::Reach::fixed, *room);
    // Training cannot do without the training rows, so they must also be inside bounds that parameters may move.
    if (flow_.is_bounded()) require_support(comm, data, Split::train, flow::Reach::whole, *room);
  }
  comm::agree(comm, [&] {
    if (comm.is_root()) require_density(data, warn);
  });
}

template <class T>
void Likelihood<T>::require_support(const comm::Communicator& comm, const TrainingData<T>& data, Split split,
                                    flow::Reach reach, flow::FlowWorkspace<T>& workspace) const {
  std::string excluded;
  auto rows = data.batch(split);
  rows.draws.seed = setup_.seed;
  const auto mine = comm::share(rows.size(), comm.rank(), comm.size());
  const Index chunk = workspace.capacity();
  for (Index first = mine.first; first < mine.last && excluded.empty(); first += chunk) {
    const auto part = rows.part(first, std::min(chunk, mine.last - first));
    const auto found = flow_.excluded(part, reach, workspace);
    if (!found) continue;
    const auto values = part.x.column_span(found->sample);
    excluded = fmt::format("{}, {} row {}: {}{}{}; the row is ({:.6g}{})", place(found->transform), split_name(split),
                           first + found->sample, what_happened(found->status), found->reason.empty() ? "" : ": ",
                           found->reason, fmt::join(values.first(std::min<std::size_t>(values.size(), 8)), ", "),
                           values.size() > 8 ? ", …" : "");
  }
  comm::agree(comm, [&] { require<DataError>(excluded.empty(), "{}", excluded); });
}

template class Likelihood<float>;
template class Likelihood<double>;

}  // namespace pushforward::train
