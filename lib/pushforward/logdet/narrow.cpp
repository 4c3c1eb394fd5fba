#include <pushforward/core/timer.hpp>
#include <pushforward/logdet/cost.hpp>
#include <pushforward/logdet/narrow.hpp>

#include <array>

namespace pushforward::logdet {

namespace {

using linalg::gemm;
using linalg::gemm_flops;
using linalg::Op;

template <class T>
struct NarrowState final : Estimator<T>::State {
  // The matrices of one hop, (w × n·r). They are the same memory if nothing is kept or nothing is scaled.
  struct Tangents {
    MatrixView<T> raw;  // T̂; empty in the first
    MatrixView<T> scaled;
  };

  MatrixView<T> joined, joined_bar;       // P, P̄ (h₁ × h_L)
  std::vector<Tangents> tangents;         // by hop
  std::array<MatrixView<T>, 2> exchange;  // of even and odd hops: tangents that are not kept, then cotangents
  MatrixView<T> end_bar;                  // Mᵀ, then τ̄ and T̄ of the last hop (r × n·r)
  std::span<int> pivots;                  // (n·r)
};

// Back through the slopes d of one sample: d̄ ← Σⱼ τ̄ⱼ ∘ T̂ⱼ, and T̄ = d ∘ τ̄, which is written or, where one T̂ serves all
// samples, added to their sum unless `to` is empty. raw, bar, to: (w × r); to may alias bar.
template <bool add, class T>
void reverse_slopes(std::span<const T> d, ConstMatrixView<T> raw, ConstMatrixView<T> bar, std::span<T> d_bar,
                    MatrixView<T> to) {
  const auto w = std::ssize(d);
  const T* const slope = d.data();
  T* const sum = d_bar.data();
  std::fill_n(sum, w, T(0));
  for (Index j = 0; j < bar.cols(); ++j) {
    const T* const t = raw.column(j);
    const T* const b = bar.column(j);
    if (add && to.empty()) {
      for (Index i = 0; i < w; ++i) sum[i] += b[i] * t[i];
      continue;
    }
    T* const out = to.column(j);
#pragma GCC ivdep
    for (Index i = 0; i < w; ++i) {
      sum[i] += b[i] * t[i];
      const T scaled = slope[i] * b[i];
      out[i] = add ? out[i] + scaled : scaled;
    }
  }
}

}  // namespace

template <class T>
NarrowEstimator<T>::NarrowEstimator(const nn::NetworkOptions& network, Index h) : width_(network.hidden[h]) {
  const auto& hidden = network.hidden;
  const Index count = std::ssize(hidden);
  const auto to_hidden = [&](std::optional<Index> layer, Index to) { walk_.push_back({layer, to, hidden[to]}); };
  // The first leads to a hidden layer: joins_ends() says yes where it would not.
  for (Index l = h + 1; l < count; ++l) to_hidden(l, l);
  if (joins_ends(network, h)) {
    to_hidden({}, 0);
  } else {
    walk_.push_back({count, {}, network.out});
    to_hidden(0, 0);
  }
  for (Index l = 1; l <= h; ++l) to_hidden(l, l);
}

template <class T>
std::unique_ptr<typename Estimator<T>::State> NarrowEstimator<T>::plan(const nn::Network<T>& network,
                                                                       linalg::Workspace& kept,
                                                                       linalg::Workspace& scratch, Index n,
                                                                       nn::Pass pass) const {
  auto state = std::make_unique<NarrowState<T>>();
  const bool gradient = pass == nn::Pass::gradient;
  const Index columns = n * width_;
  std::array<Index, 2> widest{};
  for (std::size_t i = 0; i < walk_.size(); ++i) widest[i % 2] = std::max(widest[i % 2], walk_[i].rows);
  for (std::size_t p = 0; p < 2; ++p) state->exchange[p] = scratch.matrix<T>(widest[p], columns);
  state->pivots = scratch.take<int>(columns);

  for (std::size_t i = 0; i < walk_.size(); ++i) {
    const auto& hop = walk_[i];
    if (!hop.layer) {
      const Index last = network.options().hidden.back();
      state->joined = (gradient ? kept : scratch).matrix<T>(hop.rows, last);
      if (gradient) state->joined_bar = scratch.matrix<T>(hop.rows, last);
    }
    auto& t = state->tangents.emplace_back();
    const bool end = i + 1 == walk_.size();
    t.scaled = gradient && !end ? kept.matrix<T>(hop.rows, columns)
                                : MatrixView<T>(state->exchange[i % 2].data(), hop.rows, columns);
    t.raw = gradient && i > 0 && hop.slopes ? kept.matrix<T>(hop.rows, columns) : t.scaled;
  }
  if (gradient) state->end_bar = kept.matrix<T>(width_, columns);
  return state;
}

template <class T>
void NarrowEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                  typename Estimator<T>::State& state, const Draws&, const Estimate& result) const {
  auto& s = static_cast<NarrowState<T>&>(state);
  const auto& layers = network.layers();
  const Index n = passes.samples(), r = width_, columns = n * r;
  const bool gradient = passes.pass() == nn::Pass::gradient;
  if (!s.joined.empty()) {
    const auto first = layers.front()->weight(), last = layers.back()->weight();
    const PhaseScope scope(Phase::tangents, gemm_flops(first.rows(), last.cols(), first.cols()));
    gemm(Op::none, Op::none, T(1), first, last, T(0), s.joined);
  }

  MatrixView<T> t;
  for (std::size_t i = 0; i < walk_.size(); ++i) {
    const auto& hop = walk_[i];
    const ConstMatrixView<T> v = hop.layer ? layers[*hop.layer]->weight() : s.joined;
    const auto raw = s.tangents[i].raw.columns(0, columns), scaled = s.tangents[i].scaled.columns(0, columns);
    if (i > 0) {
      const PhaseScope scope(Phase::tangents, gemm_flops(v.rows(), columns, v.cols()));
      gemm(Op::none, Op::none, T(1), v, t, T(0), raw);
    }
    if (hop.slopes) {
      const PhaseScope scope(Phase::activations);
      const auto slope = passes.slope(*hop.slopes);
      if (i > 0) {
        nn::scale_tangents<T>(slope, r, raw, scaled);
      } else {
        for (Index k = 0; k < n; ++k) nn::scale_tangents<T>(slope.columns(k, 1), r, v, scaled.columns(k * r, r));
      }
    }
    t = scaled;
  }

  const double cube = static_cast<double>(r * r * r) * static_cast<double>(n);
  const PhaseScope scope(Phase::lu, (gradient ? 8.0 / 3.0 : 2.0 / 3.0) * cube);
  for (Index j = 0; j < columns; ++j) t(j % r, j) += T(1);
  const auto pivots = s.pivots.first(columns);
  linalg::lu_log_det(t, pivots, result.value, result.sign);
  if (gradient) linalg::lu_inverse_transpose(t, pivots, result.sign, s.end_bar.columns(0, columns));
  std::fill(result.variance.begin(), result.variance.end(), 0.0);
  std::fill(result.products.begin(), result.products.end(), r);
}

