#include <pushforward/dataset/location.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/standardization/moments.hpp>
#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/options.hpp>
#include <pushforward/transforms/actnorm.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::train {

namespace {

using data::Split;

constexpr Index most_redraws = 100;   // of a latent that is the antipode of its row
constexpr Index largest_chunk = 128;  // samples; a network of the usual widths then fits into a core's cache

// The field of a flow, after transforms that stay as they are while it is fitted.
template <class T>
const flow::Continuous<T>& continuous_of(const flow::Flow<T>& flow) {
  const auto& transforms = flow.transforms();
  const auto* const last =
      transforms.empty() ? nullptr : dynamic_cast<const flow::Continuous<T>*>(transforms.back().get());
  const auto stays = [](const auto& transform) {
    const bool has_parameters = dynamic_cast<const flow::Trained<T>*>(transform.get()) != nullptr;
    return (!has_parameters || transform->kind() == flow::ActNormOptions::kind) &&
           transform->output_shape().size() == transform->input_shape().size();
  };
  require<OptionError>(last != nullptr && std::all_of(transforms.begin(), transforms.end() - 1, stays),
                       "objective.kind = \"flow_matching\" fits the vector field of a continuous flow, and this flow "
                       "has the transforms {}; take model.kind = \"continuous\", or a chain that ends in one transform "
                       "of this kind, after ActNorms and transforms without parameters",
                       summary(flow.architecture()));
  return *last;
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
           "global batch; sinkhorn: drawn from the entropic plan; given: the point of data.source for the row",
           one_of({"independent", "optimal_transport", "sinkhorn", "given"}))
      .add("regularization", regularization,
           "weight of the entropy in the plan, relative to the mean cost above the least one", more_than(0))
      .add("coupling_context", coupling_context,
           "how rows with contexts are coupled; none: refused; equal: within equal contexts, for classes; cost: the "
           "squared distance of the contexts costs, too, for numbers",
           one_of({"none", "equal", "cost"}))
      .add("context_cost", context_cost, "cost of a squared distance 1 of standardized contexts", more_than(0))
      .add("coupling_batch", coupling_batch, "global batches whose rows are coupled together", at_least(1, "batches"))
      .add("source_law", source_law,
           "law of the points of data.source; base: they are draws from the base density, so log p means something",
           one_of({"other", "base"}))
      .add("times", times, "times of a batch; stratified: spread evenly over the global batch",
           one_of({"stratified", "uniform"}))
      .add("unconditional", unconditional,
           "fraction of the rows that are trained without their contexts, so that the model can be guided and has an "
           "unconditional density",
           from_to_below(0, 1))
      .add("likelihood_steps", likelihood_steps, "last steps of the run that are steps of maximum likelihood",
           at_least(0))
      .only_with("regularization", "coupling", {"sinkhorn"})
      .only_with("coupling_context", "coupling", {"optimal_transport", "sinkhorn"})
      .only_with("context_cost", "coupling_context", {"cost"})
      .only_with("coupling_batch", "coupling", {"optimal_transport", "sinkhorn"});
  return set;
}

template <class T>
FlowMatching<T>::Memory::Memory(const ode::VectorField<T>& of, linalg::Workspace& workspace, Index n, bool has_images,
                                bool leaves_out)
    : field(of, workspace, workspace, n, ode::Derivative::none, nn::Pass::gradient),
      image(workspace.matrix<T>(has_images ? of.dimension() : 0, n)),
      x(workspace.matrix<T>(of.dimension(), n)),
      velocity(workspace.matrix<T>(of.dimension(), n)),
      singular(workspace.matrix<T>(of.dimension(), n)),
      value(workspace.matrix<T>(of.dimension(), n)),
      time(workspace.take<double>(n)),
      weight(workspace.take<double>(n)),
      stratum(workspace.take<Index>(n)),
      none(workspace.take<std::int8_t>(leaves_out ? n : 0)) {}

