#include <pushforward/core/chunks.hpp>
#include <pushforward/core/interval.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/flow/why_excluded.hpp>
#include <pushforward/maps/scalar_function.hpp>
#include <pushforward/transforms/inverse.hpp>
#include <pushforward/transforms/linear_form.hpp>

#include <algorithm>
#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
bool all_finite(std::span<const T> x) {
  for (const T value : x) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// Sets the statuses of samples before anything is computed.
template <class T>
void start_status(ConstMatrixView<T> x, std::span<Status> status) {
  for (Index i = 0; i < x.cols(); ++i) {
    status[i] = all_finite<T>(x.column_span(i)) ? Status::ok : Status::not_finite;
  }
}

// Angles do not count: they are taken to [−π, π) wherever they come from.
template <class T>
bool has_bounds(const BaseDensity<T>& base) {
  return !base.rows().empty() && is_bounded(base.support());
}

// Vectors of another length than 1 are outside of a sphere. If p = 0 although there is no bound, p is too small for a
// number: the status is not_finite.
template <class T>
void mark_failures(const BaseDensity<T>& base, std::span<double> log_prob, std::span<Status> status) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  const bool bounded = has_bounds(base) || !base.spheres().empty();
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] == Status::ok && log_prob[i] == -infinity && bounded) status[i] = Status::outside_support;
    if (status[i] == Status::ok && !std::isfinite(log_prob[i])) status[i] = Status::not_finite;
    if (status[i] != Status::ok) {
      log_prob[i] = status[i] == Status::outside_support ? -infinity : std::numeric_limits<double>::quiet_NaN();
    }
  }
}

// Keeps the first failure of a batch: that of the transform k, after which the first status of a chunk is not ok.
void note_failure(std::optional<Failure>& failure, Index k, Index first, std::span<const Status> status) {
  if (failure) return;
  const auto bad = std::ranges::find_if(status, [](Status s) { return s != Status::ok; });
  if (bad != status.end()) failure = {k, first + (bad - status.begin()), *bad};
}

// Rows [first, first + from.rows()) of `to` ← from.
template <class T>
void copy_rows(ConstMatrixView<T> from, MatrixView<T> to, Index first = 0) {
  for (Index j = 0; j < from.cols(); ++j) std::copy_n(from.column(j), from.rows(), to.column(j) + first);
}

// Makes a (rows × n) matrix at `memory` of the rows of `first`. Its further rows are those of `rest` with the same
// numbers.
template <class T>
MatrixView<T> joined(ConstMatrixView<T> first, ConstMatrixView<T> rest, T* memory, Index rows) {
  const MatrixView<T> both(memory, rows, first.cols());
  copy_rows<T>(first, both);
  copy_rows<T>(rest.block(first.rows(), 0, rows - first.rows(), first.cols()), both, first.rows());
  return both;
}

// The x of transform k in the last pass of a chunk x of samples.
template <class Parts, class T>
ConstMatrixView<T> arrival(const Parts& parts, Index k, ConstMatrixView<T> x) {
  if (k == 0) return x;
  const auto& level = parts.levels[k - 1];
  return (level.kept.empty() ? level.all : level.kept).columns(0, x.cols());
}

template <class U>
std::span<U> part(std::span<U> values, Index first, Index count) {
  return values.subspan(first, count);
}

// The number of elements of all matrices of linear transforms. Each takes long to initialize, so it is known before.
double size_of_matrices(const Architecture& architecture, const std::vector<Domain>& domains) {
  double sum = 0;
  for (std::size_t k = 0; k < architecture.chain.size(); ++k) {
    const auto* const linear = architecture.chain[k].get_if<LinearOptions>();
    if (linear == nullptr || linear->form == "householder") continue;
    const auto channels = static_cast<double>(domains[k].shape.channels);
    sum += channels * channels;
  }
  return sum;
}

}  // namespace

