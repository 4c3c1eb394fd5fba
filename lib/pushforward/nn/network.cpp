#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/autoregressive.hpp>
#include <pushforward/nn/dense.hpp>
#include <pushforward/nn/network.hpp>
#include <pushforward/nn/parameters.hpp>

#include <cmath>

namespace pushforward::nn {

namespace {

using linalg::gemm;
using linalg::Op;

// The number of weights, which may be beyond the range of Index.
double weights_of(const NetworkOptions& options) {
  double sum = 0;
  const auto widths = options.widths();
  for (Index l = 0; l < options.depth(); ++l) {
    if (options.is_convolutional()) {
      const auto size = options.conv_size(l);
      sum += static_cast<double>(size.kernel_height) * static_cast<double>(size.kernel_width) *
             static_cast<double>(size.image.channels) * static_cast<double>(size.channels);
    } else {
      sum += static_cast<double>(widths[l]) * static_cast<double>(widths[l + 1]);
    }
    sum += 2 * static_cast<double>(options.gates) * static_cast<double>(widths[l + 1]);
  }
  return sum;
}

// Views a contiguous (channels·pixels × n) matrix as (channels × pixels·n).
template <class T>
MatrixView<T> by_pixel(MatrixView<T> a, Index channels) {
  return {a.data(), channels, a.size() / channels};
}

}  // namespace

template <class T>
NetworkState<T>::NetworkState(const Network<T>& network, linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                              Index k, Pass pass, Curvature curvature)
    : n_max_(n), k_max_(k), pass_(pass) {
  require<BugError>(k == 0 || curvature == Curvature::kept, "network state: {} tangents without curvature", k);
  const Index columns = n * (1 + k);
  const auto& layers = network.layers();
  for (std::size_t l = 0; l + 1 < layers.size(); ++l) {
    const Index w = layers[l]->out();
    Hidden h;
    h.values = kept.matrix<T>(w, columns);
    h.first = kept.matrix<T>(w, n);
    if (pass == Pass::gradient) {
      h.a = kept.matrix<T>(w, n);
      h.tangents = kept.matrix<T>(w, n * k);
      if (curvature == Curvature::kept) {
        h.second = kept.matrix<T>(w, n);
        h.first_bar = kept.matrix<T>(w, n);
      }
    } else {
      h.a = h.values.columns(0, n);  // values and scaled tangents overwrite a and T̂
    }
    if (!network.gates().empty()) h.gate = kept.matrix<T>(w, n);
    if (!network.gates().empty() && pass == Pass::gradient) h.product = kept.matrix<T>(w, n);
    hidden_.push_back(h);
  }
  if (pass == Pass::gradient) seed_ = kept.matrix<T>(network.out(), columns);
  const auto& options = network.options();
  if (!options.periodic.empty()) features_ = kept.matrix<T>(options.features(), columns);
  if (options.is_convolutional() && k >= options.in) first_matrix_ = kept.matrix<T>(layers[0]->out(), options.in);
  ping_ = scratch.take<T>(network.widest() * columns);
  pong_ = scratch.take<T>(network.widest() * columns);
  Index elements = 0;
  for (const auto& layer : layers) elements = std::max(elements, layer->scratch());
  scratch_ = scratch.take<T>(elements);
  if (options.context > 0) shift_ = scratch.take<T>(layers[0]->channels());
}

template <class T>
Network<T>::Network(ParameterLayout& layout, const std::string& name, const NetworkOptions& options, std::uint64_t seed,
                    std::uint64_t key)
    : options_(options),
      activation_(&ActivationKind::registry().at(options.activation)),
      seed_(seed),
      key_(key),
      features_(options.in, options.periodic) {
  options.check(name);
  const auto offset = [&](Index block) { return layout.blocks()[block].offset; };
  layout.require_room(name, weights_of(options));
  for (Index l = 0; l < options.depth(); ++l) {
    const auto path = fmt::format("{}/layer_{}", name, l);
    layers_.push_back(make_layer(layout, path, l));
    if (l == 0 && has_context()) {
      context_weight_ = Matrix<T>(layers_[0]->channels(), options.context);
      context_offset_ = offset(layout.add(path + "/context", layers_[0]->channels(), options.context));
    }
    const bool is_hidden = l + 1 < options.depth();
    if (is_hidden && options.gates > 0) gates_.emplace_back(layout, path, layers_[l]->out(), options.gates, l > 0);
    if (is_hidden && activation_->has_slope) {
      slope_offsets_.push_back(offset(layout.add(path + "/log_beta", 1)));
    }
  }
  slopes_.assign(options.hidden.size(), T(1));
}

template <class T>
std::unique_ptr<Layer<T>> Network<T>::make_layer(ParameterLayout& layout, const std::string& path, Index l) const {
  const auto at = static_cast<std::size_t>(l);
  const T bound = static_cast<T>(std::pow(options_.lipschitz, 1.0 / static_cast<double>(options_.depth())));
  const random::Stream start(seed_, random::Purpose::power_start, 0, key_, static_cast<std::uint64_t>(l));
  if (options_.is_convolutional()) {
    return std::make_unique<ConvLayer<T>>(layout, path, options_.conv_size(l), bound, start);
  }
  const auto widths = options_.widths();
  Matrix<T> mask;
  if (options_.autoregressive) {
    const Index d = options_.in, m = options_.out / d;
    const auto degrees = [&](Index layer) {
      if (layer > 0 && layer < options_.depth()) return hidden_degrees(widths[layer], d);
      std::vector<Index> ends = features_.sources();
      for (Index& degree : ends) ++degree;
      if (layer == 0) return ends;
      ends.clear();
      for (Index i = 0; i < options_.out; ++i) ends.push_back(i / m);
      return ends;
    };
    mask = degree_mask<T>(degrees(l), degrees(l + 1));
  }
  return std::make_unique<DenseLayer<T>>(layout, path, widths[at], widths[at + 1], bound, start, std::move(mask));
}

template <class T>
Index Network<T>::widest() const {
  const auto widths = options_.widths();
  return std::max(*std::max_element(widths.begin(), widths.end()), in());
}

template <class T>
MatrixView<T> Network<T>::context_in(std::span<T> buffer) const {
  return {buffer.data() + context_offset_, context_weight_.rows(), context_weight_.cols()};
}

template <class T>
void Network<T>::initialize(std::span<T> parameters) const {
  random::Stream stream(seed_, random::Purpose::parameters, 0, key_);
  for (const auto& layer : layers_) layer->initialize(parameters, stream, layer == layers_.back());
  for (const Index offset : slope_offsets_) parameters[offset] = 0;
  for (const auto& gates : gates_) gates.initialize(parameters);
  if (!has_context()) return;
  const auto u = context_in(parameters);
  const double scale = layers_.size() == 1 ? 0 : 1 / std::sqrt(static_cast<double>(u.cols()));
  for (Index i = 0; i < u.size(); ++i) u.data()[i] = static_cast<T>(scale * stream.normal());
}

template <class T>
void Network<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  const PhaseScope scope(Phase::spectral_norm);
  for (auto& layer : layers_) layer->prepare(parameters, normalization);
  for (std::size_t l = 0; l < slope_offsets_.size(); ++l) {
    slopes_[l] = std::exp(parameters[slope_offsets_[l]]);
  }
  std::copy_n(parameters.data() + context_offset_, context_weight_.size(), context_weight_.data());
  for (auto& gates : gates_) gates.prepare(parameters);
}

