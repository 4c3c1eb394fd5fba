#include <pushforward/base/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/logdet/trace.hpp>

namespace pushforward::logdet {

namespace {

using linalg::gemm;
using linalg::Op;

template <class T>
T weight_of(std::span<const T> weight, Index i) {
  return weight.empty() ? T(1) : weight[static_cast<std::size_t>(i)];
}

}  // namespace

template <class T>
ExactTrace<T>::ExactTrace(const nn::Network<T>& network, linalg::Workspace& kept, Index n) {
  const auto& hidden = network.options().hidden;
  if (hidden.size() == 1) diagonal_ = kept.take<T>(hidden[0]);
  if (hidden.size() != 2) return;
  inner_ = kept.matrix<T>(hidden[0], hidden[1]);
  coupling_ = kept.matrix<T>(hidden[1], hidden[0]);
  image_ = kept.matrix<T>(hidden[1], n);
  weighted_ = kept.matrix<T>(hidden[1], n);
}

template <class T>
void ExactTrace<T>::value(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> trace) {
  const PhaseScope scope(Phase::tangents);
  const auto& layers = network.layers();
  const Index n = std::ssize(trace);
  if (layers.size() == 1) {
    double sum = 0;
    for (Index i = 0; i < network.in(); ++i) sum += static_cast<double>(layers[0].weight()(i, i));
    std::fill(trace.begin(), trace.end(), sum);
    return;
  }
  const auto d1 = passes.slope(0);
  if (layers.size() == 2) {
    const auto w1 = layers[0].weight(), w2 = layers[1].weight();
    for (Index i = 0; i < w1.rows(); ++i) {
      T sum = 0;
      for (Index j = 0; j < w1.cols(); ++j) sum += w1(i, j) * w2(j, i);
      diagonal_[static_cast<std::size_t>(i)] = sum;
    }
    for (Index i = 0; i < n; ++i) {
      double sum = 0;
      for (Index r = 0; r < d1.rows(); ++r) {
        sum += static_cast<double>(d1(r, i)) * static_cast<double>(diagonal_[static_cast<std::size_t>(r)]);
      }
      trace[static_cast<std::size_t>(i)] = sum;
    }
    return;
  }
  const auto w2 = layers[1].weight();
  gemm(Op::none, Op::none, T(1), layers[0].weight(), layers[2].weight(), T(0), inner_);
  for (Index j = 0; j < coupling_.cols(); ++j) {
    for (Index i = 0; i < coupling_.rows(); ++i) coupling_(i, j) = w2(i, j) * inner_(j, i);
  }
  const auto image = image_.columns(0, n);
  gemm(Op::none, Op::none, T(1), coupling_, d1, T(0), image);
  const auto d2 = passes.slope(1);
  for (Index i = 0; i < n; ++i) {
    double sum = 0;
    for (Index r = 0; r < d2.rows(); ++r) sum += static_cast<double>(d2(r, i)) * static_cast<double>(image(r, i));
    trace[static_cast<std::size_t>(i)] = sum;
  }
}

template <class T>
void ExactTrace<T>::add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   std::span<const T> weight, std::span<T> gradient) {
  const PhaseScope scope(Phase::reverse);
  const auto& layers = network.layers();
  if (layers.size() == 3) return add_two_hidden(network, passes, weight, gradient);
  if (layers.size() == 2) return add_one_hidden(network, passes, weight, gradient);
  T total = 0;
  for (Index i = 0; i < passes.samples(); ++i) total += weight_of(weight, i);
  const auto bar = layers[0].weight_gradient(gradient);
  for (Index i = 0; i < bar.rows(); ++i) bar(i, i) += total;
}

template <class T>
void ExactTrace<T>::add_one_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   std::span<const T> weight, std::span<T> gradient) {
  const auto& layers = network.layers();
  const auto d1 = passes.slope(0);
  const auto d1_bar = passes.slope_bar(0);
  const auto w1 = layers[0].weight(), w2 = layers[1].weight();
  const auto w1_bar = layers[0].weight_gradient(gradient), w2_bar = layers[1].weight_gradient(gradient);
  for (Index i = 0; i < d1.cols(); ++i) {
    for (Index r = 0; r < d1.rows(); ++r) d1_bar(r, i) = weight_of(weight, i) * diagonal_[static_cast<std::size_t>(r)];
  }
  for (Index r = 0; r < d1.rows(); ++r) {
    T bar = 0;
    for (Index i = 0; i < d1.cols(); ++i) bar += weight_of(weight, i) * d1(r, i);
    for (Index j = 0; j < w1.cols(); ++j) {
      w1_bar(r, j) += bar * w2(j, r);
      w2_bar(j, r) += bar * w1(r, j);
    }
  }
}

template <class T>
void ExactTrace<T>::add_two_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   std::span<const T> weight, std::span<T> gradient) {
  const auto& layers = network.layers();
  const auto d1 = passes.slope(0), d2 = passes.slope(1);
  const auto d1_bar = passes.slope_bar(0), d2_bar = passes.slope_bar(1);
  const Index n = d1.cols();
  const auto weighted = weighted_.columns(0, n);
  for (Index i = 0; i < n; ++i) {
    const T w = weight_of(weight, i);
    for (Index r = 0; r < d2.rows(); ++r) {
      weighted(r, i) = w * d2(r, i);
      d2_bar(r, i) = w * image_(r, i);
    }
  }
  gemm(Op::transpose, Op::none, T(1), coupling_, weighted, T(0), d1_bar);
  // M̄, in the place of M, which is not needed any more; then W̄₂ and P̄, in that of W₁W₃.
  gemm(Op::none, Op::transpose, T(1), weighted, d1, T(0), coupling_);
  const auto w2 = layers[1].weight();
  const auto w2_bar = layers[1].weight_gradient(gradient);
  for (Index j = 0; j < w2.cols(); ++j) {
    for (Index i = 0; i < w2.rows(); ++i) {
      w2_bar(i, j) += coupling_(i, j) * inner_(j, i);
      inner_(j, i) = coupling_(i, j) * w2(i, j);
    }
  }
  gemm(Op::none, Op::transpose, T(1), inner_, layers[2].weight(), T(1), layers[0].weight_gradient(gradient));
  gemm(Op::transpose, Op::none, T(1), layers[0].weight(), inner_, T(1), layers[2].weight_gradient(gradient));
}

template class ExactTrace<float>;
template class ExactTrace<double>;

}  // namespace pushforward::logdet
