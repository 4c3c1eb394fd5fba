#include <pushforward/base/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/nn/network.hpp>

#include <cmath>

namespace pushforward::nn {

namespace {

using linalg::gemm;
using linalg::gemm_flops;
using linalg::Op;

template <class T>
double product_flops(const DenseLayer<T>& layer, Index columns) {
  return gemm_flops(layer.out(), columns, layer.in());
}

// gradient += the sum of the columns of a.
template <class T>
void add_column_sum(ConstMatrixView<T> a, std::span<T> gradient) {
  T* __restrict const sum = gradient.data();
  for (Index j = 0, rows = a.rows(); j < a.cols(); ++j) {
    const T* const column = a.column(j);
    for (Index i = 0; i < rows; ++i) sum[i] += column[i];
  }
}

}  // namespace

template <class T>
NetworkState<T>::NetworkState(const Network<T>& network, linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                              Index k, Purpose purpose)
    : n_max_(n), k_max_(k), purpose_(purpose) {
  const auto& widths = network.options().hidden;
  const Index columns = n * (1 + k);
  for (const Index w : widths) {
    Hidden h;
    h.values = kept.matrix<T>(w, columns);
    h.first = kept.matrix<T>(w, n);
    if (purpose == Purpose::gradient) {
      h.a = kept.matrix<T>(w, n);
      h.second = kept.matrix<T>(w, n);
      h.first_bar = kept.matrix<T>(w, n);
      h.tangents = kept.matrix<T>(w, n * k);
    } else {
      h.a = h.values.columns(0, n);  // values and scaled tangents are written over what they are made from
    }
    hidden_.push_back(h);
  }
  if (purpose == Purpose::gradient) seed_ = kept.matrix<T>(network.out(), columns);
  ping_ = scratch.take<T>(network.widest() * columns);
  pong_ = scratch.take<T>(network.widest() * columns);
}

template <class T>
Network<T>::Network(ParameterLayout& layout, const std::string& name, const NetworkOptions& options, std::uint64_t seed,
                    std::uint64_t key)
    : options_(options), seed_(seed), key_(key) {
  require<OptionError>(options.lipschitz > 0, "network {}: Lipschitz bound {} must be positive", name,
                       options.lipschitz);
  const auto depth = std::ssize(options.hidden) + 1;
  const T bound = static_cast<T>(std::pow(options.lipschitz, 1.0 / static_cast<double>(depth)));
  Index in = options.in;
  for (Index l = 0; l < depth; ++l) {
    const bool last = l + 1 == depth;
    const Index out = last ? options.out : options.hidden[static_cast<std::size_t>(l)];
    const auto path = fmt::format("{}/layer_{}", name, l);
    const random::Stream start(seed, random::Purpose::power_start, 0, key, static_cast<std::uint64_t>(l));
    layers_.emplace_back(layout, path, in, out, bound, start);
    if (!last && has_slope(options.activation)) {
      const Index block = layout.add(path + "/log_beta", 1);
      slope_offsets_.push_back(layout.blocks()[static_cast<std::size_t>(block)].offset);
    }
    in = out;
  }
  slopes_.assign(options.hidden.size(), T(1));
}

template <class T>
Index Network<T>::widest() const {
  Index w = std::max(in(), out());
  for (const Index h : options_.hidden) w = std::max(w, h);
  return w;
}

template <class T>
void Network<T>::initialise(std::span<T> parameters) const {
  random::Stream stream(seed_, random::Purpose::parameters, 0, key_);
  for (const auto& layer : layers_) layer.initialise(parameters, stream, &layer == &layers_.back());
  for (const Index offset : slope_offsets_) parameters[static_cast<std::size_t>(offset)] = 0;
}

template <class T>
void Network<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  const PhaseScope scope(Phase::spectral_norm);
  for (auto& layer : layers_) layer.prepare(parameters, normalization);
  for (std::size_t l = 0; l < slope_offsets_.size(); ++l) {
    slopes_[l] = std::exp(parameters[static_cast<std::size_t>(slope_offsets_[l])]);
  }
}

template <class T>
void Network<T>::finish_gradient(std::span<T> gradient) const {
  const PhaseScope scope(Phase::spectral_norm);
  for (const auto& layer : layers_) layer.finish_gradient(gradient);
}