template <class T>
void Network<T>::gradient_of_raw_parameters(std::span<T> gradient) const {
  const PhaseScope scope(Phase::spectral_norm);
  for (const auto& layer : layers_) layer->gradient_of_raw_parameters(gradient);
}

template <class T>
void Network<T>::bake_normalization(std::span<T> parameters) const {
  for (const auto& layer : layers_) layer->bake_normalization(parameters);
}

template <class T>
void Network<T>::add_state(StateSet& state, const std::string& name) {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    if (std::isfinite(layers_[l]->bound())) layers_[l]->add_state(state, fmt::format("{}/layer_{}", name, l));
  }
}

template <class T>
double Network<T>::lipschitz() const {
  double product = 1;
  for (const auto& layer : layers_) product *= static_cast<double>(layer->norm());
  return product;
}

template <class T>
ConstMatrixView<T> Network<T>::first_input(const NetworkState<T>& s) const {
  return features_.empty() ? s.x_ : ConstMatrixView<T>(s.features_.columns(0, s.n_));
}

template <class T>
ConstMatrixView<T> Network<T>::first_matrix(const NetworkState<T>& s) const {
  return options_.is_convolutional() ? ConstMatrixView<T>(s.first_matrix_) : layers_[0]->weight();
}

template <class T>
void Network<T>::forward(NetworkState<T>& s, ConstMatrixView<T> x, MatrixView<T> y, ConstMatrixView<T> u) const {
  const Index n = x.cols();
  require<ShapeError>(
      x.rows() == in() && y.rows() == out() && y.cols() == n && n <= s.n_max_,
      "network forward: x ({} × {}) and y ({} × {}) do not fit a network {} → {} with room for {} samples", x.rows(), n,
      y.rows(), y.cols(), in(), out(), s.n_max_);
  require<ShapeError>(
      u.rows() == options_.context && (!has_context() || u.cols() == n || (u.cols() == 1 && options_.gates == 0)),
      "network forward: a context ({} × {}) does not fit {} samples of a network whose context has {} "
      "values",
      u.rows(), u.cols(), n, options_.context);
  s.x_ = x;
  s.context_ = u;
  s.n_ = n;
  s.k_ = 0;
  s.has_slope_bar_ = false;
  const bool keeps = s.pass_ == Pass::gradient;
  if (!features_.empty()) features_.evaluate(x, s.features_.columns(0, n));
  ConstMatrixView<T> h = first_input(s);
  for (std::size_t l = 0; l < s.hidden_.size(); ++l) {
    const auto& layer = *layers_[l];
    auto& hidden = s.hidden_[l];
    const auto a = hidden.a.columns(0, n);
    {
      const PhaseScope scope(Phase::forward, layer.flops(n));
      layer.apply(h, a, s.scratch_);
      if (!gates_.empty()) {
        if (keeps) copy_samples<T>(a, hidden.product.columns(0, n));
        gates_[l].apply(gate_context(s), hidden.gate.columns(0, n), a);
      }
      if (l == 0 && !shares_context(s)) add_context(s, a);
    }
    const PhaseScope scope(Phase::activations);
    const Index channels = layer.channels();
    const auto first = hidden.first.columns(0, n);
    const auto second = hidden.second.columns(0, n);
    const auto values = hidden.values.columns(0, n);
    activate(*activation_, slopes_[l], bias(s, static_cast<Index>(l)), by_pixel(a, channels),
             {by_pixel(values, channels), by_pixel(first, channels), by_pixel(second, channels)});
    if (!gates_.empty()) {
      const auto gate = hidden.gate.columns(0, n);
      Gates<T>::scale_derivatives(gate, first, second);
      // The gradient of log β takes ⟨a, ā⟩ from ⟨a/γ, p̄⟩.
      if (keeps && activation_->has_slope) Gates<T>::before_gate(gate, a, a);
    }
    h = values;
  }
  const auto& layer = *layers_.back();
  const PhaseScope scope(Phase::forward, layer.flops(n));
  layer.apply(h, y, s.scratch_);
  if (layers_.size() == 1 && !shares_context(s)) add_context(s, y);
  const Index channels = layer.channels();
  const auto shift = bias(s, std::ssize(layers_) - 1);
  for (Index j = 0; j < n; ++j) {
    for (Index p = 0; p < out(); p += channels) {
      for (Index i = 0; i < channels; ++i) y(p + i, j) += shift[i];
    }
  }
}

