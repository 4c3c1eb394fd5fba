#include <pushforward/linalg/samples.hpp>
#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/options.hpp>

#include <cmath>

namespace pushforward::train {

namespace {

constexpr Index largest_chunk = 512;  // samples; a network of the usual widths then fits into a core's cache

template <class T>
const flow::Continuous<T>& continuous_of(const flow::Flow<T>& flow) {
  const auto* const only =
      flow.transforms().size() == 1 ? dynamic_cast<const flow::Continuous<T>*>(flow.transforms()[0].get()) : nullptr;
  require<OptionError>(only != nullptr,
                       "objective.kind = \"flow_matching\" fits the vector field of a continuous flow, and this flow "
                       "has the transforms {}; take model.kind = \"continuous\" without levels and logit",
                       summary(flow.architecture()));
  return *only;
}

ContextRule context_rule(const std::string& name) {
  return name == "equal" ? ContextRule::equal : name == "cost" ? ContextRule::cost : ContextRule::none;
}

// Throws OptionError if a coupling by optimal transport does not fit the rows.
template <class T>
void require_coupling(const FlowMatchingOptions& options, const flow::Batch<T>& rows, Index context) {
  require<OptionError>(
      rows.weight.empty(),
      "objective.coupling = \"{}\" takes all rows of a batch for equally heavy, and these rows have weights; "
      "take \"independent\"",
      options.coupling);
  require<OptionError>(context == 0 || options.coupling_context != "none",
                       "objective.coupling = \"{}\" would pair rows with latents whatever their contexts are, and the "
                       "paths would lead to "
                       "a wrong conditional density; take objective.coupling_context = \"equal\" for classes or "
                       "\"cost\" for numbers, or "
                       "the coupling \"independent\"",
                       options.coupling);
  require<OptionError>(context > 0 || options.coupling_context == "none",
                       "objective.coupling_context = \"{}\": these rows have no contexts", options.coupling_context);
}

}  // namespace

OptionSet FlowMatchingOptions::declare() {
  OptionSet set;
  set.add("path", path, "path from latents to rows", one_of(Path::registry().names()))
      .add("noise", noise,
           "deviation of the noise around a path, in standardized units; that of a bridge is half as large at t = 1/2",
           at_least(0))
      .add("coupling", coupling,
           "which latent goes with which row; optimal_transport: the assignment of least squared distance over the "
           "global batch; sinkhorn: drawn from the entropic plan",
           one_of({"independent", "optimal_transport", "sinkhorn"}))
      .add("regularization", regularization,
           "weight of the entropy in the plan, relative to the mean cost above the least one", more_than(0))
      .add("coupling_context", coupling_context,
           "how rows with contexts are coupled; none: refused; equal: within equal contexts, for classes; cost: the "
           "squared distance of the contexts costs, too, for numbers",
           one_of({"none", "equal", "cost"}))
      .add("context_cost", context_cost, "cost of a squared distance 1 of standardized contexts", more_than(0))
      .add("coupling_batch", coupling_batch, "global batches whose rows are coupled together", at_least(1, "batches"))
      .add("times", times, "times of a batch; stratified: spread evenly over the global batch",
           one_of({"stratified", "uniform"}))
      .add("likelihood_steps", likelihood_steps, "last steps of the run that are steps of maximum likelihood",
           at_least(0))
      .only_with("regularization", "coupling", {"sinkhorn"})
      .only_with("coupling_context", "coupling", {"optimal_transport", "sinkhorn"})
      .only_with("context_cost", "coupling_context", {"cost"})
      .only_with("coupling_batch", "coupling", {"optimal_transport", "sinkhorn"});
  return set;
}

template <class T>
FlowMatching<T>::Memory::Memory(const ode::VectorField<T>& of, linalg::Workspace& workspace, Index n)
    : field(of, workspace, workspace, n, 0, nn::Pass::gradient),
      x(workspace.matrix<T>(of.dimension(), n)),
      velocity(workspace.matrix<T>(of.dimension(), n)),
      singular(workspace.matrix<T>(of.dimension(), n)),
      value(workspace.matrix<T>(of.dimension(), n)),
      x_bar(workspace.matrix<T>(of.dimension(), n)),
      time(workspace.take<double>(n)),
      weight(workspace.take<double>(n)) {}

template <class T>
FlowMatching<T>::FlowMatching(const ObjectivePlace<T>& place, const FlowMatchingOptions& options)
    : likelihood_(place),
      flow_(place.flow),
      transform_(continuous_of(place.flow)),
      options_(options),
      path_(Path::registry().at(options.path)),
      seed_(static_cast<std::uint64_t>(place.options.train.seed)),
      matching_steps_(place.options.train.steps - options.likelihood_steps),
      bytes_(place.options.workspace_bytes()),
      latent_(static_cast<std::size_t>(place.flow.dimension())),
      noise_(options.noise > 0 ? latent_.size() : 0) {
  const auto& domain = flow_.architecture().data;
  require<OptionError>(matching_steps_ >= 0, "objective.likelihood_steps = {} are more than train.steps = {}",
                       options.likelihood_steps, place.options.train.steps);
  require<OptionError>(path_.is_straight || domain.periodic.empty(),
                       "objective.path = \"{}\" has no meaning for angles; take \"linear\", which follows the circle",
                       options.path);
  require<OptionError>(options.noise > 0 || !path_.needs_noise,
                       "objective.path = \"{}\" with objective.noise = 0 would be the linear path; choose a noise",
                       options.path);
  if (options.coupling == "independent") {
    coupling_ = std::make_unique<Coupling<T>>();
    return;
  }
  const auto rows = place.data.batch(data::Split::train);
  require_coupling(options, rows, domain.context);
  coupling_ = std::make_unique<OptimalTransport<T>>(
      flow_.base(), rows, place.options.train.batch, matching_steps_, seed_,
      TransportOptions{
          .periodic = domain.periodic,
          .regularization = options.coupling == "sinkhorn" ? std::optional(options.regularization) : std::nullopt,
          .contexts = context_rule(options.coupling_context),
          .context_cost = options.context_cost,
          .batches = options.coupling_batch});
}

template <class T>
void FlowMatching<T>::plan(Index n) {
  if (options_.likelihood_steps > 0) likelihood_.plan(n);
  if (memory_) return;
  const auto bytes_for = [&](Index count) {
    linalg::Workspace counted;
    Memory(transform_.field(), counted, count);
    return counted.peak();
  };
  require<OptionError>(bytes_for(1) <= bytes_, "training: a sample takes {}; train.workspace is {}: make it larger",
                       human_bytes(static_cast<double>(bytes_for(1))), human_bytes(static_cast<double>(bytes_)));
  capacity_ = linalg::largest_that_fits(std::min(std::max<Index>(n, 1), largest_chunk),
                                        [&](Index count) { return bytes_for(count) <= bytes_; });
  workspace_ = linalg::Workspace(bytes_for(capacity_));
  memory_.emplace(transform_.field(), workspace_, capacity_);
}

template <class T>
Index FlowMatching<T>::workspace_bytes() const {
  return workspace_.peak() + likelihood_.workspace_bytes();
}

template <class T>
void FlowMatching<T>::begin_step(const comm::Communicator& comm, Index step) {
  if (is_likelihood(step)) return likelihood_.begin_step(comm, step);
  coupling_->begin_step(comm, step);
}

template <class T>
void FlowMatching<T>::set_points(const StepPart& part, Index place, const flow::Batch<T>& chunk) {
  auto& m = *memory_;
  const auto& periodic = flow_.architecture().data.periodic;
  const auto step = static_cast<std::uint64_t>(part.step);
  const random::Permutation strata(seed_, random::Purpose::matching_order, step, part.batch);
  const bool stratified = options_.times == "stratified";
  for (Index j = 0; j < chunk.size(); ++j) {
    const Index at = place + j;
    const auto latent = coupling_->latent_of(part.step, at);
    draw_latent(flow_.base(), seed_, latent.step, latent.place, latent_);
    random::Stream stream(seed_, random::Purpose::flow_matching, step, static_cast<std::uint64_t>(at), 1);
    const double u = stream.uniform();
    const auto point = path_.at(
        stratified ? (static_cast<double>(strata(at)) + u) / static_cast<double>(part.batch) : u, options_.noise);
    for (double& value : noise_) value = stream.normal();
    m.time[j] = point.t;
    m.weight[j] = point.weight;
    set_point<T>(path_, point, latent_, chunk.x.column_span(j), noise_, periodic,
                 {m.x.column_span(j), m.velocity.column_span(j), m.singular.column_span(j)});
  }
}

template <class T>
LossSum FlowMatching<T>::add(const StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) {
  if (is_likelihood(part.step)) return likelihood_.add(part, batch, gradient);
  require<ShapeError>(memory_.has_value(), "flow matching: no memory was planned");
  auto& m = *memory_;
  LossSum sum;
  for (Index first = 0; first < batch.size(); first += capacity_) {
    const auto chunk = batch.part(first, std::min(capacity_, batch.size() - first));
    const Index n = chunk.size();
    set_points(part, part.first + first, chunk);
    const auto value = m.value.columns(0, n);
    transform_.field().forward(m.field, m.x.columns(0, n), m.time.first(n), chunk.context, value);
    const auto seed = m.field.passes().value_seed();
    for (Index j = 0; j < n; ++j) {
      const auto w = static_cast<double>(weight_of(chunk.weight, j));
      double square = 0;  // ‖v − ẋ‖² without the square of the singular term
      for (Index i = 0; i < value.rows(); ++i) {
        const double off = static_cast<double>(value(i, j)) - static_cast<double>(m.velocity(i, j));
        const auto singular = static_cast<double>(m.singular(i, j));
        seed(i, j) = static_cast<T>(2 * w * m.weight[j] * (off - singular));
        square += off * (off - 2 * singular);
      }
      sum.loss += w * m.weight[j] * square;
      sum.weight += w;
      if (!std::isfinite(square) && sum.failure.empty()) {
        sum.failure =
            fmt::format("training row {}: the velocity is not finite{}", chunk.draws.sample(j), smaller_steps);
      }
    }
    transform_.field().network().reverse(m.field.passes(), m.x_bar.columns(0, n), gradient);
  }
  return sum;
}

template class FlowMatching<float>;
template class FlowMatching<double>;

}  // namespace pushforward::train