template <class T>
void Network<T>::fold(std::span<T> parameters) const {
  for (const auto& layer : layers_) layer.fold(parameters);
}

template <class T>
double Network<T>::lipschitz() const {
  double product = 1;
  for (const auto& layer : layers_) product *= static_cast<double>(layer.norm());
  return product;
}

template <class T>
void Network<T>::forward(NetworkState<T>& s, ConstMatrixView<T> x, MatrixView<T> y) const {
  const Index n = x.cols();
  require<ShapeError>(
      x.rows() == in() && y.rows() == out() && y.cols() == n && n <= s.n_max_,
      "network forward: x ({} × {}) and y ({} × {}) do not fit a network {} → {} with room for {} samples", x.rows(), n,
      y.rows(), y.cols(), in(), out(), s.n_max_);
  s.x_ = x;
  s.n_ = n;
  s.k_ = 0;
  s.has_slope_bar_ = false;
  ConstMatrixView<T> h = x;
  for (std::size_t l = 0; l < s.hidden_.size(); ++l) {
    auto& hidden = s.hidden_[l];
    const auto a = hidden.a.columns(0, n);
    {
      const PhaseScope scope(Phase::forward, product_flops(layers_[l], n));
      gemm(Op::none, Op::none, T(1), layers_[l].weight(), h, T(0), a);
    }
    const PhaseScope scope(Phase::activations);
    const auto second = s.purpose_ == Purpose::gradient ? hidden.second.columns(0, n) : MatrixView<T>();
    const auto values = hidden.values.columns(0, n);
    activate(options_.activation, slopes_[l], layers_[l].bias(), a, {values, hidden.first.columns(0, n), second});
    h = values;
  }
  const PhaseScope scope(Phase::forward, product_flops(layers_.back(), n));
  gemm(Op::none, Op::none, T(1), layers_.back().weight(), h, T(0), y);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < out(); ++i) y(i, j) += layers_.back().bias()[static_cast<std::size_t>(i)];
  }
}

template <class T>
void Network<T>::tangent(NetworkState<T>& s, const Directions<T>& v, MatrixView<T> jv) const {
  const Index n = s.n_, k = v.k;
  require<ShapeError>(k <= s.k_max_ && jv.rows() == out() && jv.cols() == n * k &&
                          (v.is_identity ? k == in() : v.v.rows() == in() && v.v.cols() == n * k),
                      "network tangent: {} directions ({} × {}) for {} samples of width {} into ({} × {}), room for {}",
                      k, v.v.rows(), v.v.cols(), n, in(), jv.rows(), jv.cols(), s.k_max_);
  s.k_ = k;
  s.identity_ = v.is_identity;
  s.v_ = v.v;
  ConstMatrixView<T> t = v.v;
  for (std::size_t l = 0; l < s.hidden_.size(); ++l) {
    auto& hidden = s.hidden_[l];
    const auto scaled = hidden.values.columns(n, n * k);
    const auto first = hidden.first.columns(0, n);
    if (l == 0 && v.is_identity) {
      const PhaseScope scope(Phase::activations);
      for (Index i = 0; i < n; ++i) {
        scale_tangents<T>(first.columns(i, 1), k, layers_[0].weight(), scaled.columns(i * k, k));
      }
    } else {
      const auto raw = s.purpose_ == Purpose::gradient ? hidden.tangents.columns(0, n * k) : scaled;
      {
        const PhaseScope scope(Phase::tangents, product_flops(layers_[l], n * k));
        gemm(Op::none, Op::none, T(1), layers_[l].weight(), t, T(0), raw);
      }
      const PhaseScope scope(Phase::activations);
      scale_tangents<T>(first, k, raw, scaled);
    }
    t = scaled;
  }
  const PhaseScope scope(Phase::tangents, product_flops(layers_.back(), n * k));
  if (s.hidden_.empty() && v.is_identity) {
    for (Index i = 0; i < n; ++i) {
      std::copy_n(layers_[0].weight().data(), layers_[0].weight().size(), jv.column(i * k));
    }
  } else {
    gemm(Op::none, Op::none, T(1), layers_.back().weight(), t, T(0), jv);
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
    const auto& layer = layers_[static_cast<std::size_t>(l)];
    auto& hidden = s.hidden_[static_cast<std::size_t>(l - 1)];
    const MatrixView<T> next(s.ping_.data(), layer.in(), n * k);
    {
      const PhaseScope scope(Phase::tangents, product_flops(layer, n * k));
      gemm(Op::transpose, Op::none, T(1), layer.weight(), bar, T(0), next);
    }
    const PhaseScope scope(Phase::activations);
    scale_tangents<T>(hidden.first.columns(0, n), k, next, next);
    bar = next;
    std::swap(s.ping_, s.pong_);
  }
  const PhaseScope scope(Phase::tangents, product_flops(layers_[0], n * k));
  gemm(Op::transpose, Op::none, T(1), layers_[0].weight(), bar, T(0), jtu);
}