template <class T>
std::span<const T> Network<T>::bias(const NetworkState<T>& s, Index l) const {
  const auto own = layers_[l]->bias();
  if (l > 0 || !shares_context(s)) return own;
  std::ranges::copy(own, s.shift_.begin());
  for (Index c = 0; c < context_weight_.cols(); ++c) {
    for (std::size_t i = 0; i < own.size(); ++i)
      s.shift_[i] += context_weight_(static_cast<Index>(i), c) * s.context_(c, 0);
  }
  return s.shift_;
}

// a ← a + U u at each pixel.
template <class T>
void Network<T>::add_context(const NetworkState<T>& s, MatrixView<T> a) const {
  if (!has_context()) return;
  const Index channels = context_weight_.rows();
  if (channels == a.rows()) return gemm(Op::none, Op::none, T(1), context_weight_, s.context_, T(1), a);
  const MatrixView<T> shift(s.ping_.data(), channels, a.cols());
  gemm(Op::none, Op::none, T(1), context_weight_, s.context_, T(0), shift);
  for (Index j = 0; j < a.cols(); ++j) {
    for (Index p = 0; p < a.rows(); p += channels) {
      for (Index i = 0; i < channels; ++i) a(p + i, j) += shift(i, j);
    }
  }
}

// Writes the tangents of layer 0 for V = I: (w × d·n).
template <class T>
void Network<T>::tangents_of_identity(NetworkState<T>& s, MatrixView<T> t) const {
  if (!features_.empty()) return features_.product(s.features_.columns(0, s.n_), first_matrix(s), t);
  const auto matrix = first_matrix(s);
  for (Index i = 0; i < s.n_; ++i) std::copy_n(matrix.data(), matrix.size(), t.column(i * in()));
}