template <class T>
void NarrowEstimator<T>::add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                        typename Estimator<T>::State& state, std::span<const T> weight,
                                        std::span<T> gradient) const {
  auto& s = static_cast<NarrowState<T>&>(state);
  const auto& layers = network.layers();
  const Index n = passes.samples(), r = width_, columns = n * r;
  auto bar = s.end_bar.columns(0, columns);
  if (!weight.empty()) {
    for (Index j = 0; j < columns; ++j) {
      for (T& value : bar.column_span(j)) value *= weight[j / r];
    }
  }
  for (Index j = 0; j < s.joined_bar.cols(); ++j) std::fill_n(s.joined_bar.column(j), s.joined_bar.rows(), T(0));

  for (auto i = walk_.size() - 1;; --i) {
    const auto& hop = walk_[i];
    const auto layer = hop.layer ? layers[*hop.layer].get() : nullptr;
    const auto v = layer != nullptr ? layer->weight() : ConstMatrixView<T>(s.joined);
    const auto v_bar = layer == nullptr   ? s.joined_bar
                       : gradient.empty() ? MatrixView<T>()
                                          : layer->weight_gradient(gradient);
    if (hop.slopes) {
      const PhaseScope scope(Phase::activations);
      const auto d = passes.slope(*hop.slopes);
      const auto d_bar = passes.slope_bar(*hop.slopes);
      for (Index k = 0; k < n; ++k) {
        const auto of_sample = bar.columns(k * r, r);
        if (i == 0) {
          reverse_slopes<true, T>(d.column_span(k), v, of_sample, d_bar.column_span(k), v_bar);
        } else {
          reverse_slopes<false, T>(d.column_span(k), s.tangents[i].raw.columns(k * r, r), of_sample,
                                   d_bar.column_span(k), of_sample);
        }
      }
    }
    if (i == 0) break;
    const MatrixView<T> next(s.exchange[(i - 1) % 2].data(), v.cols(), columns);
    const PhaseScope scope(Phase::reverse, 2 * gemm_flops(v.rows(), columns, v.cols()));
    if (!v_bar.empty()) {
      gemm(Op::none, Op::transpose, T(1), bar, s.tangents[i - 1].scaled.columns(0, columns), T(1), v_bar);
    }
    gemm(Op::transpose, Op::none, T(1), v, bar, T(0), next);
    bar = next;
  }

  if (s.joined.empty() || gradient.empty()) return;
  const auto first = layers.front()->weight(), last = layers.back()->weight();
  const PhaseScope scope(Phase::reverse, 2 * gemm_flops(first.rows(), last.cols(), first.cols()));
  gemm(Op::none, Op::transpose, T(1), s.joined_bar, last, T(1), layers.front()->weight_gradient(gradient));
  gemm(Op::transpose, Op::none, T(1), first, s.joined_bar, T(1), layers.back()->weight_gradient(gradient));
}

template class NarrowEstimator<float>;
template class NarrowEstimator<double>;

}  // namespace pushforward::logdet