template <class T>
Flow<T>::Flow(Architecture architecture, std::uint64_t seed, double bytes_each, double most_parameters)
    : architecture_(std::move(architecture)), layout_(bytes_each, most_parameters) {
  const auto domains = domains_of(architecture_);
  const auto keys = weight_keys(architecture_.chain);
  layout_.require_room("linear transforms", size_of_matrices(architecture_, domains));
  for (std::size_t k = 0; k < architecture_.chain.size(); ++k) {
    auto& transform = architecture_.chain[k];
    const auto name = fmt::format("transforms/{:03d}", k);
    try {
      transforms_.push_back(transform.make<T>({layout_, name, domains[k], seed, keys[k]}));
    } catch (const Error& error) {
      throw_error(error.kind(), fmt::format("{}: {}", place_in_chain(k, transform, domains[k]), error.what()));
    }
  }
  base_ =
      make_base<T>(architecture_.base, {layout_, dimension(), periodic_latents(domains), seed, domains.back().spheres});
  parameters_ = Matrix<T>(layout_.size(), 1);
  for (const auto& t : transforms_) {
    roles_.push_back({dynamic_cast<Trained<T>*>(t.get()), dynamic_cast<Estimated<T>*>(t.get()),
                      dynamic_cast<Integrated<T>*>(t.get()), dynamic_cast<const Supported*>(t.get())});
  }
  for (const auto& role : roles_) {
    if (role.trained != nullptr) role.trained->initialize(parameters());
  }
  base_->initialize(parameters());
  prepare(Normalization::svd);
}

template <class T>
Flow<T>::Flow(Index dimension, const FlowOptions& options, std::uint64_t seed)
    : Flow(architecture_of(options, {.shape = Shape::vector(dimension)}), seed) {}

template <class T>
void Flow<T>::prepare(Normalization normalization) {
  prepare(parameters_.span(), normalization);
}

template <class T>
void Flow<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  for (const auto& role : roles_) {
    if (role.trained != nullptr) role.trained->prepare(parameters, normalization);
  }
  base_->prepare(parameters);
}

template <class T>
void Flow<T>::add_state(StateSet& state) {
  for (std::size_t k = 0; k < roles_.size(); ++k) {
    if (roles_[k].trained != nullptr) roles_[k].trained->add_state(state, fmt::format("transforms/{:03d}", k));
  }
}

template <class T>
void Flow<T>::set_log_det(Pass pass, const logdet::Method& method) {
  bool found = method.exact();
  for (const auto& role : roles_) {
    if (role.estimated == nullptr || !role.estimated->takes(method)) continue;
    role.estimated->set_log_det(pass, method);
    found = true;
  }
  require<OptionError>(found, "log-det method {}: no transform of this flow takes it: {}", to_string(method),
                       summary(architecture_));
}

template <class T>
void Flow<T>::write_report(const IntegrationReport& report, Index first, Index count,
                           const FlowWorkspace<T>& workspace) const {
  const auto chunk = report.part(first, count);
  std::ranges::fill(chunk.error, 0.0);
  std::ranges::fill(chunk.evaluations, Index{0});
  for (std::size_t k = 0; k < roles_.size(); ++k) {
    if (roles_[k].integrated != nullptr) roles_[k].integrated->add_report(*workspace.parts_.states[k], chunk);
  }
}

template <class T>
void Flow<T>::gradient_of_raw_parameters(std::span<T> gradient) const {
  for (const auto& role : roles_) {
    if (role.trained != nullptr) role.trained->gradient_of_raw_parameters(gradient);
  }
}

template <class T>
void Flow<T>::bake_normalization() {
  prepare(Normalization::svd);
  for (const auto& role : roles_) {
    if (role.trained != nullptr) role.trained->bake_normalization(parameters());
  }
}

