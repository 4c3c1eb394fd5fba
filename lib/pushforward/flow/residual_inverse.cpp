#include <pushforward/flow/residual_inverse.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
double norm_of(std::span<const T> x) {
  double square = 0;
  for (const T value : x) square += static_cast<double>(value) * static_cast<double>(value);
  return std::sqrt(square);
}

}  // namespace

template <class T>
ResidualInverse<T>::ResidualInverse(linalg::Workspace& scratch, Index d, Index c, Index n)
    : d_(d),
      x_(scratch.matrix<T>(d, n)),
      target_(scratch.matrix<T>(d, n)),
      residual_(scratch.matrix<T>(d, n)),
      step_(scratch.matrix<T>(d, n)),
      previous_x_(scratch.matrix<T>(d, n)),
      previous_residual_(scratch.matrix<T>(d, n)),
      context_(scratch.matrix<T>(c, n)),
      norm_(scratch.take<double>(n)),
      previous_norm_(scratch.take<double>(n)),
      unused_log_det_(scratch.take<double>(n)),
      column_(scratch.take<Index>(n)),
      newton_(scratch.take<bool>(n)),
      sign_(scratch.take<linalg::Sign>(n)),
      verdict_(scratch.take<Verdict>(n)) {}

template <class T>
void ResidualInverse<T>::evaluate(const nn::Network<T>& network, nn::NetworkState<T>& passes, Index active) {
  const auto residual = residual_.columns(0, active);
  network.forward(passes, x_.columns(0, active), residual, context_.columns(0, active));
  for (Index i = 0; i < active; ++i) {
    for (Index r = 0; r < d_; ++r) residual(r, i) += x_(r, i) - target_(r, i);
    norm_[static_cast<std::size_t>(i)] = norm_of<T>(residual.column_span(i));
  }
}

template <class T>
void ResidualInverse<T>::advance(Index from, Index to, bool newton) {
  const auto a = static_cast<std::size_t>(from), b = static_cast<std::size_t>(to);
  if (verdict_[a] == Verdict::undo) {
    for (Index r = 0; r < d_; ++r) x_(r, to) = previous_x_(r, from) - previous_residual_(r, from);
    newton_[b] = false;
    previous_norm_[b] = std::numeric_limits<double>::infinity();  // a Banach step is not judged
  } else {
    newton_[b] = newton && sign_[a] != 0;
    previous_norm_[b] = norm_[a];
    const auto& step = newton_[b] ? step_ : residual_;
    for (Index r = 0; r < d_; ++r) {
      const T before = x_(r, from);
      x_(r, to) = before - step(r, from);
      previous_x_(r, to) = before;
      previous_residual_(r, to) = residual_(r, from);
    }
  }
  std::copy_n(target_.column(from), d_, target_.column(to));
  std::copy_n(context_.column(from), context_.rows(), context_.column(to));
  column_[b] = column_[a];
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
  const bool newton = options.method == InverseMethod::newton;

  Index active = z.cols();
  for (Index i = 0; i < active; ++i) {
    std::copy_n(z.column(i), d_, x_.column(i));
    std::copy_n(z.column(i), d_, target_.column(i));
    if (!context.empty()) std::copy_n(context.column(i), context.rows(), context_.column(i));
    column_[static_cast<std::size_t>(i)] = i;
    newton_[static_cast<std::size_t>(i)] = false;
  }

  for (int iteration = 0; active > 0; ++iteration) {
    evaluate(network, passes, active);
    Index go_on = 0;
    for (Index i = 0; i < active; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double norm = norm_[at];
      const bool converged = norm <= margin * tolerance * (1 + norm_of<T>(x_.column_span(i)));
      const bool refused = newton_[at] && !(norm <= lipschitz * previous_norm_[at]);
      auto& outcome = status[static_cast<std::size_t>(column_[at])];
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
    if (newton && go_on > 0) {
      const auto n = static_cast<std::size_t>(active);
      exact.estimate(network, passes, unused_log_det_.first(n), sign_.first(n));
      for (Index i = 0; i < active; ++i) std::copy_n(residual_.column(i), d_, step_.column(i));
      exact.solve(step_.columns(0, active));
    }
    Index kept = 0;
    for (Index i = 0; i < active; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (verdict_[at] == Verdict::done) {
        std::copy_n(x_.column(i), d_, x.column(column_[at]));
      } else {
        advance(i, kept++, newton);
      }
    }
    active = kept;
  }
}

template class ResidualInverse<float>;
template class ResidualInverse<double>;

}  // namespace pushforward::flow
