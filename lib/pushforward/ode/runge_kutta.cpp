#include <pushforward/core/timer.hpp>
#include <pushforward/linalg/dot_in_double.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/ode/runge_kutta.hpp>

namespace pushforward::ode {

namespace {

// out ← out + c·a, for matrices of the same size in contiguous memory.
template <class T>
void add_scaled(T c, ConstMatrixView<T> a, MatrixView<T> out) {
  if (c == T(0)) return;
  const T* const from = a.data();
  T* const to = out.data();
  const Index size = out.size();
#pragma GCC ivdep
  for (Index i = 0; i < size; ++i) to[i] += c * from[i];
}

// Writes the identity for each sample: out (d × d·n).
template <class T>
void set_identity(MatrixView<T> out) {
  const Index d = out.rows();
  std::fill_n(out.data(), out.size(), T(0));
  for (Index j = 0; j < out.cols(); ++j) out(j % d, j) = T(1);
}

}  // namespace

template <class T>
FieldState<T> RungeKutta<T>::make_stage(linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Pass pass) const {
  const auto derivative = log_det_ == LogDet::none    ? Derivative::none
                          : log_det_ == LogDet::trace ? Derivative::divergence
                                                      : Derivative::tangents;
  return {field_, kept, scratch, n, derivative, pass, log_det_ == LogDet::estimate ? k_ : d_};
}

template <class T>
RungeKutta<T>::RungeKutta(const VectorField<T>& field, const Tableau& tableau, LogDet log_det, linalg::Workspace& kept,
                          linalg::Workspace& scratch, Index n, Pass pass, Index probes, const Penalty& penalty)
    : field_(field),
      tableau_(tableau),
      log_det_(log_det),
      penalty_(penalty),
      d_(field.dimension()),
      k_(probes),
      run_(make_stage(scratch, scratch, n, Pass::evaluate)) {
  const bool gradient = pass == Pass::gradient, discrete = log_det == LogDet::discrete;
  const Index points = gradient ? stages() : 1, tangents = discrete ? d_ : k_;
  for (Index i = 0; i < stages(); ++i) {
    velocity_.push_back(scratch.matrix<T>(d_, n));
    tangent_.push_back(scratch.matrix<T>(d_, tangents * n));
    if (!gradient) continue;
    point_bar_.push_back(scratch.matrix<T>(d_, n));
    if (discrete) direction_bar_.push_back(scratch.matrix<T>(d_, d_ * n));
  }
  for (Index i = 0; i < points; ++i) {
    point_.push_back(scratch.matrix<T>(d_, n));
    if (discrete) direction_.push_back(scratch.matrix<T>(d_, d_ * n));
  }
  if (log_det != LogDet::none) value_ = scratch.take<double>(n);
  if (discrete) {
    jacobian_ = scratch.matrix<T>(d_, d_ * n);
    pivots_ = scratch.take<int>(d_ * n);
    sign_ = scratch.take<linalg::Sign>(n);
  }
  if (!field.spheres().empty()) {
    start_ = scratch.matrix<T>(d_, n);
    end_ = scratch.matrix<T>(d_, n);
  }
  if (!gradient) return;
  if (discrete) inverse_transpose_ = scratch.matrix<T>(d_, d_ * n);
  weight_ = scratch.take<T>(n);
  unit_bar_ = scratch.matrix<T>(d_, n);
  if (!field.spheres().empty()) growth_ = scratch.matrix<T>(field.spheres().count(), n);
  // The stages share the memory that their networks need during one pass.
  const Index mark = scratch.used();
  for (Index i = 0; i < stages(); ++i) {
    scratch.release(mark);
    stages_.push_back(make_stage(kept, scratch, n, Pass::gradient));
  }
}

template <class T>
ConstMatrixView<T> RungeKutta<T>::point(const StepStart<T>& start, Index i, MatrixView<T> memory) const {
  if (i == 0) return start.x;
  const Index n = start.x.cols();
  const auto x = memory.columns(0, n);
  copy_samples<T>(start.x, x);
  for (Index j = 0; j < i; ++j) {
    add_scaled<T>(static_cast<T>(start.h * tableau_.a[i][j]), velocity_[j].columns(0, n), x);
  }
  return x;
}

template <class T>
nn::Directions<T> RungeKutta<T>::directions(double h, Index i, Index n, MatrixView<T> memory) const {
  if (i == 0) return nn::Directions<T>::identity(d_);
  const auto v = memory.columns(0, d_ * n);
  set_identity(v);
  for (Index j = 0; j < i; ++j) {
    add_scaled<T>(static_cast<T>(h * tableau_.a[i][j]), tangent_[j].columns(0, d_ * n), v);
  }
  return nn::Directions<T>::given(v, d_);
}

template <class T>
nn::Directions<T> RungeKutta<T>::probes(const StepStart<T>& start, Index i) const {
  return nn::Directions<T>::given(start.probes->of(start.step, i), k_);
}

template <class T>
void RungeKutta<T>::evaluate(FieldState<T>& state, const StepStart<T>& start, Index i, Index slot, LogDet what,
                             std::span<double> log_det) {
  const Index n = start.x.cols();
  const double t = start.t + tableau_.c[i] * start.h, weight = start.h * tableau_.b[i];
  field_.forward(state, point(start, i, point_[slot]), std::span(&t, 1), start.u, velocity_[i].columns(0, n));
  if (what == LogDet::none) return;
  if (what == LogDet::discrete) {
    field_.tangent(state, directions(start.h, i, n, direction_[slot]), tangent_[i].columns(0, d_ * n));
  } else if (what == LogDet::trace) {
    const auto values = value_.first(n);
    field_.divergence(state, values);
    for (Index j = 0; j < n; ++j) log_det[j] += weight * values[j];
  } else {
    const auto of_stage = probes(start, i);
    const auto image = tangent_[i].columns(0, n * k_);
    field_.tangent(state, of_stage, image);
    for (Index j = 0; j < n; ++j) {
      const double sum = linalg::dot_in_double(of_stage.v.column(j * k_), std::as_const(image).column(j * k_), d_ * k_);
      log_det[j] += weight * sum / static_cast<double>(k_);
    }
  }
  subtract_penalties(start.h, i, n, log_det);
}

template <class T>
void RungeKutta<T>::add_stages(const StepStart<T>& start, MatrixView<T> end) const {
  copy_samples<T>(start.x, end);
  for (Index i = 0; i < stages(); ++i) {
    add_scaled<T>(static_cast<T>(start.h * tableau_.b[i]), velocity_[i].columns(0, end.cols()), end);
  }
}

template <class T>
void RungeKutta<T>::factorize(const StepStart<T>& start, std::span<double> log_det, std::span<linalg::Sign> sign) {
  const Index n = start.x.cols();
  const auto jacobian = jacobian_.columns(0, d_ * n);
  const auto values = value_.first(n);
  set_identity(jacobian);
  for (Index i = 0; i < stages(); ++i) {
    add_scaled<T>(static_cast<T>(start.h * tableau_.b[i]), tangent_[i].columns(0, d_ * n), jacobian);
  }
  {
    const PhaseScope scope(Phase::lu, 2.0 / 3.0 * static_cast<double>(d_ * d_ * d_) * static_cast<double>(n));
    linalg::lu_log_det(jacobian, pivots_.first(d_ * n), values, sign_.first(n));
  }
  if (!field_.spheres().empty()) field_.spheres().add_log_det_of_radii(start.x, end_.columns(0, n), values);
  for (Index j = 0; j < n; ++j) log_det[j] += values[j];
  std::copy_n(sign_.begin(), n, sign.begin());
}

template <class T>
void RungeKutta<T>::step(const StepStart<T>& start, MatrixView<T> next, std::span<double> log_det,
                         std::span<linalg::Sign> sign) {
  const Index n = start.x.cols();
  const LogDet what = log_det.empty() ? LogDet::none : log_det_;
  for (Index i = 0; i < stages(); ++i) evaluate(run_, start, i, 0, what, log_det);
  add_stages(start, next);
  const auto& spheres = field_.spheres();
  if (!spheres.empty()) {
    copy_samples<T>(start.x, start_.columns(0, n));
    copy_samples<T>(next, end_.columns(0, n));
    spheres.keep_radii(start.x, end_.columns(0, n), next);
  }
  if (what == LogDet::discrete) factorize(start, log_det, sign);
}

template <class T>
void RungeKutta<T>::subtract_penalties(double h, Index i, Index n, std::span<double> log_det) const {
  if (penalty_.empty()) return;
  const Index tangents = log_det_ == LogDet::discrete ? d_ : k_;
  const auto square = [](MatrixView<T> a, Index j, Index columns) {
    const T* const first = a.column(j * columns);
    return linalg::dot_in_double(first, first, a.rows() * columns);
  };
  for (Index j = 0; j < n; ++j) {
    log_det[j] -= penalty_weight(penalty_.kinetic_energy, h, i) * square(velocity_[i], j, 1);
    log_det[j] -= penalty_weight(jacobian_weight(), h, i) * square(tangent_[i], j, tangents);
  }
}

template <class T>
void RungeKutta<T>::solve(MatrixView<T> b) const {
  const PhaseScope scope(Phase::lu, 2.0 * static_cast<double>(d_ * d_ * b.cols()));
  const auto solve_flat = [&](MatrixView<T> of) {
    for (Index j = 0; j < of.cols(); ++j) {
      if (sign_[j] == 0) continue;
      linalg::lu_solve(jacobian_.columns(j * d_, d_), pivots_.subspan(j * d_, d_), of.columns(j, 1));
    }
  };
  if (field_.spheres().empty()) return solve_flat(b);
  field_.spheres().solve(start_.columns(0, b.cols()), end_.columns(0, b.cols()), solve_flat, b);
}

template <class T>
void RungeKutta<T>::fill_seeds(const StepStart<T>& start, LogDet what, std::span<const T> weight,
                               ConstMatrixView<T> x_bar, Index i) {
  const Index n = x_bar.cols();
  const T factor = static_cast<T>(start.h * tableau_.b[i]);
  // Adds h Σⱼ>ᵢ aⱼᵢ barⱼ.
  const auto add_later = [&](const std::vector<MatrixView<T>>& bar, MatrixView<T> to) {
    for (Index j = i + 1; j < stages(); ++j) {
      add_scaled<T>(static_cast<T>(start.h * tableau_.a[j][i]), bar[j].columns(0, to.cols()), to);
    }
  };
  const auto value = stages_[i].value_seed();
  std::fill_n(value.data(), value.size(), T(0));
  add_scaled<T>(factor, x_bar, value);
  add_later(point_bar_, value);
  // Subtracts 2w c values from a seed, with `columns` columns for each sample.
  const auto subtract = [&](double c, MatrixView<T> values, Index columns, MatrixView<T> to) {
    for (Index j = 0; c != 0 && j < to.cols(); ++j) {
      const T scale = static_cast<T>(2 * c) * weight_of(weight, j / columns);
      for (Index r = 0; r < d_; ++r) to(r, j) -= scale * values(r, j);
    }
  };
  const double of_jacobian = penalty_weight(jacobian_weight(), start.h, i);
  if (what != LogDet::none) subtract(penalty_weight(penalty_.kinetic_energy, start.h, i), velocity_[i], 1, value);
  if (what == LogDet::estimate) {
    const auto of_stage = probes(start, i).v;
    const auto seed = stages_[i].tangent_seed(k_);
    const T share = factor / static_cast<T>(k_);
    for (Index j = 0; j < seed.cols(); ++j) {
      const T scale = share * weight_of(weight, j / k_);
      for (Index r = 0; r < d_; ++r) seed(r, j) = scale * of_stage(r, j);
    }
    subtract(of_jacobian, tangent_[i], k_, seed);
  }
  if (what != LogDet::discrete) return;
  const auto seed = stages_[i].tangent_seed(d_);
  std::fill_n(seed.data(), seed.size(), T(0));
  add_scaled<T>(factor, inverse_transpose_.columns(0, d_ * n), seed);
  add_later(direction_bar_, seed);
  subtract(of_jacobian, tangent_[i], d_, seed);
}

template <class T>
void RungeKutta<T>::pull_back(const StepStart<T>& start, LogDet what, std::span<const T> weight, MatrixView<T> x_bar,
                              std::span<T> gradient) {
  const Index n = x_bar.cols();
  const auto& spheres = field_.spheres();
  if (!spheres.empty()) {
    const auto of_radii = weight_.first(what == LogDet::discrete ? n : 0);
    for (Index j = 0; j < std::ssize(of_radii); ++j) of_radii[j] = weight_of(weight, j);
    spheres.reverse_keep_radii(start.x, end_.columns(0, n), of_radii, x_bar, growth_.columns(0, n));
  }
  for (Index i = stages() - 1; i >= 0; --i) {
    fill_seeds(start, what, weight, x_bar, i);
    const auto of_divergence = weight_.first(what == LogDet::trace ? n : 0);
    const T factor = static_cast<T>(start.h * tableau_.b[i]);
    for (Index j = 0; j < std::ssize(of_divergence); ++j) of_divergence[j] = factor * weight_of(weight, j);
    const bool has_directions = what == LogDet::discrete && i > 0;
    field_.reverse(stages_[i], of_divergence, point_bar_[i].columns(0, n), gradient,
                   has_directions ? direction_bar_[i].columns(0, d_ * n) : MatrixView<T>());
  }
  for (Index i = 0; i < stages(); ++i) add_scaled<T>(T(1), point_bar_[i].columns(0, n), x_bar);
  if (!spheres.empty()) spheres.add_growth(start.x, growth_.columns(0, n), x_bar);
}

template <class T>
void RungeKutta<T>::reverse(const StepStart<T>& start, std::span<const T> weight, MatrixView<T> x_bar,
                            std::span<T> gradient, std::span<double> log_det, std::span<linalg::Sign> sign) {
  const Index n = x_bar.cols();
  for (Index i = 0; i < stages(); ++i) evaluate(stages_[i], start, i, i, log_det_, log_det);
  if (!field_.spheres().empty()) add_stages(start, end_.columns(0, n));
  if (log_det_ == LogDet::discrete) {
    const auto inverse_transpose = inverse_transpose_.columns(0, d_ * n);
    factorize(start, log_det, sign);
    linalg::lu_inverse_transpose(jacobian_.columns(0, d_ * n), pivots_.first(d_ * n), sign_.first(n),
                                 inverse_transpose);
    for (Index j = 0; j < d_ * n; ++j) {
      for (Index i = 0; i < d_; ++i) inverse_transpose(i, j) *= weight_of(weight, j / d_);
    }
  }
  pull_back(start, log_det_, weight, x_bar, gradient);
}

template <class T>
void RungeKutta<T>::transposed_jacobians(const StepStart<T>& start, MatrixView<T> jacobians) {
  const Index n = start.x.cols();
  for (Index i = 0; i < stages(); ++i) evaluate(stages_[i], start, i, i, LogDet::none, {});
  if (!field_.spheres().empty()) add_stages(start, end_.columns(0, n));
  const auto bar = unit_bar_.columns(0, n);
  for (Index r = 0; r < d_; ++r) {
    std::fill_n(bar.data(), bar.size(), T(0));
    for (Index j = 0; j < n; ++j) bar(r, j) = T(1);
    pull_back(start, LogDet::none, {}, bar, {});
    for (Index j = 0; j < n; ++j) std::copy_n(bar.column(j), d_, jacobians.column(j * d_ + r));
  }
}

template class RungeKutta<float>;
template class RungeKutta<double>;

}  // namespace pushforward::ode