template <class T>
void Flow<T>::require_batch(const char* name, const Batch<T>& batch, std::size_t log_prob, std::size_t status) const {
  const auto& [x, context, weight, draws] = batch;
  require<ShapeError>(x.rows() == dimension() && x.cols() == static_cast<Index>(log_prob) && log_prob == status,
                      "{}: ({} × {}) samples, {} log-densities and {} statuses do not fit a flow of dimension {}", name,
                      x.rows(), x.cols(), log_prob, status, dimension());
  const Index wanted = architecture_.data.context;
  require<ShapeError>(context.rows() == wanted && (wanted == 0 || context.cols() == x.cols()),
                      "{}: a context of ({} × {}) for {} samples of a flow that is conditioned on {} values", name,
                      context.rows(), context.cols(), x.cols(), wanted);
  require<ShapeError>(weight.empty() || std::ssize(weight) == x.cols(), "{}: {} weights for {} samples", name,
                      weight.size(), x.cols());
}

template <class T>
void Flow<T>::initialize_from_data(const Batch<T>& batch, Index bytes) {
  const Index n = batch.size();
  std::vector<double> log_det(n);
  std::vector<Status> status(log_det.size());
  require_batch("initialize_from_data", batch, log_det.size(), status.size());
  // All samples as they arrive at a transform. Chunk by chunk, the output overwrites the input, which is never smaller.
  Matrix<T> samples(batch.x);
  const auto plan = [&](std::size_t k, Index count, linalg::Workspace& kept, linalg::Workspace& scratch) {
    const auto z = kept.matrix<T>(transforms_[k]->input_shape().size(), count);
    return std::pair(z, transforms_[k]->plan(kept, scratch, count, Pass::map_only));
  };
  // Nothing needs the image of the last transform. All transforms share two pieces of memory with half of `bytes` each.
  const std::size_t images = transforms_.empty() ? 0 : transforms_.size() - 1;
  std::vector<Index> chunks;
  Index most_kept = 0, most_scratch = 0;
  for (std::size_t k = 0; k < images; ++k) {
    const auto measure = [&](Index count) {
      linalg::Workspace kept, scratch;
      plan(k, count, kept, scratch);
      return std::pair(kept.peak(), scratch.peak());
    };
    chunks.push_back(linalg::largest_that_fits(n, [&](Index count) {
      const auto [kept, scratch] = measure(count);
      return std::max(kept, scratch) <= bytes / 2;
    }));
    const auto [kept, scratch] = measure(chunks.back());
    most_kept = std::max(most_kept, kept);
    most_scratch = std::max(most_scratch, scratch);
  }
  linalg::Workspace kept(most_kept), scratch(most_scratch);
  for (std::size_t k = 0; k < transforms_.size(); ++k) {
    auto& transform = *transforms_[k];
    const Index rows = transform.input_shape().size(), going_on = transform.output_shape().size();
    if (auto* const trained = roles_[k].trained; trained != nullptr) {
      trained->initialize_from_data(parameters(), MatrixView<T>(samples.data(), rows, n));
      trained->prepare(parameters_.span(), Normalization::svd);
    }
    if (k >= images) break;
    kept.release(0);
    scratch.release(0);
    const auto [z, state] = plan(k, chunks[k], kept, scratch);
    in_chunks(n, chunks[k], [&, z = z, &state = *state](Index first, Index count) {
      auto chunk = batch.part(first, count);
      chunk.draws.block = static_cast<std::uint64_t>(k);
      chunk.x = MatrixView<T>(samples.data() + first * rows, rows, count);
      const auto to = z.columns(0, count);
      transform.forward(state, chunk, to, part(std::span(log_det), first, count),
                        part(std::span(status), first, count));
      copy_rows<T>(to.block(0, 0, going_on, count), {samples.data() + first * going_on, going_on, count});
    });
  }
}

