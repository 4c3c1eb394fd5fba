#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/logdet/probe_mean.hpp>
#include <pushforward/logdet/trace.hpp>

namespace pushforward::logdet {

namespace {

using linalg::gemm;
using linalg::Op;

}  // namespace

template <class T>
ExactTrace<T>::ExactTrace(const nn::Network<T>& network, linalg::Workspace& kept, Index n, Index terms)
    : square_(terms == 2) {
  const auto& hidden = network.options().hidden;
  require<BugError>(std::ssize(hidden) <= most_hidden && terms >= 1 && terms <= most_terms(network.options()),
                    "exact trace: {} terms for {} hidden layers", terms, hidden.size());
  if (hidden.size() == 1) diagonal_ = kept.take<T>(hidden[0]);
  if (hidden.size() < 2 && !square_) return;
  const Index first = hidden.front(), last = hidden.back();
  inner_ = kept.matrix<T>(last, first);
  coupling_ = kept.matrix<T>(last, first);
  image_ = kept.matrix<T>(last, n);
  weighted_ = kept.matrix<T>(last, n);
}

template <class T>
void ExactTrace<T>::value(const nn::Network<T>& network, const nn::NetworkState<T>& passes, std::span<double> sum) {
  const PhaseScope scope(Phase::tangents);
  switch (network.layers().size()) {
    case 1: return value_linear(network, sum);
    case 2: return value_one_hidden(network, passes, sum);
    default: return value_two_hidden(network, passes, sum);
  }
}

template <class T>
void ExactTrace<T>::value_linear(const nn::Network<T>& network, std::span<double> sum) {
  double trace = 0;
  for (Index i = 0; i < network.in(); ++i) trace += static_cast<double>(network.layers()[0]->weight()(i, i));
  std::fill(sum.begin(), sum.end(), trace);
}

template <class T>
void ExactTrace<T>::value_one_hidden(const nn::Network<T>& network, const nn::NetworkState<T>& passes,
                                     std::span<double> sum) {
  const auto w1 = network.layers()[0]->weight(), w2 = network.layers()[1]->weight();
  const auto d1 = passes.slope(0);
  const Index h = w1.rows(), n = std::ssize(sum);
  if (square_) {
    gemm(Op::none, Op::none, T(1), w1, w2, T(0), inner_);
    for (Index j = 0; j < h; ++j) {
      for (Index i = 0; i < h; ++i) coupling_(i, j) = inner_(i, j) * inner_(j, i);
      diagonal_[j] = inner_(j, j);
    }
    gemm(Op::none, Op::none, T(1), coupling_, d1, T(0), image_.columns(0, n));
  } else {
    for (Index i = 0; i < h; ++i) {
      T element = 0;
      for (Index j = 0; j < w1.cols(); ++j) element += w1(i, j) * w2(j, i);
      diagonal_[i] = element;
    }
  }
  for (Index i = 0; i < n; ++i) {
    double& mine = sum[i];
    mine = linalg::dot_in_double<T>(d1.column(i), diagonal_.data(), h);
    if (square_) mine -= 0.5 * linalg::column_dot<T>(d1, image_, i);
  }
}

template <class T>
void ExactTrace<T>::value_two_hidden(const nn::Network<T>& network, const nn::NetworkState<T>& passes,
                                     std::span<double> sum) {
  const auto& layers = network.layers();
  const auto w2 = layers[1]->weight();
  gemm(Op::transpose, Op::transpose, T(1), layers[2]->weight(), layers[0]->weight(), T(0), inner_);
  for (Index j = 0; j < coupling_.cols(); ++j) {
    for (Index i = 0; i < coupling_.rows(); ++i) coupling_(i, j) = w2(i, j) * inner_(i, j);
  }
  const Index n = std::ssize(sum);
  gemm(Op::none, Op::none, T(1), coupling_, passes.slope(0), T(0), image_.columns(0, n));
  for (Index i = 0; i < n; ++i) sum[i] = linalg::column_dot<T>(passes.slope(1), image_, i);
}

template <class T>
void ExactTrace<T>::add_to_reverse(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   std::span<const T> weight, std::span<T> gradient) {
  const PhaseScope scope(Phase::reverse);
  switch (network.layers().size()) {
    case 1: return add_linear(network, passes, weight, gradient);
    case 2: return add_one_hidden(network, passes, weight, gradient);
    default: return add_two_hidden(network, passes, weight, gradient);
  }
}

template <class T>
void ExactTrace<T>::add_linear(const nn::Network<T>& network, nn::NetworkState<T>& passes, std::span<const T> weight,
                               std::span<T> gradient) {
  if (gradient.empty()) return;
  T total = 0;
  for (Index i = 0; i < passes.samples(); ++i) total += weight_of(weight, i);
  const auto bar = network.layers()[0]->weight_gradient(gradient);
  for (Index i = 0; i < bar.rows(); ++i) bar(i, i) += total;
}

template <class T>
void ExactTrace<T>::add_one_hidden(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   std::span<const T> weight, std::span<T> gradient) {
  const auto& layers = network.layers();
  const auto d1 = passes.slope(0);
  const auto d1_bar = passes.slope_bar(0);
  const Index h = d1.rows(), n = d1.cols();
  for (Index i = 0; i < n; ++i) {
    const T w = weight_of(weight, i);
    for (Index r = 0; r < h; ++r) {
      const T square = square_ ? image_(r, i) : T(0);
      d1_bar(r, i) = w * (diagonal_[r] - square);
    }
  }
  if (gradient.empty()) return;
  const auto w1 = layers[0]->weight(), w2 = layers[1]->weight();
  const auto w1_bar = layers[0]->weight_gradient(gradient), w2_bar = layers[1]->weight_gradient(gradient);
  if (!square_) {
    for (Index r = 0; r < h; ++r) {
      T bar = 0;
      for (Index i = 0; i < n; ++i) bar += weight_of(weight, i) * d1(r, i);
      for (Index j = 0; j < w1.cols(); ++j) {
        w1_bar(r, j) += bar * w2(j, r);
        w2_bar(j, r) += bar * w1(r, j);
      }
    }
    return;
  }
  const auto weighted = weighted_.columns(0, n);
  std::fill(diagonal_.begin(), diagonal_.end(), T(0));  // of K; now of its cotangent
  for (Index i = 0; i < n; ++i) {
    for (Index r = 0; r < h; ++r) {
      weighted(r, i) = weight_of(weight, i) * d1(r, i);
      diagonal_[r] += weighted(r, i);
    }
  }
  // S, and then K̄, in the place of K ∘ Kᵀ, which is not needed any more.
  gemm(Op::none, Op::transpose, T(1), weighted, d1, T(0), coupling_);
  for (Index j = 0; j < h; ++j) {
    for (Index i = 0; i < h; ++i) coupling_(i, j) *= -inner_(j, i);
    coupling_(j, j) += diagonal_[j];
  }
  gemm(Op::none, Op::transpose, T(1), coupling_, w2, T(1), w1_bar);
  gemm(Op::transpose, Op::none, T(1), w1, coupling_, T(1), w2_bar);
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
  if (gradient.empty()) return;
  // M̄, in the place of M, which is not needed any more; then W̄₂ and P̄, in that of (W₁W₃)ᵀ.
  gemm(Op::none, Op::transpose, T(1), weighted, d1, T(0), coupling_);
  const auto w2 = layers[1]->weight();
  const auto w2_bar = layers[1]->weight_gradient(gradient);
  for (Index j = 0; j < w2.cols(); ++j) {
    for (Index i = 0; i < w2.rows(); ++i) {
      w2_bar(i, j) += coupling_(i, j) * inner_(i, j);
      inner_(i, j) = coupling_(i, j) * w2(i, j);
    }
  }
  gemm(Op::transpose, Op::transpose, T(1), inner_, layers[2]->weight(), T(1), layers[0]->weight_gradient(gradient));
  gemm(Op::transpose, Op::transpose, T(1), layers[0]->weight(), inner_, T(1), layers[2]->weight_gradient(gradient));
}

template class ExactTrace<float>;
template class ExactTrace<double>;

}  // namespace pushforward::logdet
