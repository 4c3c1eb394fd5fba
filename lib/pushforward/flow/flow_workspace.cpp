#include <pushforward/core/memory.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/flow/flow.hpp>

#include <algorithm>
#include <array>

namespace pushforward::flow {

namespace {

constexpr Index cache = 1 << 20;    // bytes of a core's own cache
constexpr Index least_chunk = 128;  // samples; with fewer, products lose more than the cache gains

Index quotient_up(Index a, Index b) {
  return (a + b - 1) / b;
}

}  // namespace

template <class T>
FlowWorkspace<T>::FlowWorkspace(const Flow<T>& flow, Index n, Pass pass) : capacity_(n), pass_(pass) {
  require<ShapeError>(n >= 1, "workspace for {} samples: must be at least 1", n);
  linalg::Workspace kept, scratch;
  plan(flow, n, pass, kept, scratch);
  const auto bytes = static_cast<double>(kept.peak()) + static_cast<double>(scratch.peak());
  if (!fits_in_memory(bytes)) {
    require_memory(bytes, fmt::format("passes of {} samples at a time need", n),
                   pass == Pass::map_only ? "take fewer" : fmt::format("take fewer; {}", demand(flow, pass)));
  }
  kept_ = linalg::Workspace(kept.peak());
  scratch_ = linalg::Workspace(scratch.peak());
  parts_ = plan(flow, n, pass, kept_, scratch_);
}

template <class T>
Index FlowWorkspace<T>::bytes_for(const Flow<T>& flow, Index n, Pass pass) {
  linalg::Workspace kept, scratch;
  plan(flow, n, pass, kept, scratch);
  return kept.peak() + scratch.peak();
}

template <class T>
FlowWorkspace<T> FlowWorkspace<T>::within(const Flow<T>& flow, Index bytes, Index most, Pass pass) {
  const auto in_cache = [&](Index n) {
    linalg::Workspace kept, scratch;
    return plan(flow, n, pass, kept, scratch).largest <= cache;
  };
  const Index n =
      linalg::largest_that_fits(most, [&](Index samples) { return bytes_for(flow, samples, pass) <= bytes; });
  const Index cached = linalg::largest_that_fits(n, in_cache);
  if (cached == n || cached < least_chunk) return FlowWorkspace(flow, n, pass);
  return FlowWorkspace(flow, quotient_up(most, quotient_up(most, cached)), pass);
}

template <class T>
std::string FlowWorkspace<T>::demand(const Flow<T>& flow, Pass pass) {
  auto text = fmt::format("a sample takes {}", human_bytes(static_cast<double>(bytes_for(flow, 1, pass))));
  Index most = -1;
  std::size_t at = 0;
  for (std::size_t k = 0; k < flow.transforms().size(); ++k) {
    linalg::Workspace kept, scratch;
    flow.transforms()[k]->plan(kept, scratch, 1, pass);
    if (kept.peak() + scratch.peak() <= most) continue;
    most = kept.peak() + scratch.peak();
    at = k;
  }
  if (most < 0) return text;
  const auto& transform = *flow.transforms()[at];
  text += fmt::format(", most of it transform {} ({})", at, transform.kind());
  if (const auto* const method = log_det_method(transform, pass)) {
    text += fmt::format(" with log-dets of {} values by {}", transform.input_shape().size(), to_string(*method));
  }
  return text;
}

template <class T>
typename FlowWorkspace<T>::Parts FlowWorkspace<T>::plan(const Flow<T>& flow, Index n, Pass pass,
                                                        linalg::Workspace& kept, linalg::Workspace& scratch) {
  const Index d = flow.dimension();
  const bool gradient = pass == Pass::gradient;
  const auto factors_out = [](const auto& t) { return t->output_shape().size() < t->input_shape().size(); };
  const auto& transforms = flow.transforms();
  Parts parts;
  if (gradient) {
    parts.bar = kept.matrix<T>(d, n);
    parts.next_bar = kept.matrix<T>(d, n);
  }
  if (std::any_of(transforms.begin(), transforms.end(), factors_out)) {
    parts.latent = kept.matrix<T>(d, n);
    (gradient ? parts.latent_bar : parts.joined) = kept.matrix<T>(d, n);
  }
  for (const auto& t : transforms) {
    auto& level = parts.levels.emplace_back();
    if (factors_out(t)) level.kept = kept.matrix<T>(t->output_shape().size(), n);
  }
  const Index shared = gradient ? 0 : d;
  const std::array pair{kept.matrix<T>(shared, n), kept.matrix<T>(shared, n)};
  const Index kept_mark = kept.used();
  for (std::size_t k = 0; k < transforms.size(); ++k) {
    // Scratch serves one transform after the other. In evaluation, so does the memory that a gradient would keep.
    scratch.release(0);
    if (!gradient) kept.release(kept_mark);
    const Index rows = transforms[k]->input_shape().size();
    parts.levels[k].all = gradient ? kept.matrix<T>(rows, n) : MatrixView<T>(pair[k % 2].data(), rows, n);
    const Index before = kept.used();
    parts.states.push_back(transforms[k]->plan(kept, scratch, n, pass));
    parts.largest = std::max(parts.largest, kept.used() - before + scratch.used());
  }
  return parts;
}

template class FlowWorkspace<float>;
template class FlowWorkspace<double>;

}  // namespace pushforward::flow