template <class T>
void Network<T>::tangent(NetworkState<T>& s, const Directions<T>& v, MatrixView<T> jv) const {
  const Index n = s.n_, k = v.k;
  require<ShapeError>(k <= s.k_max_ && (jv.empty() || (jv.rows() == out() && jv.cols() == n * k)) &&
                          (v.is_identity ? k == in() : v.v.rows() == in() && v.v.cols() == n * k),
                      "network tangent: {} directions ({} × {}) for {} samples of width {} into ({} × {}), room for {}",
                      k, v.v.rows(), v.v.cols(), n, in(), jv.rows(), jv.cols(), s.k_max_);
  s.k_ = k;
  s.identity_ = v.is_identity;
  s.v_ = v.v;
  ConstMatrixView<T> t = v.v;
  if (v.is_identity) {
    if (options_.is_convolutional()) layers_[0]->to_matrix(s.first_matrix_);
  } else if (!features_.empty()) {
    const auto of_features = s.features_.columns(n, n * k);
    features_.tangent(s.features_.columns(0, n), k, v.v, of_features);
    t = of_features;
  }
  for (std::size_t l = 0; l < s.hidden_.size(); ++l) {
    auto& hidden = s.hidden_[l];
    const auto scaled = hidden.values.columns(n, n * k);
    const auto first = hidden.first.columns(0, n);
    const bool of_identity = l == 0 && v.is_identity;
    if (of_identity && features_.empty()) {
      const PhaseScope scope(Phase::activations);
      for (Index i = 0; i < n; ++i) {
        scale_tangents<T>(first.columns(i, 1), k, first_matrix(s), scaled.columns(i * k, k));
      }
    } else {
      const auto raw = s.pass_ == Pass::gradient ? hidden.tangents.columns(0, n * k) : scaled;
      if (of_identity) {
        const PhaseScope scope(Phase::activations);
        tangents_of_identity(s, raw);
      } else {
        const PhaseScope scope(Phase::tangents, layers_[l]->flops(n * k));
        layers_[l]->apply(t, raw, s.scratch_);
      }
      const PhaseScope scope(Phase::activations);
      scale_tangents<T>(first, k, raw, scaled);
    }
    t = scaled;
  }
  if (jv.empty()) return;
  const PhaseScope scope(Phase::tangents, layers_.back()->flops(n * k));
  if (s.hidden_.empty() && v.is_identity) {
    tangents_of_identity(s, jv);
  } else {
    layers_.back()->apply(t, jv, s.scratch_);
  }
}

template <class T>
void Network<T>::cotangent(NetworkState<T>& s, ConstMatrixView<T> u, Index k, MatrixView<T> jtu) const {
  const Index n = s.n_;
  require<ShapeError>(
      k <= 1 + s.k_max_ && u.rows() == out() && u.cols() == n * k && jtu.rows() == in() && jtu.cols() == n * k,
      "network cotangent: ({} × {}) to ({} × {}), {} each for {} samples, room for {}", u.rows(), u.cols(), jtu.rows(),
      jtu.cols(), k, n, 1 + s.k_max_);
  ConstMatrixView<T> bar = u;
  for (auto l = std::ssize(layers_) - 1; l > 0; --l) {
    const auto& layer = *layers_[l];
    auto& hidden = s.hidden_[l - 1];
    const MatrixView<T> next(s.ping_.data(), layer.in(), n * k);
    {
      const PhaseScope scope(Phase::tangents, layer.flops(n * k));
      layer.apply_transpose(bar, next, s.scratch_);
    }
    const PhaseScope scope(Phase::activations);
    scale_tangents<T>(hidden.first.columns(0, n), k, next, next);
    bar = next;
    std::swap(s.ping_, s.pong_);
  }
  const auto& layer = *layers_[0];
  const PhaseScope scope(Phase::tangents, layer.flops(n * k));
  if (features_.empty()) return layer.apply_transpose(bar, jtu, s.scratch_);
  const MatrixView<T> of_features(s.ping_.data(), layer.in(), n * k);
  layer.apply_transpose(bar, of_features, s.scratch_);
  features_.cotangent(s.features_.columns(0, n), k, of_features, jtu);
}

