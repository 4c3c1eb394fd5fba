#include <pushforward/linalg/samples.hpp>
#include <pushforward/ode/guidance.hpp>

#include <cmath>

namespace pushforward::ode {

template <class T>
GuidedPasses<T>::GuidedPasses(const nn::Network<T>& network, const Options& options, linalg::Workspace& kept,
                              linalg::Workspace& scratch, Index n, Pass pass)
    : network_(network),
      options_(options),
      passes_(network, kept, scratch, is_guided() ? 2 * n : n, options.tangents, pass,
              options.tangents > 0 || options.has_trace ? nn::Curvature::kept : nn::Curvature::none) {
  if (options.has_trace) trace_.emplace(network, kept, is_guided() ? 2 * n : n, 1);
  if (!is_guided()) return;
  require<OptionError>(
      std::isfinite(options.scale) && options.none,
      "guidance of strength {}: it must be finite, and the network must know samples without a context", options.scale);
  const Index d = network.in(), e = network.out(), k = options.tangents;
  both_x_ = kept.matrix<T>(d, 2 * n);
  both_context_ = kept.matrix<T>(network.options().context, 2 * n);
  both_y_ = scratch.matrix<T>(e, 2 * n);
  both_v_ = kept.matrix<T>(d, 2 * n * k);
  both_jv_ = scratch.matrix<T>(e, 2 * n * k);
  if (options.has_trace) both_traces_ = scratch.take<double>(2 * n);
  if (pass != Pass::gradient) return;
  value_seed_ = kept.matrix<T>(e, n);
  tangent_seed_ = kept.matrix<T>(e, n * k);
  both_x_bar_ = scratch.matrix<T>(d, 2 * n);
  both_v_bar_ = scratch.matrix<T>(d, 2 * n * k);
  both_weights_ = scratch.take<T>(2 * n);
}

// out ← S a + (1 − S) b for the halves of both = [a | b].
template <class T>
void GuidedPasses<T>::combine(ConstMatrixView<T> both, MatrixView<T> out) const {
  const T with = static_cast<T>(options_.scale), without = static_cast<T>(1 - options_.scale);
  for (Index j = 0; j < out.cols(); ++j) {
    for (Index i = 0; i < out.rows(); ++i) out(i, j) = with * both(i, j) + without * both(i, out.cols() + j);
  }
}

// both ← [S of | (1 − S) of]
template <class T>
void GuidedPasses<T>::split(ConstMatrixView<T> of, MatrixView<T> both) const {
  const T with = static_cast<T>(options_.scale), without = static_cast<T>(1 - options_.scale);
  for (Index j = 0; j < of.cols(); ++j) {
    for (Index i = 0; i < of.rows(); ++i) {
      both(i, j) = with * of(i, j);
      both(i, of.cols() + j) = without * of(i, j);
    }
  }
}

template <class T>
void GuidedPasses<T>::forward(ConstMatrixView<T> x, MatrixView<T> y, ConstMatrixView<T> context) {
  n_ = x.cols();
  k_ = 0;
  if (!is_guided()) return network_.forward(passes_, x, y, context);
  const auto both_x = both_x_.columns(0, 2 * n_), both_context = both_context_.columns(0, 2 * n_);
  for (const Index first : {Index{0}, n_}) {
    copy_samples<T>(x, both_x.columns(first, n_));
    copy_samples<T>(context, both_context.columns(first, n_));
  }
  for (Index j = n_; j < 2 * n_; ++j) {
    const auto of_sample = both_context.column_span(j).subspan(static_cast<std::size_t>(*options_.none));
    std::ranges::fill(of_sample, T(0));
    of_sample[0] = T(1);
  }
  const auto both_y = both_y_.columns(0, 2 * n_);
  network_.forward(passes_, both_x, both_y, both_context);
  combine(both_y, y);
}

template <class T>
void GuidedPasses<T>::tangent(const nn::Directions<T>& directions, MatrixView<T> jv) {
  k_ = directions.k;
  if (!is_guided()) return network_.tangent(passes_, directions, jv);
  const Index count = n_ * k_;
  const auto both_jv = both_jv_.columns(0, 2 * count);
  if (directions.is_identity) {
    network_.tangent(passes_, directions, both_jv);
  } else {
    const auto both_v = both_v_.columns(0, 2 * count);
    for (const Index first : {Index{0}, count}) copy_samples<T>(directions.v, both_v.columns(first, count));
    network_.tangent(passes_, nn::Directions<T>::given(both_v, k_), both_jv);
  }
  combine(both_jv, jv);
}

template <class T>
void GuidedPasses<T>::trace(std::span<double> values) {
  if (!is_guided()) return trace_->value(network_, passes_, values);
  const auto both = both_traces_.first(static_cast<std::size_t>(2 * n_));
  trace_->value(network_, passes_, both);
  for (Index j = 0; j < n_; ++j) values[j] = options_.scale * both[j] + (1 - options_.scale) * both[n_ + j];
}

template <class T>
void GuidedPasses<T>::add_trace_to_reverse(std::span<const T> weight, std::span<T> gradient) {
  if (!is_guided()) return trace_->add_to_reverse(network_, passes_, weight, gradient);
  const auto both = both_weights_.first(static_cast<std::size_t>(2 * n_));
  split(ConstMatrixView<T>(weight.data(), 1, n_), MatrixView<T>(both.data(), 1, 2 * n_));
  trace_->add_to_reverse(network_, passes_, both, gradient);
}

template <class T>
void GuidedPasses<T>::reverse(MatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> v_bar) {
  if (!is_guided()) return network_.reverse(passes_, x_bar, gradient, v_bar);
  const auto sum = [](ConstMatrixView<T> both, MatrixView<T> out) {
    for (Index j = 0; j < out.cols(); ++j) {
      for (Index i = 0; i < out.rows(); ++i) out(i, j) = both(i, j) + both(i, out.cols() + j);
    }
  };
  const auto both_x_bar = both_x_bar_.columns(0, 2 * n_);
  const auto both_v_bar = v_bar.empty() ? MatrixView<T>() : both_v_bar_.columns(0, 2 * n_ * k_);
  split(value_seed(), passes_.value_seed());
  if (k_ > 0) split(tangent_seed(k_), passes_.tangent_seed(k_));
  network_.reverse(passes_, both_x_bar, gradient, both_v_bar);
  sum(both_x_bar, x_bar);
  if (!v_bar.empty()) sum(both_v_bar, v_bar);
}

template class GuidedPasses<float>;
template class GuidedPasses<double>;

}  // namespace pushforward::ode
