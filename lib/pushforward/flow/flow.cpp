#include <pushforward/base/text.hpp>
#include <pushforward/flow/actnorm.hpp>
#include <pushforward/flow/flow.hpp>
#include <pushforward/flow/residual.hpp>

#include <array>
#include <cmath>
#include <numbers>

namespace pushforward::flow {

namespace {

// log N(z; 0, I) in nats.
template <class T>
double standard_normal_log_density(std::span<const T> z) {
  double square = 0;
  for (const T value : z) square += static_cast<double>(value) * static_cast<double>(value);
  return -0.5 * (square + static_cast<double>(z.size()) * std::log(2 * std::numbers::pi));
}

template <class T>
bool all_finite(std::span<const T> x) {
  for (const T value : x) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// Statuses of samples before anything is computed.
template <class T>
void start_status(ConstMatrixView<T> x, std::span<Status> status) {
  for (Index i = 0; i < x.cols(); ++i) {
    status[static_cast<std::size_t>(i)] = all_finite<T>(x.column_span(i)) ? Status::ok : Status::not_finite;
  }
}

void mark_failures(std::span<double> log_prob, std::span<Status> status) {
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] == Status::ok && !std::isfinite(log_prob[i])) status[i] = Status::not_finite;
    if (status[i] != Status::ok) log_prob[i] = std::numeric_limits<double>::quiet_NaN();
  }
}

template <class T>
void require_batch(const char* name, Index d, ConstMatrixView<T> x, std::size_t log_prob, std::size_t status) {
  require<ShapeError>(x.rows() == d && x.cols() == static_cast<Index>(log_prob) && log_prob == status,
                      "{}: ({} × {}) samples, {} log-densities and {} statuses do not fit a flow of dimension {}", name,
                      x.rows(), x.cols(), log_prob, status, d);
}

// Calls f(first, count) for chunks of at most `capacity` of n samples.
template <class F>
void in_chunks(Index n, Index capacity, F&& f) {
  for (Index first = 0; first < n; first += capacity) f(first, std::min(capacity, n - first));
}

template <class U>
std::span<U> part(std::span<U> values, Index first, Index count) {
  return values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

}  // namespace

template <class T>
Flow<T>::Flow(Index dimension, const FlowOptions& options, std::uint64_t seed)
    : dimension_(dimension), options_(options) {
  static const std::vector<std::string> kinds{"residual"};
  require<ShapeError>(dimension >= 1, "flow: dimension {} must be at least 1", dimension);
  require<OptionError>(options.kind == kinds[0], "model.kind = '{}' is unknown{}; there are {}", options.kind,
                       suggestion(options.kind, kinds), join(kinds));
  require<OptionError>(options.blocks >= 1, "model.blocks = {}: must be at least 1", options.blocks);
  const auto path = [&] { return fmt::format("transforms/{:03d}", transforms_.size()); };
  const nn::NetworkOptions network{.in = dimension,
                                   .out = dimension,
                                   .hidden = options.hidden,
                                   .activation = options.activation,
                                   .lipschitz = options.lipschitz};
  for (Index b = 0; b < options.blocks; ++b) {
    if (options.actnorm) transforms_.push_back(std::make_unique<ActNorm<T>>(layout_, path(), Shape::vector(dimension)));
    transforms_.push_back(
        std::make_unique<ResidualBlock<T>>(layout_, path(), network, seed, static_cast<std::uint64_t>(b)));
  }
  if (options.actnorm) transforms_.push_back(std::make_unique<ActNorm<T>>(layout_, path(), Shape::vector(dimension)));
  parameters_ = Matrix<T>(layout_.size(), 1);
  for (const auto& t : transforms_) t->initialise(parameters());
  prepare(Normalization::svd);
}

template <class T>
void Flow<T>::prepare(Normalization normalization) {
  for (auto& t : transforms_) t->prepare(parameters_.span(), normalization);
}

template <class T>
void Flow<T>::set_log_det(Purpose purpose, const logdet::Method& method) {
  for (auto& t : transforms_) t->set_log_det(purpose, method);
}

template <class T>
void Flow<T>::finish_gradient(std::span<T> gradient) const {
  for (const auto& t : transforms_) t->finish_gradient(gradient);
}

template <class T>
void Flow<T>::fold() {
  prepare(Normalization::svd);
  for (const auto& t : transforms_) t->fold(parameters());
}