template <class T>
FlowMatching<T>::FlowMatching(const ObjectivePlace<T>& place, const FlowMatchingOptions& options)
    : likelihood_(place),
      flow_(place.flow),
      transform_(continuous_of(place.flow)),
      data_(place.data),
      images_(place.flow, std::ssize(place.flow.transforms()) - 1, place.options.workspace_bytes()),
      periodic_(domains_of(place.flow.architecture())[place.flow.transforms().size() - 1].periodic),
      options_(options),
      path_(Path::registry().at(options.path)),
      seed_(static_cast<std::uint64_t>(place.options.train.seed)),
      batch_(place.options.train.batch),
      matching_steps_(place.options.train.steps - options.likelihood_steps),
      has_density_(place.data.source(Split::train).cols() == 0 || options.source_law == "base"),
      latents_(latents(random::Purpose::flow_matching, Split::train)),
      bytes_(place.options.workspace_bytes()),
      latent_(static_cast<std::size_t>(place.flow.dimension())),
      noise_(options.noise > 0 ? latent_.size() : 0) {
  const auto& domain = flow_.architecture().data;
  const auto& penalty = place.options.train.penalty;
  require<OptionError>(penalty.empty() || options.likelihood_steps > 0,
                       "train.kinetic_energy = {}, train.jacobian_norm = {}: these penalties are for steps of maximum "
                       "likelihood, and objective.likelihood_steps is 0",
                       penalty.kinetic_energy, penalty.jacobian_norm);
  require<OptionError>(matching_steps_ >= 0, "objective.likelihood_steps = {} are more than train.steps = {}",
                       options.likelihood_steps, place.options.train.steps);
  const bool has_actnorm = std::ranges::any_of(
      flow_.transforms(), [](const auto& transform) { return transform->kind() == flow::ActNormOptions::kind; });
  require<OptionError>(!has_actnorm || place.options.train.weight_decay == 0,
                       "train.weight_decay = {} would change the ActNorms before the vector field, which stay as they "
                       "are in flow matching; take 0",
                       place.options.train.weight_decay);
  require<OptionError>(path_.is_straight || periodic_.empty(),
                       "objective.path = \"{}\" has no meaning for angles; take \"linear\", which follows the circle",
                       options.path);
  require<OptionError>(domain.spheres.empty() || (path_.is_straight && options.noise == 0),
                       "objective.path = \"{}\" with objective.noise = {} has no meaning for unit vectors; take "
                       "\"linear\" without noise, which follows the great circle",
                       options.path, options.noise);
  require<OptionError>(options.noise > 0 || !path_.needs_noise,
                       "objective.path = \"{}\" with objective.noise = 0 would be the linear path; choose a noise",
                       options.path);
  require<OptionError>(domain.context > 0 || options.unconditional == 0,
                       "objective.unconditional = {}: these rows have no contexts that could be left out",
                       options.unconditional);
  require<ShapeError>(domain.optional_context == (options.unconditional > 0),
                      "flow matching with unconditional = {} of a flow whose contexts are {}optional",
                      options.unconditional, domain.optional_context ? "" : "not ");
  require_source(place.options);
  const auto rows = data_.batch(Split::train);
  if (options.coupling == "independent") {
    coupling_ = std::make_unique<Independent<T>>(latents_);
  } else if (options.coupling == "given") {
    coupling_ = std::make_unique<Given<T>>(data_.source(Split::train));
  } else {
    require_coupling(options, rows, domain.context);
    coupling_ = std::make_unique<OptimalTransport<T>>(latents_, rows, batch_, matching_steps_, seed_,
                                                      transport_options(), image_of_rows());
  }
}

