#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/transforms/grid_inverse.hpp>

#include <cmath>
#include <limits>

namespace pushforward::flow {

template <class T>
GridInverse<T>::GridInverse(linalg::Workspace& scratch, Index d, Index n)
    : image_(scratch.matrix<T>(d, n)),
      newton_(scratch.matrix<T>(d, n)),
      accepted_(scratch.matrix<T>(d, n)),
      step_(scratch.matrix<T>(d, n)),
      residual_(scratch.take<double>(n)),
      log_det_(scratch.take<double>(n)),
      sign_(scratch.take<linalg::Sign>(n)),
      done_(scratch.take<bool>(n)),
      is_accepted_(scratch.take<bool>(n)) {}

template <class T>
bool GridInverse<T>::accept(Index j, ConstMatrixView<T> y, MatrixView<T> x) {
  const Index d = y.rows();
  for (Index i = 0; i < d; ++i) newton_(i, j) = image_(i, j) - y(i, j);
  const double norm = linalg::norm_in_double<T>(newton_.column_span(j));
  if (norm < residual_[j]) {
    residual_[j] = norm;
    std::copy_n(x.column(j), d, accepted_.column(j));
    return true;
  }
  for (Index i = 0; i < d; ++i) {
    step_(i, j) *= T(0.5);
    x(i, j) = accepted_(i, j) - step_(i, j);
  }
  return false;
}

template <class T>
void GridInverse<T>::solve(ode::RungeKutta<T>& method, const ode::StepStart<T>& start, ConstMatrixView<T> y,
                           MatrixView<T> x, std::span<double> log_det, const GridInverseReport& report,
                           const InverseOptions& options) {
  const Index d = y.rows(), n = y.cols();
  const double tolerance = std::max(options.tolerance, 64 * static_cast<double>(std::numeric_limits<T>::epsilon()));
  const auto image = image_.columns(0, n), newton = newton_.columns(0, n);
  const auto log_dets = log_det_.first(n);
  Index active = n;
  for (Index j = 0; j < n; ++j) {
    residual_[j] = std::numeric_limits<double>::infinity();
    done_[j] = false;
  }
  method.step({y, start.u, start.t + start.h, -start.h}, x, {}, {});
  for (int iteration = 0; active > 0; ++iteration) {
    std::ranges::fill(log_dets, 0.0);
    method.step({x, start.u, start.t, start.h}, image, log_dets, sign_.first(n));
    for (Index j = 0; j < n; ++j) is_accepted_[j] = !done_[j] && accept(j, y, x);
    method.solve(newton);
    for (Index j = 0; j < n; ++j) {
      if (done_[j]) continue;
      const double small = tolerance * (1 + linalg::norm_in_double<T>(x.column_span(j)));
      Status outcome = Status::ok;
      if (!std::isfinite(residual_[j])) {  // no x was ever accepted
        outcome = Status::not_finite;
      } else if (is_accepted_[j] && linalg::norm_in_double<T>(newton.column_span(j)) <= small) {
        log_det[j] -= log_dets[j];
        outcome = sign_[j] > 0 ? Status::ok : Status::negative_determinant;
      } else if (iteration >= options.max_iterations ||
                 (!is_accepted_[j] && linalg::norm_in_double<T>(step_.column_span(j)) <= small)) {
        outcome = Status::not_converged;
      } else {
        if (!is_accepted_[j]) continue;  // accept() has moved x
        for (Index i = 0; i < d; ++i) {
          step_(i, j) = newton(i, j);
          x(i, j) = accepted_(i, j) - step_(i, j);
        }
        continue;
      }
      done_[j] = true;
      --active;
      report.evaluations[j] += (iteration + 2) * method.stages();
      if (report.status[j] == Status::ok) report.status[j] = outcome;
    }
  }
}

template class GridInverse<float>;
template class GridInverse<double>;

}  // namespace pushforward::flow