template <class T>
void Flow<T>::initialise_from_data(ConstMatrixView<T> x) {
  FlowWorkspace<T> workspace(*this, x.cols(), Purpose::evaluate);
  std::vector<double> log_det(static_cast<std::size_t>(x.cols()));
  std::vector<Status> status(log_det.size());
  ConstMatrixView<T> at = x;
  for (std::size_t k = 0; k < transforms_.size(); ++k) {
    transforms_[k]->initialise_from_data(parameters(), at);
    transforms_[k]->prepare(parameters_.span(), Normalization::svd);
    transforms_[k]->forward(*workspace.parts_.states[k], at, workspace.parts_.levels[k], log_det, status);
    at = workspace.parts_.levels[k];
  }
}

template <class T>
ConstMatrixView<T> Flow<T>::forward(ConstMatrixView<T> x, Index first, std::span<double> log_prob,
                                    std::span<Status> status, FlowWorkspace<T>& workspace) const {
  start_status(x, status);
  std::fill(log_prob.begin(), log_prob.end(), 0.0);
  ConstMatrixView<T> at = x;
  for (std::size_t k = 0; k < transforms_.size(); ++k) {
    const auto z = workspace.parts_.levels[k].columns(0, x.cols());
    auto& state = *workspace.parts_.states[k];
    state.draws = workspace.draws_.from(first);
    state.draws.block = static_cast<std::uint64_t>(k);
    transforms_[k]->forward(state, at, z, log_prob, status);
    at = z;
    if (workspace.failure_) continue;
    const auto bad = std::find_if(status.begin(), status.end(), [](Status s) { return s != Status::ok; });
    if (bad != status.end()) workspace.failure_ = {static_cast<Index>(k), first + (bad - status.begin()), *bad};
  }
  for (Index i = 0; i < x.cols(); ++i) {
    log_prob[static_cast<std::size_t>(i)] += standard_normal_log_density<T>(at.column_span(i));
  }
  mark_failures(log_prob, status);
  return at;
}

template <class T>
void Flow<T>::log_prob(ConstMatrixView<T> x, std::span<double> log_prob, MatrixView<T> z, std::span<Status> status,
                       FlowWorkspace<T>& workspace) const {
  require_batch("log_prob", dimension_, x, log_prob.size(), status.size());
  require<ShapeError>(z.empty() || (z.rows() == dimension_ && z.cols() == x.cols()),
                      "log_prob: latents ({} × {}) do not fit samples ({} × {})", z.rows(), z.cols(), x.rows(),
                      x.cols());
  workspace.failure_.reset();
  in_chunks(x.cols(), workspace.capacity(), [&](Index first, Index count) {
    const auto latent =
        forward(x.columns(first, count), first, part(log_prob, first, count), part(status, first, count), workspace);
    for (Index i = 0; !z.empty() && i < count; ++i) std::copy_n(latent.column(i), dimension_, z.column(first + i));
  });
}

template <class T>
void Flow<T>::inverse(ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_prob, std::span<Status> status,
                      const InverseOptions& options, FlowWorkspace<T>& workspace) const {
  require_batch("inverse", dimension_, z, log_prob.size(), status.size());
  require<ShapeError>(x.rows() == dimension_ && x.cols() == z.cols(),
                      "inverse: samples ({} × {}) do not fit latents ({} × {})", x.rows(), x.cols(), z.rows(),
                      z.cols());
  require<OptionError>(options.tolerance > 0 && options.max_iterations >= 1,
                       "inverse: tolerance {} must be positive, and at least one iteration allowed ({})",
                       options.tolerance, options.max_iterations);
  in_chunks(z.cols(), workspace.capacity(), [&](Index first, Index count) {
    const auto log_p = part(log_prob, first, count);
    const auto outcome = part(status, first, count);
    ConstMatrixView<T> at = z.columns(first, count);
    start_status(at, outcome);
    std::fill(log_p.begin(), log_p.end(), 0.0);
    for (Index i = 0; i < count; ++i) {
      log_p[static_cast<std::size_t>(i)] = standard_normal_log_density<T>(at.column_span(i));
    }
    // The transforms give log|det ∂x/∂z|; log p(x) wants its negative.
    for (double& value : log_p) value = -value;
    for (auto k = std::ssize(transforms_) - 1; k >= 0; --k) {
      const auto to = workspace.parts_.levels[static_cast<std::size_t>(k)].columns(0, count);
      transforms_[static_cast<std::size_t>(k)]->inverse(*workspace.parts_.states[static_cast<std::size_t>(k)], at, to,
                                                        log_p, outcome, options);
      at = to;
    }
    for (double& value : log_p) value = -value;
    mark_failures(log_p, outcome);
    for (Index i = 0; i < count; ++i) std::copy_n(at.column(i), dimension_, x.column(first + i));
  });
}