template <class T>
void Flow<T>::map(const Batch<T>& batch, MatrixView<T> z, std::span<Status> status, FlowWorkspace<T>& workspace) const {
  require_batch("map", batch, status.size(), status.size());
  require<ShapeError>(z.rows() == dimension() && z.cols() == batch.size(),
                      "map: latents ({} × {}) do not fit samples ({} × {})", z.rows(), z.cols(), dimension(),
                      batch.size());
  std::vector<double> ignored(std::min(batch.size(), workspace.capacity()));
  in_chunks(batch.size(), workspace.capacity(), [&](Index first, Index count) {
    const auto chunk = batch.part(first, count);
    const auto outcome = part(status, first, count);
    start_status(chunk.x, outcome);
    const auto latent = pass(chunk, std::ssize(transforms_), LogDets::all, part(std::span(ignored), 0, count), outcome,
                             workspace, [](Index, const auto&, const auto&) {});
    copy_rows<T>(latent, z.columns(first, count));
  });
}

template <class T>
bool Flow<T>::is_bounded() const {
  for (Index k = fixed_transforms(); k < std::ssize(transforms_); ++k) {
    const auto* const supported = roles_[k].supported;
    for (Index row = 0; supported != nullptr && row < transforms_[k]->input_shape().size(); ++row) {
      if (pushforward::is_bounded(supported->support(row))) return true;
    }
  }
  return has_bounds(*base_);
}

template <class T>
Index Flow<T>::fixed_transforms() const {
  const auto trained = std::ranges::find_if(roles_, [](const auto& role) { return role.trained != nullptr; });
  return trained - roles_.begin();
}

template <class T>
std::optional<Exclusion> Flow<T>::excluded(const Batch<T>& batch, Reach reach, FlowWorkspace<T>& workspace) const {
  const bool whole = reach == Reach::whole;
  const Index last = whole ? std::ssize(transforms_) : fixed_transforms();
  std::optional<Exclusion> found;
  std::vector<Status> status(batch.size());
  std::vector<double> log_det(status.size());
  require_batch("excluded", batch, status.size(), status.size());
  in_chunks(batch.size(), workspace.capacity(), [&](Index first, Index count) {
    if (found) return;
    const auto outcome = part(std::span(status), first, count);
    const auto chunk = batch.part(first, count);
    start_status(chunk.x, outcome);
    // The first sample counts, not the first transform.
    std::optional<Exclusion> here;
    const auto note = [&](Index k, Index sample, auto&& reason) {
      if (here && here->sample <= first + sample) return;
      here = {k, first + sample, outcome[sample], reason()};
    };
    const auto counts = [&](Status s) { return whole ? s == Status::outside_support : s != Status::ok; };
    const auto latent = pass(chunk, last, LogDets::all, part(std::span(log_det), first, count), outcome, workspace,
                             [&](Index k, ConstMatrixView<T> from, ConstMatrixView<T>) {
                               const auto bad = std::ranges::find_if(outcome, counts);
                               if (bad == outcome.end()) return;
                               const Index sample = bad - outcome.begin();
                               const auto* const supported = roles_[k].supported;
                               note(k, sample, [&] { return why_excluded<T>(supported, from.column_span(sample)); });
                             });
    if (whole && has_bounds(*base_)) {
      const auto log_p = part(std::span(log_det), first, count);
      std::ranges::fill(log_p, 0.0);
      base_->log_prob(latent, log_p);
      for (Index j = 0; j < count; ++j) {
        auto& s = outcome[j];
        if (s != Status::ok || log_p[j] != -std::numeric_limits<double>::infinity()) continue;
        s = Status::outside_support;
        note(std::ssize(transforms_), j, [&] { return why_excluded<T>(*base_, latent.column_span(j)); });
        break;
      }
    }
    found = here;
  });
  return found;
}

