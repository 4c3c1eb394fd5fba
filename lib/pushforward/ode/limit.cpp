#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/ode/limit.hpp>

#include <cmath>

namespace pushforward::ode {

namespace {

const Tableau& finest() {
  return Tableau::registry().at(finest_solver);
}

template <class T>
double distance(std::span<const T> a, std::span<const T> b) {
  double square = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = static_cast<double>(a[i]) - static_cast<double>(b[i]);
    square += difference * difference;
  }
  return std::sqrt(square);
}

}  // namespace

template <class T>
Limit<T>::Limit(const VectorField<T>& field, linalg::Workspace& scratch, Index n)
    : d_(field.dimension()),
      c_(field.context()),
      method_(field, finest(), LogDet::trace, scratch, scratch, n, Pass::evaluate),
      x_(scratch.matrix<T>(d_, n)),
      u_(scratch.matrix<T>(c_, n)),
      column_(scratch.take<Index>(n)),
      coarse_{scratch.matrix<T>(d_, n), scratch.take<double>(n)},
      fine_{scratch.matrix<T>(d_, n), scratch.take<double>(n)},
      middle_(scratch.matrix<T>(d_, n)) {}

template <class T>
void Limit<T>::integrate(Index active, double from, double to, Index steps, const End& end) {
  const double h = (to - from) / static_cast<double>(steps);
  const auto log_det = end.log_det.first(active);
  std::ranges::fill(log_det, 0.0);
  auto at = middle_.columns(0, active), next = end.z.columns(0, active);
  if (steps % 2 == 0) std::swap(at, next);  // the last step must write to the end
  copy_samples<T>(x_.columns(0, active), at);
  for (Index k = 0; k < steps; ++k) {
    const double t = from + (to - from) * static_cast<double>(k) / static_cast<double>(steps);
    method_.step({at, u_.columns(0, active), t, h}, next, log_det, {});
    std::swap(at, next);
  }
}

template <class T>
void Limit<T>::solve(ConstMatrixView<T> x, ConstMatrixView<T> u, double from, double to, const LimitOptions& options,
                     MatrixView<T> z, std::span<double> log_det, const LimitReport& report) {
  constexpr double rounding = 256 * static_cast<double>(std::numeric_limits<T>::epsilon());
  Index active = x.cols();
  copy_samples<T>(x, x_.columns(0, active));
  if (c_ > 0) copy_samples<T>(u, u_.columns(0, active));
  for (Index j = 0; j < active; ++j) {
    column_[j] = j;
    report.evaluations[j] = method_.stages();
  }
  integrate(active, from, to, 1, coarse_);
  for (Index steps = 2; active > 0; steps *= 2) {
    integrate(active, from, to, steps, fine_);
    Index kept = 0;
    for (Index j = 0; j < active; ++j) {
      const auto place = static_cast<std::size_t>(column_[j]);
      const auto end = std::as_const(fine_).z.column_span(j), before = std::as_const(coarse_).z.column_span(j);
      const double norm = linalg::norm_in_double<T>(end);
      const double error =
          std::abs(fine_.log_det[j] - coarse_.log_det[j]) + std::max(1.0, norm) * distance<T>(end, before);
      report.error[place] = error;
      report.evaluations[place] += steps * method_.stages();
      auto& outcome = report.outcome[place];
      // The coarse grids of a lively field may overflow where finer ones do not, so only a bad start ends at once.
      const bool finite = std::isfinite(norm * norm) && std::isfinite(fine_.log_det[j]);
      const bool last = 2 * steps > options.max_steps || !std::isfinite(linalg::norm_in_double<T>(x_.column_span(j)));
      if (finite && error <= std::max(options.tolerance, rounding * (1 + norm * norm))) {
        outcome = Convergence::reached;
      } else if (last) {
        outcome = finite ? Convergence::too_coarse : Convergence::not_finite;
      } else {
        std::copy_n(x_.column(j), d_, x_.column(kept));
        std::copy_n(u_.column(j), c_, u_.column(kept));
        std::copy_n(fine_.z.column(j), d_, coarse_.z.column(kept));
        coarse_.log_det[kept] = fine_.log_det[j];
        column_[kept++] = column_[j];
        continue;
      }
      std::copy_n(end.data(), d_, z.column(column_[j]));
      log_det[place] += fine_.log_det[j];
    }
    active = kept;
  }
}

template class Limit<float>;
template class Limit<double>;

}  // namespace pushforward::ode
