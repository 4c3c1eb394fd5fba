#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/transforms/residual_inverse.hpp>

#include <cmath>

namespace pushforward::flow {

template <class T>
ResidualInverse<T>::ResidualInverse(linalg::Workspace& scratch, Index d, Index c, Index n)
    : d_(d),
      x_(scratch.matrix<T>(d, n)),
      residual_(scratch.matrix<T>(d, n)),
      step_(scratch.matrix<T>(d, n)),
      context_(scratch.matrix<T>(c, n)),
      norm_(scratch.take<double>(n)),
      unused_log_det_(scratch.take<double>(n)),
      sign_(scratch.take<linalg::Sign>(n)),
      verdict_(scratch.take<Verdict>(n)),
      bold_(scratch.take<bool>(n)),
      column_(scratch.take<Index>(n)),
      previous_x_(scratch.matrix<T>(d, n)),
      previous_residual_(scratch.matrix<T>(d, n)),
      previous_norm_(scratch.take<double>(n)),
      refusable_(scratch.take<bool>(n)),
      anderson_(scratch, d, n) {}

template <class T>
void ResidualInverse<T>::evaluate(const nn::Network<T>& network, nn::NetworkState<T>& passes, ConstMatrixView<T> z,
                                  Index active) {
  const auto residual = residual_.columns(0, active);
  network.forward(passes, x_.columns(0, active), residual, context_.columns(0, active));
  for (Index i = 0; i < active; ++i) {
    const T* const target = z.column(column_[i]);
    for (Index r = 0; r < d_; ++r) residual(r, i) += x_(r, i) - target[r];
    norm_[i] = linalg::norm_in_double<T>(residual.column_span(i));
  }
}

template <class T>
void ResidualInverse<T>::linearise(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                                   logdet::ExactLogDet<T>& exact, Index active) {
  const auto n = static_cast<std::size_t>(active);
  exact.estimate(network, passes, unused_log_det_.first(n), sign_.first(n));
  for (Index i = 0; i < active; ++i) std::copy_n(residual_.column(i), d_, step_.column(i));
  exact.solve(step_.columns(0, active));
  for (std::size_t i = 0; i < n; ++i) {
    bold_[i] = sign_[i] != 0;
    const auto at = static_cast<Index>(i);
    if (!bold_[i]) std::copy_n(residual_.column(at), d_, step_.column(at));
  }
}

template <class T>
void ResidualInverse<T>::accelerate(Index active, bool first) {
  for (Index i = 0; i < active; ++i) {
    const auto at = static_cast<std::size_t>(i);
    if (verdict_[at] != Verdict::go_on) continue;
    const Index c = column_[at];
    std::span<const T> x_before, r_before;
    if (!first) {
      x_before = previous_x_.column_span(c);
      r_before = previous_residual_.column_span(c);
    }
    bold_[at] =
        anderson_.step(c, x_.column_span(i), residual_.column_span(i), x_before, r_before, step_.column_span(i));
  }
}

template <class T>
void ResidualInverse<T>::advance(Index from, Index to) {
  const auto at = static_cast<std::size_t>(from);
  const Index c = column_[at];
  const auto place = static_cast<std::size_t>(c);
  const bool undo = verdict_[at] == Verdict::undo;
  if (undo) {
    anderson_.reset(c);
  } else {
    std::copy_n(x_.column(from), d_, previous_x_.column(c));
    std::copy_n(residual_.column(from), d_, previous_residual_.column(c));
    previous_norm_[place] = norm_[at];
  }
  refusable_[place] = !undo && bold_[at];
  const T* const step = undo ? previous_residual_.column(c) : step_.column(from);
  for (Index r = 0; r < d_; ++r) x_(r, to) = previous_x_(r, c) - step[r];
  std::copy_n(context_.column(from), context_.rows(), context_.column(to));
  column_[to] = c;
}

template <class T>
void ResidualInverse<T>::solve(const nn::Network<T>& network, nn::NetworkState<T>& passes,
                               logdet::ExactLogDet<T>& exact, double lipschitz, ConstMatrixView<T> z,
                               ConstMatrixView<T> context, MatrixView<T> x, std::span<Status> status,
                               const InverseOptions& options) {
  const double margin = 1 - lipschitz;
  require<NumericalError>(
      margin > 0,
      "inverse of a residual block: its Lipschitz constant {:.9g} is not below 1, so the block need "
      "not be invertible; train with a smaller model.lipschitz",
      lipschitz);
  const double tolerance = std::max(options.tolerance, 64 * double(std::numeric_limits<T>::epsilon()) / margin);

  Index active = z.cols();
  for (Index i = 0; i < active; ++i) {
    std::copy_n(z.column(i), d_, x_.column(i));
    if (!context.empty()) std::copy_n(context.column(i), context.rows(), context_.column(i));
    column_[i] = i;
    refusable_[i] = false;
    anderson_.reset(i);
  }

  for (int iteration = 0; active > 0; ++iteration) {
    evaluate(network, passes, z, active);
    Index go_on = 0;
    for (Index i = 0; i < active; ++i) {
      const auto at = static_cast<std::size_t>(i), place = static_cast<std::size_t>(column_[at]);
      const double norm = norm_[at];
      const bool converged = norm <= margin * tolerance * (1 + linalg::norm_in_double<T>(x_.column_span(i)));
      const bool refused = refusable_[place] && !(norm <= lipschitz * previous_norm_[place]);
      auto& outcome = status[place];
      verdict_[at] = Verdict::done;
      if (converged || outcome == Status::not_finite) continue;
      if (iteration == options.max_iterations) {
        outcome = Status::not_converged;
      } else if (refused) {
        verdict_[at] = Verdict::undo;
      } else if (!std::isfinite(norm)) {
        outcome = Status::not_finite;
      } else {
        verdict_[at] = Verdict::go_on;
        ++go_on;
      }
    }
    if (options.algorithm == InverseAlgorithm::anderson) {
      accelerate(active, iteration == 0);
    } else if (go_on > 0) {
      linearise(network, passes, exact, active);
    }
    Index kept = 0;
    for (Index i = 0; i < active; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (verdict_[at] == Verdict::done) {
        std::copy_n(x_.column(i), d_, x.column(column_[at]));
      } else {
        advance(i, kept++);
      }
    }
    active = kept;
  }
}

template class ResidualInverse<float>;
template class ResidualInverse<double>;

}  // namespace pushforward::flow