template <class T>
template <class Seen>
ConstMatrixView<T> Flow<T>::pass(const Batch<T>& chunk, Index last, LogDets log_dets, std::span<double> log_prob,
                                 std::span<Status> status, FlowWorkspace<T>& workspace, Seen&& seen) const {
  const Index n = chunk.size();
  const auto latent = workspace.parts_.latent.columns(0, n);
  ConstMatrixView<T> at = chunk.x;
  for (Index k = 0; k < last; ++k) {
    const auto which = static_cast<std::size_t>(k);
    const auto& level = workspace.parts_.levels[which];
    const auto z = level.all.columns(0, n);
    Batch<T> batch{.x = at, .context = chunk.context, .draws = chunk.draws};
    batch.draws.block = static_cast<std::uint64_t>(k);
    auto& state = *workspace.parts_.states[which];
    const auto* const integrated = roles_[which].integrated;
    if (log_dets == LogDets::but_integrated && integrated != nullptr) {
      integrated->forward_without_log_det(state, batch, z, status);
    } else {
      transforms_[which]->forward(state, batch, z, log_prob, status);
    }
    seen(k, at, ConstMatrixView<T>(z));
    at = z;
    if (level.kept.empty()) continue;
    const Index kept = level.kept.rows();
    copy_rows<T>(z.block(kept, 0, z.rows() - kept, n), latent, kept);
    copy_rows<T>(z.block(0, 0, kept, n), level.kept.columns(0, n));
    at = level.kept.columns(0, n);
  }
  if (latent.empty()) return at;
  copy_rows<T>(at, latent);
  return latent;
}

template <class T>
ConstMatrixView<T> Flow<T>::forward(const Batch<T>& chunk, Index first, LogDets log_dets, std::span<double> log_prob,
                                    std::span<Status> status, FlowWorkspace<T>& workspace) const {
  start_status(chunk.x, status);
  std::fill(log_prob.begin(), log_prob.end(), 0.0);
  const auto note = [&](Index k) { note_failure(workspace.failure_, k, first, status); };
  const auto at = pass(chunk, std::ssize(transforms_), log_dets, log_prob, status, workspace,
                       [&](Index k, const auto&, const auto&) { note(k); });
  base_->log_prob(at, log_prob);
  mark_failures(*base_, log_prob, status);
  note(std::ssize(transforms_));
  return at;
}

template <class T>
void Flow<T>::add_integrated_log_dets(Index first, std::span<double> log_prob, std::span<Status> status,
                                      FlowWorkspace<T>& workspace) const {
  for (Index k = 0; k < std::ssize(transforms_); ++k) {
    const auto* const integrated = roles_[k].integrated;
    if (integrated == nullptr) continue;
    integrated->add_log_det(*workspace.parts_.states[k], log_prob, status);
    note_failure(workspace.failure_, k, first, status);
  }
  mark_failures(*base_, log_prob, status);
}

template <class T>
void Flow<T>::log_prob(const Batch<T>& batch, std::span<double> log_prob, MatrixView<T> z, std::span<Status> status,
                       FlowWorkspace<T>& workspace, const IntegrationReport& report) const {
  require_batch("log_prob", batch, log_prob.size(), status.size());
  require<ShapeError>(z.empty() || (z.rows() == dimension() && z.cols() == batch.size()),
                      "log_prob: latents ({} × {}) do not fit samples ({} × {})", z.rows(), z.cols(), dimension(),
                      batch.size());
  require<ShapeError>(workspace.pass() != Pass::map_only,
                      "log_prob: a workspace that is planned for maps, without log-dets");
  workspace.failure_.reset();
  in_chunks(batch.size(), workspace.capacity(), [&](Index first, Index count) {
    const auto latent = forward(batch.part(first, count), first, LogDets::all, part(log_prob, first, count),
                                part(status, first, count), workspace);
    if (!z.empty()) copy_rows<T>(latent, z.columns(first, count));
    write_report(report, first, count, workspace);
  });
}