template <class T>
void FlowMatching<T>::require_source(const Options& options) const {
  const bool has_source = data_.source(Split::train).cols() > 0;
  require<OptionError>(has_source || options_.source_law == "other",
                       "objective.source_law = \"{}\" is about data.source, and there is none", options_.source_law);
  require<OptionError>(has_density_ || options_.likelihood_steps == 0,
                       "objective.likelihood_steps = {}: log p means nothing if paths begin at other points than draws "
                       "from the base density; if those of data.source are such draws, say objective.source_law = "
                       "\"base\"",
                       options_.likelihood_steps);
  if (options_.coupling != "given") return;
  require<OptionError>(has_source,
                       "objective.coupling = \"given\": name the points that are given for the rows with "
                       "data.source");
  const auto is_array = [](const std::string& location) { return !data::parse_location(location).path.empty(); };
  const auto& files = options.data;
  require<OptionError>(
      files.source.empty() || (!files.file.empty() && is_array(files.file) == is_array(files.source)),
      "objective.coupling = \"given\": data.file = \"{}\" and data.source = \"{}\" are not divided alike "
      "into training, validation and test rows; name both as FILE.h5, or both as FILE.h5:/PATH",
      files.file, files.source);
  for (const Split split : data::splits) {
    require<OptionError>(data_.source(split).cols() == data_.rows(split),
                         "objective.coupling = \"given\": there are {} {} rows, and data.source has {} points for them",
                         data_.rows(split), split_name(split), data_.source(split).cols());
    const auto rows = data_.batch(split).x, points = data_.source(split);
    std::vector<double> point(latent_.size());
    for (Index j = 0; j < rows.cols(); ++j) {
      std::ranges::copy(points.column_span(j), point.begin());
      require<DataError>(!are_antipodes<T>(flow_.architecture().data.spheres, point, rows.column_span(j)),
                         "objective.coupling = \"given\": {} row {} (counted from 0) is the antipode of its point, and "
                         "no great circle between them is the shortest; leave the pair out",
                         split_name(split), j);
    }
  }
}

template <class T>
TransportOptions FlowMatching<T>::transport_options() const {
  return {.periodic = periodic_,
          .spheres = flow_.architecture().data.spheres,
          .regularization = options_.coupling == "sinkhorn" ? std::optional(options_.regularization) : std::nullopt,
          .contexts = context_rule(options_.coupling_context),
          .context_cost = options_.context_cost,
          .batches = options_.coupling_batch};
}

template <class T>
ImageOfRows<T> FlowMatching<T>::image_of_rows() {
  if (images_.empty()) return {};
  return [this](const flow::Batch<T>& rows, MatrixView<T> image) { images_.map(rows, image); };
}

template <class T>
flow::Batch<T> FlowMatching<T>::image_of(flow::Batch<T> chunk) {
  if (images_.empty()) return chunk;
  const auto image = memory_->image.columns(0, chunk.size());
  images_.map(chunk, image);
  chunk.x = image;
  return chunk;
}

template <class T>
Latents<T> FlowMatching<T>::latents(random::Purpose purpose, Split split) const {
  const auto points = data_.source(split);
  return {flow_.base(), points.cols() > 0 ? points : data_.source(Split::train), seed_, purpose};
}

template <class T>
void FlowMatching<T>::require_data(const comm::Communicator& comm, const TrainingData<T>& data, const Warn& warn) {
  likelihood_.require_data(comm, data, warn);
  if (data_.source(Split::train).cols() == 0) return;
  comm::agree(comm, [&] {
    if (!comm.is_root()) return;
    if (has_density_) {
      require_base_law();
    } else {
      warn(
          "paths begin at the points of data.source, and the model maps them to rows; its log p means nothing, because "
          "the base density is another one");
    }
    examine_source(warn);
  });
}

template <class T>
void FlowMatching<T>::require_base_law() const {
  constexpr Index most = 20000;
  constexpr double deviations = 6;
  const auto points = data_.source(Split::train);
  const Index n = std::min(most, points.cols());
  Matrix<T> draws(points.rows(), n);
  std::vector<double> z(latent_.size());
  const Latents<T> from_base(flow_.base(), {}, seed_, random::Purpose::matching_check);
  for (Index j = 0; j < n; ++j) {
    from_base.write({0, j}, z);
    std::ranges::transform(z, draws.view().column(j), [](double value) { return static_cast<T>(value); });
  }
  const auto mean_of = [&](ConstMatrixView<T> of) {
    std::vector<double> log_prob(static_cast<std::size_t>(n));
    flow_.base().log_prob(of, log_prob);
    flow::LossSums sums;
    for (const double value : log_prob) sums.add(-value, flow::Status::ok, 1);
    return sums.result();
  };
  const auto found = mean_of(points.columns(0, n)), expected = mean_of(draws);
  const double error = std::hypot(found.standard_error, expected.standard_error);
  require<DataError>(std::abs(found.mean - expected.mean) <= deviations * error,
                     "objective.source_law = \"base\": the points of data.source are no draws from the base density "
                     "({}): their mean of -log p is {:.4f}, and that of draws is {:.4f} ± {:.4f}",
                     flow_.architecture().base.kind, found.mean, expected.mean, error);
}