template <class T>
void Network<T>::reverse(NetworkState<T>& s, MatrixView<T> x_bar, std::span<T> gradient, MatrixView<T> v_bar) const {
  const Index n = s.n_, k = s.k_, columns = n * (1 + k);
  const bool has_x_bar = x_bar.rows() == in() && x_bar.cols() == n;
  require<ShapeError>(s.pass_ == Pass::gradient && (has_x_bar || (x_bar.empty() && k == 0)),
                      "network reverse: x_bar ({} × {}) for {} samples of width {} with {} tangents, or a state that "
                      "keeps no gradient",
                      x_bar.rows(), x_bar.cols(), n, in(), k);
  require<ShapeError>(v_bar.empty() || (!s.identity_ && v_bar.rows() == in() && v_bar.cols() == n * k),
                      "network reverse: v_bar ({} × {}) for {} given directions of {} samples of width {}",
                      v_bar.rows(), v_bar.cols(), s.identity_ ? 0 : k, n, in());
  MatrixView<T> bar = s.seed_.columns(0, columns);  // [ā | T̄] of layer l, or with gates [p̄ | T̄]
  for (auto l = std::ssize(layers_) - 1; l > 0; --l) {
    const auto& layer = *layers_[l];
    auto& hidden = s.hidden_[l - 1];
    const MatrixView<T> next(s.ping_.data(), layer.in(), columns);
    {
      const PhaseScope scope(Phase::reverse, 2 * layer.flops(columns));
      if (!gradient.empty()) {
        layer.add_weight_gradient(bar, hidden.values.columns(0, columns), gradient, s.scratch_);
        reverse_shifts(s, l, bar, gradient);
      }
      layer.apply_transpose(bar, next, s.scratch_);
    }
    const PhaseScope scope(Phase::activations);
    const bool broadcast = l == 1 && s.identity_ && k > 0 && features_.empty();
    const ConstMatrixView<T> t = broadcast ? first_matrix(s) : hidden.tangents.columns(0, n * k);
    const bool slope = !slope_offsets_.empty() && !gradient.empty();
    const double along_slope = reverse_activation<T>(
        {hidden.a.columns(0, n), hidden.values.columns(0, n), hidden.first.columns(0, n), hidden.second.columns(0, n),
         s.has_slope_bar_ ? hidden.first_bar.columns(0, n) : MatrixView<T>()},
        k, t, broadcast, slope, next.columns(0, n), next.columns(n, n * k));
    if (slope) gradient[slope_offsets_[l - 1]] += T(along_slope);
    bar = next;
    std::swap(s.ping_, s.pong_);
  }
  const PhaseScope scope(Phase::reverse, 2 * layers_[0]->flops(n));
  if (!gradient.empty()) reverse_shifts(s, 0, bar, gradient);
  reverse_first_layer(s, bar, x_bar, gradient, v_bar);
}

template <class T>
void Network<T>::reverse_shifts(NetworkState<T>& s, Index l, ConstMatrixView<T> bar, std::span<T> gradient) const {
  const Index n = s.n_, k = s.k_;
  const auto& layer = *layers_[l];
  const bool is_gated = l < std::ssize(gates_);
  auto a_bar = bar.columns(0, n);
  const MatrixView<T> memory(s.ping_.data(), layer.out(), n);
  if (is_gated) {
    Gates<T>::before_gate(s.hidden_[l].gate.columns(0, n), a_bar, memory);
    a_bar = memory;
  }
  layer.add_bias_gradient(a_bar, gradient);
  if (l == 0) reverse_context(s, a_bar, gradient);
  if (!is_gated) return;
  const auto& hidden = s.hidden_[l];
  const bool is_shared = l == 0 && s.identity_ && features_.empty();
  gates_[l].add_gradient({hidden.gate.columns(0, n), hidden.product.columns(0, n), bar,
                          is_shared ? first_matrix(s) : hidden.tangents.columns(0, n * k), hidden.first.columns(0, n),
                          s.has_slope_bar_ ? hidden.first_bar.columns(0, n) : MatrixView<T>()},
                         gate_context(s), memory, gradient);
}