template <class T>
void Flow<T>::inverse(ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_prob, std::span<Status> status,
                      const InverseOptions& options, FlowWorkspace<T>& workspace, ConstMatrixView<T> context,
                      const IntegrationReport& report, const logdet::Draws& draws) const {
  const Batch<T> batch{.x = z, .context = context, .draws = draws};
  require_batch("inverse", batch, log_prob.size(), status.size());
  require<ShapeError>(x.rows() == dimension() && x.cols() == z.cols(),
                      "inverse: samples ({} × {}) do not fit latents ({} × {})", x.rows(), x.cols(), z.rows(),
                      z.cols());
  require<ShapeError>(workspace.pass() == Pass::evaluate,
                      "inverse: a workspace that is planned for {}, not for evaluation",
                      workspace.pass() == Pass::map_only ? "maps" : "a gradient");
  require<OptionError>(options.tolerance > 0 && options.max_iterations >= 1,
                       "inverse: tolerance {} must be positive, and at least one iteration allowed ({})",
                       options.tolerance, options.max_iterations);
  in_chunks(z.cols(), workspace.capacity(), [&](Index first, Index count) {
    const auto log_p = part(log_prob, first, count);
    const auto outcome = part(status, first, count);
    const auto latent = z.columns(first, count);
    start_status(latent, outcome);
    std::fill(log_p.begin(), log_p.end(), 0.0);
    base_->log_prob(latent, log_p);
    // The transforms give log|det ∂x/∂z|; log p(x) needs its negative.
    for (double& value : log_p) value = -value;
    auto& parts = workspace.parts_;
    ConstMatrixView<T> at = latent;
    if (!parts.latent.empty()) {
      const MatrixView<T> going_on(parts.latent.data(), transforms_.back()->output_shape().size(), count);
      copy_rows<T>(latent.block(0, 0, going_on.rows(), count), going_on);
      at = going_on;
    }
    for (auto k = std::ssize(transforms_) - 1; k >= 0; --k) {
      const auto& level = parts.levels[k];
      if (!level.kept.empty()) at = joined<T>(at, latent, parts.joined.data(), level.all.rows());
      const auto to = level.all.columns(0, count);
      auto chunk = batch.part(first, count);
      chunk.x = at;
      chunk.draws.block = static_cast<std::uint64_t>(k);
      transforms_[k]->inverse(*parts.states[k], chunk, to, log_p, outcome, options);
      at = to;
    }
    for (double& value : log_p) value = -value;
    mark_failures(*base_, log_p, outcome);
    copy_rows<T>(at, x.columns(first, count));
    write_report(report, first, count, workspace);
  });
}

template <class T>
double Flow<T>::add_gradient(const Batch<T>& batch, std::span<T> gradient, std::span<double> log_prob,
                             std::span<Status> status, FlowWorkspace<T>& workspace) const {
  require_batch("add_gradient", batch, log_prob.size(), status.size());
  require<ShapeError>(std::ssize(gradient) == layout_.size() && workspace.pass() == Pass::gradient,
                      "add_gradient: a gradient of {} for {} parameters, or a workspace that keeps no gradient",
                      gradient.size(), layout_.size());
  double sum = 0;
  workspace.failure_.reset();
  in_chunks(batch.size(), workspace.capacity(), [&](Index first, Index count) {
    auto& parts = workspace.parts_;
    const auto chunk = batch.part(first, count);
    const auto log_p = part(log_prob, first, count);
    const auto w = chunk.weight;
    const auto outcome = part(status, first, count);
    const auto z = forward(chunk, first, LogDets::but_integrated, log_p, outcome, workspace);
    T *bar = parts.bar.data(), *next = parts.next_bar.data();
    const auto latent_bar = parts.latent_bar.columns(0, count);
    {
      const PhaseScope scope(Phase::reverse);
      base_->reverse(z, w, {bar, dimension(), count}, gradient);
    }
    if (!latent_bar.empty()) {
      copy_rows<T>(ConstMatrixView<T>(bar, dimension(), count), latent_bar);
      const MatrixView<T> going_on(bar, transforms_.back()->output_shape().size(), count);
      copy_rows<T>(latent_bar.block(0, 0, going_on.rows(), count), going_on);
    }
    for (auto k = std::ssize(transforms_) - 1; k >= 0; --k) {
      const auto& transform = *transforms_[k];
      const Index rows = transform.input_shape().size(), kept = transform.output_shape().size();
      if (kept < rows) {
        joined<T>(ConstMatrixView<T>(bar, kept, count), latent_bar, next, rows);
        std::swap(bar, next);
      }
      transform.reverse(*parts.states[k], arrival(parts, k, chunk.x), ConstMatrixView<T>(bar, rows, count), w,
                        MatrixView<T>(next, rows, count), gradient);
      std::swap(bar, next);
    }
    add_integrated_log_dets(first, log_p, outcome, workspace);
    for (std::size_t i = 0; i < log_p.size(); ++i) sum += (w.empty() ? 1.0 : static_cast<double>(w[i])) * log_p[i];
  });
  return sum;
}