template <class T>
double Flow<T>::add_gradient(ConstMatrixView<T> x, std::span<const T> weight, std::span<T> gradient,
                             std::span<double> log_prob, std::span<Status> status, FlowWorkspace<T>& workspace) const {
  require_batch("add_gradient", dimension_, x, log_prob.size(), status.size());
  require<ShapeError>(
      std::ssize(gradient) == layout_.size() && (weight.empty() || std::ssize(weight) == x.cols()) &&
          workspace.purpose() == Purpose::gradient,
      "add_gradient: a gradient of {} for {} parameters, {} weights for {} samples, or a workspace that "
      "keeps no gradient",
      gradient.size(), layout_.size(), weight.size(), x.cols());
  double sum = 0;
  workspace.failure_.reset();
  in_chunks(x.cols(), workspace.capacity(), [&](Index first, Index count) {
    const auto log_p = part(log_prob, first, count);
    const auto w = weight.empty() ? weight : part(weight, first, count);
    const auto z = forward(x.columns(first, count), first, log_p, part(status, first, count), workspace);
    auto bar = workspace.parts_.bar.columns(0, count), next = workspace.parts_.next_bar.columns(0, count);
    for (Index i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const T scale = w.empty() ? T(1) : w[at];
      sum += static_cast<double>(scale) * log_p[at];
      for (Index r = 0; r < dimension_; ++r) bar(r, i) = -scale * z(r, i);
    }
    for (auto k = std::ssize(transforms_) - 1; k >= 0; --k) {
      transforms_[static_cast<std::size_t>(k)]->reverse(*workspace.parts_.states[static_cast<std::size_t>(k)], bar, w,
                                                        next, gradient);
      std::swap(bar, next);
    }
  });
  return sum;
}

template <class T>
FlowWorkspace<T>::FlowWorkspace(const Flow<T>& flow, Index n, Purpose purpose) : capacity_(n), purpose_(purpose) {
  require<ShapeError>(n >= 1, "workspace for {} samples: must be at least 1", n);
  linalg::Workspace kept, scratch;
  plan(flow, n, purpose, kept, scratch);
  kept_ = linalg::Workspace(kept.peak());
  scratch_ = linalg::Workspace(scratch.peak());
  parts_ = plan(flow, n, purpose, kept_, scratch_);
}

template <class T>
Index FlowWorkspace<T>::bytes_for(const Flow<T>& flow, Index n, Purpose purpose) {
  linalg::Workspace kept, scratch;
  plan(flow, n, purpose, kept, scratch);
  return kept.peak() + scratch.peak();
}

template <class T>
FlowWorkspace<T> FlowWorkspace<T>::within(const Flow<T>& flow, Index bytes, Index most, Purpose purpose) {
  Index fits = 1, beyond = std::max<Index>(most, 1) + 1;
  while (beyond - fits > 1) {
    const Index middle = fits + (beyond - fits) / 2;
    (bytes_for(flow, middle, purpose) <= bytes ? fits : beyond) = middle;
  }
  return FlowWorkspace(flow, fits, purpose);
}

template <class T>
typename FlowWorkspace<T>::Parts FlowWorkspace<T>::plan(const Flow<T>& flow, Index n, Purpose purpose,
                                                        linalg::Workspace& kept, linalg::Workspace& scratch) {
  const Index d = flow.dimension();
  const bool gradient = purpose == Purpose::gradient;
  Parts parts;
  if (gradient) {
    parts.bar = kept.matrix<T>(d, n);
    parts.next_bar = kept.matrix<T>(d, n);
  }
  const std::array pair{kept.matrix<T>(d, n), kept.matrix<T>(d, n)};
  const Index kept_mark = kept.used();
  for (std::size_t k = 0; k < flow.transforms().size(); ++k) {
    // Scratch serves one transform after the other; so does, in evaluation, what a gradient would keep.
    scratch.release(0);
    if (!gradient) kept.release(kept_mark);
    parts.levels.push_back(gradient ? kept.matrix<T>(d, n) : pair[k % 2]);
    parts.states.push_back(flow.transforms()[k]->plan(kept, scratch, n, purpose));
  }
  return parts;
}

template class Flow<float>;
template class Flow<double>;
template class FlowWorkspace<float>;
template class FlowWorkspace<double>;

}  // namespace pushforward::flow
