#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/logdet/hessenberg.hpp>
#include <pushforward/logdet/krylov.hpp>
#include <pushforward/logdet/probe_mean.hpp>
#include <pushforward/logdet/trace.hpp>

#include <cmath>
#include <optional>

namespace pushforward::logdet {

namespace {

template <class T>
struct KrylovState final : Estimator<T>::State {
  KrylovState(const nn::Network<T>& network, Index columns, bool has_trace, Index most_steps, linalg::Workspace& kept,
              linalg::Workspace& scratch, Index n)
      : most(most_steps),
        probes(kept.matrix<T>(network.in(), columns)),
        lengths(scratch.take<double>(columns)),
        values(scratch.take<double>(columns)),
        trace_values(scratch.take<double>(n)),
        hessenbergs(scratch.take<double>(columns * (most + 1) * most)),
        work(scratch.take<double>(std::max(log_form_work(most), (most + 1) * (most + 1)))),
        solution(scratch.take<double>(most)),
        steps(scratch.take<Index>(columns)) {
    if (has_trace) {
      terms = most >= 2 ? ExactTrace<T>::most_terms(network.options()) : 1;
      trace.emplace(network, kept, n, terms);
    }
    for (Index k = 0; k <= most; ++k) basis.push_back(scratch.matrix<T>(network.in(), columns));
  }

  /// H̄ of probe c, ((most + 1) × most), zero beyond the steps that it took.
  MatrixView<double> hessenberg(Index c) const { return {hessenbergs.data() + c * (most + 1) * most, most + 1, most}; }