template <class T>
void Flow<T>::add_inverse_gradient(const Batch<T>& batch, ConstMatrixView<T> x_bar, std::span<T> gradient,
                                   MatrixView<T> z_bar, std::span<double> log_prob, std::span<Status> status,
                                   FlowWorkspace<T>& workspace) const {
  const Index d = dimension(), n = batch.size();
  require_batch("add_inverse_gradient", batch, log_prob.size(), status.size());
  require<ShapeError>(
      x_bar.rows() == d && x_bar.cols() == n && z_bar.rows() == d && z_bar.cols() == n &&
          std::ssize(gradient) == layout_.size() && (batch.weight.empty() || std::ssize(batch.weight) == n) &&
          workspace.pass() == Pass::gradient,
      "add_inverse_gradient: cotangents ({} × {}) and ({} × {}), a gradient of {} for {} parameters, {} "
      "weights for {} samples of {} values, or a workspace that keeps no gradient",
      x_bar.rows(), x_bar.cols(), z_bar.rows(), z_bar.cols(), gradient.size(), layout_.size(), batch.weight.size(), n,
      d);
  workspace.failure_.reset();
  auto& parts = workspace.parts_;
  if (workspace.third_bar_.size() == 0) workspace.third_bar_ = Matrix<T>(d, workspace.capacity());
  in_chunks(n, workspace.capacity(), [&](Index first, Index count) {
    const auto chunk = batch.part(first, count);
    const auto log_p = part(log_prob, first, count);
    const auto outcome = part(status, first, count);
    const auto latent = forward(chunk, first, LogDets::but_integrated, log_p, outcome, workspace);
    // From the data to the latents, bar is the x̄ of a transform and then its z̄.
    T *bar = parts.bar.data(), *next = parts.next_bar.data();
    copy_rows<T>(x_bar.columns(first, count), {bar, d, count});
    const auto latent_bar = parts.latent_bar.columns(0, count);
    for (Index k = 0; k < std::ssize(transforms_); ++k) {
      const auto& transform = *transforms_[k];
      const Index rows = transform.input_shape().size(), kept = transform.output_shape().size();
      const MatrixView<T> cotangents(bar, rows, count);
      reverse_of_inverse<T>(transform, *parts.states[k], arrival(parts, k, chunk.x), cotangents, chunk.weight,
                            cotangents, gradient, {workspace.third_bar_.data(), rows, count}, {next, rows, count});
      if (kept == rows) continue;
      copy_rows<T>(cotangents.block(kept, 0, rows - kept, count), latent_bar, kept);
      copy_rows<T>(cotangents.block(0, 0, kept, count), {next, kept, count});
      std::swap(bar, next);
    }
    add_integrated_log_dets(first, log_p, outcome, workspace);
    const auto to = z_bar.columns(first, count);
    base_->reverse(latent, chunk.weight, {next, d, count}, gradient);
    if (latent_bar.empty()) {
      copy_rows<T>(ConstMatrixView<T>(bar, d, count), to);
    } else {
      copy_rows<T>(latent_bar, to);
      copy_rows<T>(ConstMatrixView<T>(bar, transforms_.back()->output_shape().size(), count), to);
    }
    for (Index j = 0; j < count; ++j) {
      for (Index i = 0; i < d; ++i) to(i, j) += next[i + j * d];
    }
  });
}

template class Flow<float>;
template class Flow<double>;

}  // namespace pushforward::flow