// bar: [ā | T̄] of layer 0, or with gates [p̄ | T̄].
template <class T>
void Network<T>::reverse_first_layer(NetworkState<T>& s, ConstMatrixView<T> bar, MatrixView<T> x_bar,
                                     std::span<T> gradient, MatrixView<T> v_bar) const {
  const auto& layer = *layers_[0];
  const Index n = s.n_, k = s.k_;
  const auto a_bar = bar.columns(0, n), t_bar = bar.columns(n, n * k);
  const bool given = k > 0 && !s.identity_, identity = k > 0 && s.identity_, parameters = !gradient.empty();
  if (parameters) layer.add_weight_gradient(a_bar, first_input(s), gradient, s.scratch_);
  if (x_bar.empty() && !parameters) return;
  if (features_.empty()) {
    if (!x_bar.empty()) layer.apply_transpose(a_bar, x_bar, s.scratch_);
    if (!v_bar.empty()) layer.apply_transpose(t_bar, v_bar, s.scratch_);
    if (!parameters) return;
    if (given) layer.add_weight_gradient(t_bar, s.v_, gradient, s.scratch_);
    if (!identity || n == 0) return;
    // All samples share the matrix of the layer as tangents, so its gradient is the sum over samples.
    const MatrixView<T> sum(s.ping_.data(), layer.out(), k);
    std::copy_n(t_bar.data(), sum.size(), sum.data());
    T* __restrict const to = sum.data();
    for (Index i = 1; i < n; ++i) {
      const T* const mine = t_bar.column(i * k);
      for (Index r = 0; r < sum.size(); ++r) to[r] += mine[r];
    }
    return layer.add_matrix_gradient(sum, gradient);
  }
  if (x_bar.empty()) return;
  const auto f = s.features_.columns(0, n);
  const MatrixView<T> f_bar(s.ping_.data(), layer.in(), given ? n * (1 + k) : n);
  layer.apply_transpose(bar.columns(0, f_bar.cols()), f_bar, s.scratch_);
  features_.cotangent(f, 1, f_bar.columns(0, n), x_bar);
  if (given) {
    if (parameters) layer.add_weight_gradient(t_bar, s.features_.columns(n, n * k), gradient, s.scratch_);
    features_.add_curvature(f, k, s.v_, f_bar.columns(n, n * k), x_bar);
    if (!v_bar.empty()) features_.cotangent(f, k, f_bar.columns(n, n * k), v_bar);
  } else if (identity) {
    features_.add_product_reverse(f, layer.weight(), t_bar,
                                  parameters ? layer.weight_gradient(gradient) : MatrixView<T>(), x_bar);
  }
}

// Ū += Σ ā uᵀ, ā summed over pixels.
template <class T>
void Network<T>::reverse_context(NetworkState<T>& s, ConstMatrixView<T> a_bar, std::span<T> gradient) const {
  if (!has_context()) return;
  const Index channels = context_weight_.rows();
  if (shares_context(s)) {
    const auto sum = s.shift_;
    std::ranges::fill(sum, T(0));
    add_columns<T>(by_pixel<const T>(a_bar, channels), sum);
    return linalg::ger(T(1), std::span<const T>(sum), s.context_.column_span(0), context_in(gradient));
  }
  if (channels == a_bar.rows()) {
    return gemm(Op::none, Op::transpose, T(1), a_bar, s.context_, T(1), context_in(gradient));
  }
  const MatrixView<T> sum(s.ping_.data(), channels, a_bar.cols());
  for (Index j = 0; j < a_bar.cols(); ++j) {
    std::copy_n(a_bar.column(j), channels, sum.column(j));
    for (Index p = channels; p < a_bar.rows(); p += channels) {
      for (Index i = 0; i < channels; ++i) sum(i, j) += a_bar(p + i, j);
    }
  }
  gemm(Op::none, Op::transpose, T(1), sum, s.context_, T(1), context_in(gradient));
}

template class NetworkState<float>;
template class NetworkState<double>;
template class Network<float>;
template class Network<double>;

}  // namespace pushforward::nn