  Index most;                        // steps for which there is room
  Index terms = 0;                   // of the series that are exact
  MatrixView<T> probes;              // v: (d × n·m)
  std::vector<MatrixView<T>> basis;  // qₖ of each probe: (d × n·m)
  std::span<double> lengths;         // ‖v‖: (n·m)
  std::span<double> values, trace_values, hessenbergs, work, solution;
  std::span<Index> steps;  // that each probe took: (n·m)
  std::optional<ExactTrace<T>> trace;
};

// y += factor · x.
template <class T>
void add_multiple(double factor, const T* __restrict x, T* __restrict y, Index n) {
  const T f = static_cast<T>(factor);
  for (Index i = 0; i < n; ++i) y[i] += f * x[i];
}

// to = factor · from; to may be from.
template <class T>
void scale(double factor, const T* from, T* to, Index n) {
  const T f = static_cast<T>(factor);
  for (Index i = 0; i < n; ++i) to[i] = f * from[i];
}

// One step: w = A qₖ stands in the place of qₖ₊₁; orthogonalized against all before it, again where the first time took
// away most of it [Daniel et al. 1976], and normalized. False where nothing is left: the basis is complete, and goes on
// with zeros, which change nothing.
template <class T>
bool orthogonalize(std::span<const MatrixView<T>> basis, Index k, Index column, MatrixView<double> h) {
  const Index d = basis[0].rows();
  T* const w = basis[k + 1].column(column);
  double whole = 0, length = 0;  // ‖w‖ before and after
  for (int pass = 0; pass < 2; ++pass) {
    double taken = 0;
    for (Index l = 0; l <= k; ++l) {
      const T* const q = basis[l].column(column);
      const double along = linalg::dot_in_double<T>(q, w, d);
      h(l, k) += along;
      taken += along * along;
      add_multiple(-along, q, w, d);
    }
    const double left = linalg::dot_in_double<T>(w, w, d), before = taken + left;
    length = std::sqrt(left);
    if (pass == 0) whole = std::sqrt(before);
    if (left > 0.49 * before) break;
  }
  const bool goes_on = length > 16 * static_cast<double>(std::numeric_limits<T>::epsilon()) * whole;
  h(k + 1, k) = goes_on ? length : 0;
  if (goes_on) {
    scale(1 / length, w, w, d);
  } else {
    std::fill_n(w, d, T(0));
  }
  return goes_on;
}

// The bases of all probes, and how many steps each took.
template <class T>
void make_bases(const nn::Network<T>& network, nn::NetworkState<T>& passes, Index probes, double tolerance,
                Index columns, KrylovState<T>& s) {
  const Index d = network.in(), most = s.most;
  std::fill_n(s.hessenbergs.data(), columns * (most + 1) * most, 0.0);
  std::fill_n(s.steps.data(), columns, Index(0));
  for (Index c = 0; c < columns; ++c) {
    const double length = std::sqrt(linalg::column_dot<T>(s.probes, s.probes, c));
    s.lengths[c] = length;
    scale(1 / length, s.probes.column(c), s.basis[0].column(c), d);
  }
  Index going = columns;
  for (Index k = 0; k < most && going > 0; ++k) {
    const auto& next = s.basis[k + 1];
    network.cotangent(passes, s.basis[k].columns(0, columns), probes, next.columns(0, columns));
    for (Index c = 0; c < columns; ++c) {
      Index& steps = s.steps[c];
      if (steps > 0) continue;
      const auto h = s.hessenberg(c);
      const bool goes_on = orthogonalize<T>(s.basis, k, c, h);
      const auto enough = [&] {
        if (!goes_on) return true;
        if (k == 0) return false;
        return solve_shifted(h.block(0, 0, k + 2, k + 1), 1, s.solution, s.work) <= tolerance;
      };
      if (k + 1 < most && !(tolerance > 0 && enough())) continue;
      steps = k + 1;
      --going;
      if (k + 1 < most) std::fill_n(next.column(c), d, T(0));  // others go on
    }
  }
}

// The estimate of log det(I + J) by probe c, without the exact terms.
template <class T>
double value_of(const KrylovState<T>& s, Index c) {
  const auto at = static_cast<std::size_t>(c);
  const auto h = s.hessenberg(c);
  const Index steps = s.steps[at];
  double value = log_form(h.block(0, 0, steps, steps), s.work);
  if (s.terms >= 1) value -= h(0, 0);
  if (s.terms >= 2) value += 0.5 * (h(0, 0) * h(0, 0) + h(0, 1) * h(1, 0));
  return s.lengths[at] * s.lengths[at] * value;
}

// Its u, times `factor`.
template <class T>
void make_pair(const KrylovState<T>& s, Index c, double factor, T* u) {
  const auto at = static_cast<std::size_t>(c);
  const auto h = s.hessenberg(c);
  const Index d = s.probes.rows(), steps = s.steps[at];
  const double length = s.lengths[at];
  solve_shifted(h.block(0, 0, steps + 1, steps), length, s.solution, s.work);
  if (s.terms >= 1) s.solution[0] -= length;
  if (s.terms >= 2) s.solution[0] += length * h(0, 0);
  if (s.terms >= 2 && steps >= 2) s.solution[1] += length * h(1, 0);
  std::fill_n(u, d, T(0));
  for (std::size_t k = 0; k < static_cast<std::size_t>(steps); ++k) {
    add_multiple(factor * s.solution[k], s.basis[k].column(c), u, d);
  }
}

}  // namespace

OptionSet KrylovOptions::declare() {
  OptionSet set;
  set.add("terms", terms, "Arnoldi steps; with tol, at most", between(1, 1'000'000))
      .add("tol", tol, "relative residual at which a probe has steps enough; 0.1 if terms are not set either",
           strictly_between(0, 1));
  add_to(set);
  return set;
}

void KrylovOptions::complete(const OptionSet& read) {
  if (!read.at("terms", kind).is_set && !read.at("tol", kind).is_set) tol = 0.1;
}

template <class T>
KrylovEstimator<T>::KrylovEstimator(const KrylovOptions& options, const nn::NetworkOptions& network)
    : probe_(probe_names().value(options.probe)),
      probes_(options.probes),
      tolerance_(options.tol),
      most_steps_(std::min(options.terms, network.in)) {
  require<OptionError>(options.tol > 0 || options.terms <= network.in,
                       "{} Arnoldi steps for dimension {}: at most as many", options.terms, network.in);
}

template <class T>
KrylovEstimator<T>::KrylovEstimator(const TraceKrylovOptions& options, const nn::NetworkOptions& network)
    : KrylovEstimator(static_cast<const KrylovOptions&>(options), network) {
  require<OptionError>(network.is_plain(),
                       "exact traces are those of dense networks without angles; use krylov or exact");
  require<OptionError>(std::ssize(network.hidden) <= ExactTrace<T>::most_hidden,
                       "the exact trace is for at most {} hidden layers, not {}; use krylov or exact",
                       ExactTrace<T>::most_hidden, network.hidden.size());
  has_trace_ = true;
}

template <class T>
std::unique_ptr<typename Estimator<T>::State> KrylovEstimator<T>::plan(const nn::Network<T>& network,
                                                                       linalg::Workspace& kept,
                                                                       linalg::Workspace& scratch, Index n,
                                                                       nn::Pass) const {
  return std::make_unique<KrylovState<T>>(network, n * probes_, has_trace_, most_steps_, kept, scratch, n);
}

template <class T>
void KrylovEstimator<T>::estimate(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                  typename Estimator<T>::State& state, const Draws& draws,
                                  const Estimate& result) const {
  auto& s = static_cast<KrylovState<T>&>(state);
  const Index n = passes.samples(), m = probes_, columns = n * m;
  const auto v = s.probes.columns(0, columns);
  draw_probes(probe_, draws, m, v);
  make_bases(network, passes, probes_, tolerance_, columns, s);

  if (s.trace) s.trace->value(network, passes, s.trace_values.first(n));
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    result.products[at] = s.trace ? 1 : 0;
    for (Index c = i * m; c < (i + 1) * m; ++c) {
      s.values[c] = value_of(s, c) + (s.trace ? s.trace_values[at] : 0);
      result.products[at] += s.steps[c];
    }
  }
  average_probes(std::span<const double>(s.values).first(columns), m, result);
  if (passes.pass() != nn::Pass::gradient) return;

  const auto u = passes.tangent_seed(m);
  for (Index c = 0; c < columns; ++c) make_pair(s, c, 1 / static_cast<double>(m), u.column(c));
  network.tangent(passes, nn::Directions<T>::given(v, m), {});
}

template <class T>
void KrylovEstimator<T>::add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                        typename Estimator<T>::State& state, std::span<const T> weight,
                                        std::span<T> gradient) const {
  auto& s = static_cast<KrylovState<T>&>(state);
  if (s.trace) s.trace->add_to_reverse(network, passes, weight, gradient);
}

template class KrylovEstimator<float>;
template class KrylovEstimator<double>;

}  // namespace pushforward::logdet