template <class T>
void FlowMatching<T>::examine_source(const Warn& warn) const {
  constexpr double much = 10;
  const auto points = data_.source(Split::train);
  data::Moments moments(points.rows(), data::Moments::Second::variances);
  Matrix<double> one(points.rows(), 1);
  for (Index j = 0; j < points.cols(); ++j) {
    std::ranges::copy(points.column_span(j), one.span().begin());
    moments.add(one, {});
  }
  for (const Index i : flow_.base().rows()) {
    const double mean = moments.mean()[i], deviation = std::sqrt(moments.variances()[i]);
    if (std::abs(mean) <= much && deviation <= much && deviation >= 1 / much) continue;
    warn(fmt::format(
        "data.source: {} has the mean {:.3g} and the deviation {:.3g}. Paths begin at the points as they are, "
        "and values of about 1 are trained best",
        data_.description().feature_names[i], mean, deviation));
  }
}

template <class T>
void FlowMatching<T>::plan(Index n) {
  if (options_.likelihood_steps > 0) likelihood_.plan(n);
  if (memory_) return;
  const auto bytes_for = [&](Index count) {
    linalg::Workspace counted;
    Memory(transform_.field(), counted, count, !images_.empty(), options_.unconditional > 0);
    return counted.peak();
  };
  require<OptionError>(bytes_for(1) <= bytes_, "training: a sample takes {}; train.workspace is {}: make it larger",
                       human_bytes(static_cast<double>(bytes_for(1))), human_bytes(static_cast<double>(bytes_)));
  capacity_ = linalg::largest_that_fits(std::min(std::max<Index>(n, 1), largest_chunk),
                                        [&](Index count) { return bytes_for(count) <= bytes_; });
  workspace_ = linalg::Workspace(bytes_for(capacity_));
  memory_.emplace(transform_.field(), workspace_, capacity_, !images_.empty(), options_.unconditional > 0);
}

template <class T>
Index FlowMatching<T>::workspace_bytes() const {
  return workspace_.peak() + images_.bytes() + likelihood_.workspace_bytes();
}

template <class T>
void FlowMatching<T>::begin_step(const comm::Communicator& comm, Index step) {
  if (is_likelihood(step)) return likelihood_.begin_step(comm, step);
  coupling_->begin_step(comm, step);
}

template <class T>
void FlowMatching<T>::set_points(const Group& group, Index place, const flow::Batch<T>& chunk) {
  auto& m = *memory_;
  const CurvedRows curved{.periodic = periodic_, .spheres = flow_.architecture().data.spheres};
  const random::Permutation strata(seed_, group.order, static_cast<std::uint64_t>(group.step), group.rows);
  const bool stratified = options_.times == "stratified";
  const auto stratum = m.stratum.first(chunk.size());
  if (stratified) strata.images(place, stratum);
  for (Index j = 0; j < chunk.size(); ++j) {
    const Index at = place + j;
    const auto row = chunk.x.column_span(j);
    group.coupling.write_latent({group.step, at, static_cast<Index>(chunk.draws.sample(j))}, latent_);
    for (Index again = 1; again <= most_redraws && are_antipodes<T>(curved.spheres, latent_, row); ++again) {
      group.latents.write({group.step, at + again * group.rows}, latent_);
    }
    auto stream = group.latents.stream({group.step, at}, 1);
    const double u = stream.uniform();
    const auto point = path_.at(
        stratified ? (static_cast<double>(stratum[j]) + u) / static_cast<double>(group.rows) : u, options_.noise);
    const std::span<double> noise(noise_.data(), options_.noise > 0 ? noise_.size() : 0);
    for (double& value : noise) value = stream.normal();
    m.time[j] = point.t;
    m.weight[j] = point.weight;
    if (!m.none.empty()) m.none[j] = group.latents.stream({group.step, at}, 3).uniform() < group.unconditional ? 1 : 0;
    set_point<T>(path_, point, latent_, row, noise, curved,
                 {m.x.column_span(j), m.velocity.column_span(j), m.singular.column_span(j)});
  }
}

template <class T>
MatrixView<T> FlowMatching<T>::velocities(const flow::Batch<T>& chunk) {
  auto& m = *memory_;
  const Index n = chunk.size();
  const auto value = m.value.columns(0, n);
  transform_.field().forward(m.field, m.x.columns(0, n), m.time.first(n), chunk.context, value,
                             m.none.first(m.none.empty() ? 0 : n));
  return value;
}