template <class T>
void Network<T>::reverse(NetworkState<T>& s, MatrixView<T> x_bar, std::span<T> gradient) const {
  const Index n = s.n_, k = s.k_, columns = n * (1 + k);
  require<ShapeError>(s.purpose_ == Purpose::gradient && x_bar.rows() == in() && x_bar.cols() == n,
                      "network reverse: x_bar ({} × {}) for {} samples of width {}, or a state that keeps no gradient",
                      x_bar.rows(), x_bar.cols(), n, in());
  const auto depth = std::ssize(layers_);
  MatrixView<T> bar = s.seed_.columns(0, columns);  // [ā | T̄] of layer l
  for (auto l = depth - 1; l > 0; --l) {
    const auto& layer = layers_[static_cast<std::size_t>(l)];
    auto& hidden = s.hidden_[static_cast<std::size_t>(l - 1)];
    const MatrixView<T> next(s.ping_.data(), layer.in(), columns);
    {
      const PhaseScope scope(Phase::reverse, 2 * product_flops(layer, columns));
      gemm(Op::none, Op::transpose, T(1), bar, hidden.values.columns(0, columns), T(1),
           layer.weight_gradient(gradient));
      add_column_sum<T>(bar.columns(0, n), layer.bias_gradient(gradient));
      gemm(Op::transpose, Op::none, T(1), layer.weight(), bar, T(0), next);
    }
    const PhaseScope scope(Phase::activations);
    const bool broadcast = l == 1 && s.identity_ && k > 0;
    const ConstMatrixView<T> t = broadcast ? layers_[0].weight() : hidden.tangents.columns(0, n * k);
    const bool slope = !slope_offsets_.empty();
    const double along_slope = reverse_activation<T>(
        {hidden.a.columns(0, n), hidden.values.columns(0, n), hidden.first.columns(0, n), hidden.second.columns(0, n),
         s.has_slope_bar_ ? hidden.first_bar.columns(0, n) : MatrixView<T>()},
        k, t, broadcast, slope, next.columns(0, n), next.columns(n, n * k));
    if (slope) gradient[static_cast<std::size_t>(slope_offsets_[static_cast<std::size_t>(l - 1)])] += T(along_slope);
    bar = next;
    std::swap(s.ping_, s.pong_);
  }
  const PhaseScope scope(Phase::reverse, 2 * product_flops(layers_[0], n));
  const auto& layer = layers_[0];
  const auto weight_gradient = layer.weight_gradient(gradient);
  const auto a_bar = bar.columns(0, n);
  gemm(Op::none, Op::transpose, T(1), a_bar, s.x_, T(1), weight_gradient);
  add_column_sum<T>(a_bar, layer.bias_gradient(gradient));
  const std::span<T> flat(weight_gradient.data(), static_cast<std::size_t>(weight_gradient.size()));
  if (k > 0 && s.identity_) {
    // (w × d·n) seen as (w·d × n): W̄₁ gains the sum over samples.
    add_column_sum<T>(ConstMatrixView<T>(bar.column(n), layer.out() * k, n), flat);
  } else if (k > 0) {
    gemm(Op::none, Op::transpose, T(1), bar.columns(n, n * k), s.v_, T(1), weight_gradient);
  }
  gemm(Op::transpose, Op::none, T(1), layer.weight(), a_bar, T(0), x_bar);
}

template class NetworkState<float>;
template class NetworkState<double>;
template class Network<float>;
template class Network<double>;

}  // namespace pushforward::nn
