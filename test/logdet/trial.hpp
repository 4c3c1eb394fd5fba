#pragma once

// An estimator of log-dets at work on a network, with all its memory.

#include <pushforward/logdet/estimator.hpp>

#include "../nn/networks.hpp"

namespace pushforward::test {

/// An estimator at n points of a network, with all its memory.
template <class T>
struct Trial {
  Trial(const TestNetwork<T>& net, const Matrix<T>& at, const std::string& text, nn::Pass pass, Matrix<T> of = {})
      : net_(net),
        estimator(logdet::make_estimator<T>(logdet::parse_method(text), net.network.options())),
        x(at),
        context(std::move(of)),
        y(at.rows(), at.cols()),
        passes(net.network, at.cols(), estimator->tangents(net.network), pass) {
    linalg::Workspace kept_count, scratch_count;
    estimator->plan(net.network, kept_count, scratch_count, at.cols(), pass);
    kept = linalg::Workspace(kept_count.peak());
    scratch = linalg::Workspace(scratch_count.peak());
    state = estimator->plan(net.network, kept, scratch, at.cols(), pass);
    const auto n = static_cast<std::size_t>(at.cols());
    value.resize(n);
    variance.resize(n);
    sign.resize(n);
    products.resize(n);
  }

  void estimate(const logdet::Draws& draws) {
    net_.network.forward(*passes, x, y, context);
    estimator->estimate(net_.network, *passes, *state, draws, {value, variance, sign, products});
  }

  /// Gradient of Σ wᵢ log-detᵢ with respect to effective parameters and, behind them, x. weight: (n), or empty for 1.
  std::vector<double> gradient(const logdet::Draws& draws, std::span<const T> weight) {
    estimate(draws);
    const Index d = x.rows(), n = x.cols(), k = estimator->tangents(net_.network);
    const auto seed = passes->value_seed();
    for (Index i = 0; i < n; ++i) std::fill_n(seed.column(i), d, T(0));
    const auto u = passes->tangent_seed(k);
    for (Index j = 0; j < n * k && !weight.empty(); ++j) {
      for (Index r = 0; r < d; ++r) u(r, j) *= weight[j / k];
    }
    std::vector<T> flat(net_.parameters.size());
    Matrix<T> x_bar(d, n);
    estimator->add_to_reverse(net_.network, *passes, *state, weight, flat);
    net_.network.reverse(*passes, x_bar, flat);
    std::vector<double> all(flat.begin(), flat.end());
    all.insert(all.end(), x_bar.span().begin(), x_bar.span().end());
    return all;
  }

  const TestNetwork<T>& net_;
  std::unique_ptr<logdet::Estimator<T>> estimator;
  Matrix<T> x, context, y;
  Passes<T> passes;
  linalg::Workspace kept, scratch;
  std::unique_ptr<typename logdet::Estimator<T>::State> state;
  std::vector<double> value, variance;
  std::vector<linalg::Sign> sign;
  std::vector<Index> products;
};

}  // namespace pushforward::test