template <class T>
double FlowMatching<T>::loss_of(MatrixView<T> v, Index j) const {
  const auto& m = *memory_;
  double square = 0;
  for (Index i = 0; i < v.rows(); ++i) {
    const double off = static_cast<double>(v(i, j)) - static_cast<double>(m.velocity(i, j));
    square += off * (off - 2 * static_cast<double>(m.singular(i, j)));
  }
  return m.weight[j] * square;
}

template <class T>
LossSum FlowMatching<T>::add(const StepPart& part, const flow::Batch<T>& batch, std::span<T> gradient) {
  if (is_likelihood(part.step)) return likelihood_.add(part, batch, gradient);
  require<ShapeError>(memory_.has_value(), "flow matching: no memory was planned");
  auto& m = *memory_;
  const Group group{part.step, part.batch, random::Purpose::matching_order, options_.unconditional,
                    latents_,  *coupling_};
  LossSum sum;
  for (Index first = 0; first < batch.size(); first += capacity_) {
    const auto chunk = image_of(batch.part(first, std::min(capacity_, batch.size() - first)));
    const Index n = chunk.size();
    set_points(group, part.first + first, chunk);
    const auto v = velocities(chunk);
    const auto seed = m.field.value_seed();
    for (Index j = 0; j < n; ++j) {
      const auto w = static_cast<double>(weight_of(chunk.weight, j));
      const double loss = loss_of(v, j);
      for (Index i = 0; i < v.rows(); ++i) {
        const double off = static_cast<double>(v(i, j)) - static_cast<double>(m.velocity(i, j));
        seed(i, j) = static_cast<T>(2 * w * m.weight[j] * (off - static_cast<double>(m.singular(i, j))));
      }
      sum.loss += w * loss;
      sum.weight += w;
      if (!std::isfinite(loss) && sum.failure.empty()) {
        sum.failure =
            fmt::format("training row {}: the velocity is not finite{}", chunk.draws.sample(j), smaller_steps);
      }
    }
    transform_.field().reverse(m.field, {}, {}, gradient);
  }
  return sum;
}

template <class T>
void FlowMatching<T>::choose_check(const flow::Batch<T>& rows) {
  if (checked_ == rows.x.data()) return;
  Split split = Split::train;
  for (const Split candidate : data::splits) {
    if (data_.batch(candidate).x.data() == rows.x.data()) split = candidate;
  }
  check_latents_.emplace(latents(random::Purpose::matching_check, split));
  if (options_.coupling == "independent") {
    check_coupling_ = std::make_unique<Independent<T>>(*check_latents_);
  } else if (options_.coupling == "given") {
    check_coupling_ = std::make_unique<Given<T>>(data_.source(split));
  } else {
    check_coupling_ = std::make_unique<FixedTransport<T>>(*check_latents_, rows, batch_ * options_.coupling_batch,
                                                          seed_, transport_options(), image_of_rows());
  }
  checked_ = rows.x.data();
}

template <class T>
flow::Evaluation FlowMatching<T>::evaluate_loss(const comm::Communicator& comm, const flow::Batch<T>& rows) {
  require<ShapeError>(memory_.has_value(), "flow matching: no memory was planned");
  choose_check(rows);
  check_coupling_->begin_step(comm, 0);
  const Group group{0, rows.size(), random::Purpose::matching_check, 0, *check_latents_, *check_coupling_};
  return flow::evaluate_blocks(
      comm, rows.size(), flow::evaluation_block, [&](Index begin, Index count, flow::LossSums& sums) {
        for (Index first = begin; first < begin + count; first += capacity_) {
          const auto chunk = image_of(rows.part(first, std::min(capacity_, begin + count - first)));
          set_points(group, first, chunk);
          const auto v = velocities(chunk);
          for (Index j = 0; j < chunk.size(); ++j) {
            const double loss = loss_of(v, j);
            sums.add(loss, std::isfinite(loss) ? flow::Status::ok : flow::Status::not_finite,
                     static_cast<double>(weight_of(chunk.weight, j)));
          }
        }
      });
}

template class FlowMatching<float>;
template class FlowMatching<double>;

}  // namespace pushforward::train
