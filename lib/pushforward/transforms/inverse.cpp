#include <pushforward/linalg/samples.hpp>
#include <pushforward/transforms/inverse.hpp>

#include <algorithm>
#include <vector>

namespace pushforward::flow {

template <class T>
void reverse_of_inverse(const Transform<T>& transform, TransformState<T>& state, ConstMatrixView<T> x,
                        ConstMatrixView<T> x_bar, std::span<const T> weight, MatrixView<T> z_bar, std::span<T> gradient,
                        MatrixView<T> scratch, MatrixView<T> more) {
  for (Index j = 0; j < x.cols(); ++j) std::fill_n(scratch.column(j), scratch.rows(), T(0));
  transform.reverse(state, x, scratch, weight, more, {});
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) more(i, j) += x_bar(i, j);
  }
  transform.solve_transposed(state, x, more, z_bar);
  if (gradient.empty()) return;
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) scratch(i, j) = -z_bar(i, j);
  }
  transform.reverse(state, x, scratch, weight, more, gradient);
}

template <class T>
struct Inverse<T>::State final : TransformState<T> {
  std::unique_ptr<TransformState<T>> inner;

  // For a gradient without a fused pass.
  std::unique_ptr<TransformState<T>> solver;  // of the inverse of `inner`
  MatrixView<T> solution;                     // the x of `inner`
  MatrixView<T> scratch, more;
  std::span<T> negated;  // weights
  std::span<double> unused_log_det;
  std::span<Status> unused_status;

  std::vector<T> no_weight;  // zeros, of solve_transposed() only
};

template <class T>
Inverse<T>::Inverse(std::unique_ptr<Transform<T>> inner)
    : inner_(std::move(inner)),
      trained_(dynamic_cast<Trained<T>*>(inner_.get())),
      fused_(dynamic_cast<const FusedInverse<T>*>(inner_.get())) {
  const Index in = inner_->input_shape().size(), out = inner_->output_shape().size();
  require<ShapeError>(in == out, "inverse of {}: of {} values, {} are factored out, and an inverse cannot take them in",
                      inner_->kind(), in, in - out);
}

template <class T>
void Inverse<T>::initialize(std::span<T> parameters) const {
  if (trained_ != nullptr) trained_->initialize(parameters);
}
template <class T>
void Inverse<T>::prepare(std::span<const T> parameters, Normalization normalization) {
  if (trained_ != nullptr) trained_->prepare(parameters, normalization);
}
template <class T>
void Inverse<T>::gradient_of_raw_parameters(std::span<T> gradient) const {
  if (trained_ != nullptr) trained_->gradient_of_raw_parameters(gradient);
}
template <class T>
void Inverse<T>::bake_normalization(std::span<T> parameters) const {
  if (trained_ != nullptr) trained_->bake_normalization(parameters);
}

template <class T>
std::unique_ptr<TransformState<T>> Inverse<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                    Pass pass) const {
  auto state = std::make_unique<State>();
  const bool gradient = pass == Pass::gradient;
  state->inner = inner_->plan(kept, scratch, n, gradient ? pass : Pass::evaluate);
  if (!gradient || fused_ != nullptr) return state;
  const Index d = input_shape().size();
  state->solver = inner_->plan(kept, scratch, n, Pass::evaluate);
  state->solution = kept.matrix<T>(d, n);
  state->scratch = scratch.matrix<T>(d, n);
  state->more = scratch.matrix<T>(d, n);
  state->negated = scratch.take<T>(n);
  state->unused_log_det = scratch.take<double>(n);
  state->unused_status = scratch.take<Status>(n);
  return state;
}

template <class T>
void Inverse<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                         std::span<Status> status) const {
  const InverseOptions precise{.tolerance = 1e-13};
  auto& s = static_cast<State&>(state);
  if (s.solver == nullptr) return inner_->inverse(*s.inner, batch, z, log_det, status, precise);
  const Index n = batch.size();
  const auto solution = s.solution.columns(0, n);
  inner_->inverse(*s.solver, batch, z, log_det, status, precise);
  copy_samples<T>(z, solution);
  Batch<T> found = batch;
  found.x = solution;
  inner_->forward(*s.inner, found, s.scratch.columns(0, n), s.unused_log_det.first(n), s.unused_status.first(n));
}

template <class T>
void Inverse<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                         std::span<Status> status, const InverseOptions&) const {
  inner_->forward(*static_cast<State&>(state).inner, batch, x, log_det, status);
}

template <class T>
void Inverse<T>::reverse(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> z_bar,
                         std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<State&>(state);
  if (fused_ != nullptr) return fused_->reverse_of_fused_inverse(*s.inner, z_bar, weight, x_bar, gradient);
  const Index n = z_bar.cols();
  const auto negated = s.negated.first(n);
  for (Index i = 0; i < n; ++i) negated[i] = -weight_of(weight, i);
  reverse_of_inverse<T>(*inner_, *s.inner, s.solution.columns(0, n), z_bar, negated, x_bar, gradient,
                        s.scratch.columns(0, n), s.more.columns(0, n));
}

template <class T>
void Inverse<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> b,
                                  MatrixView<T> lambda) const {
  auto& s = static_cast<State&>(state);
  const Index n = b.cols();
  s.no_weight.assign(n, T(0));
  const auto x = fused_ != nullptr ? fused_->solution(*s.inner, n) : ConstMatrixView<T>(s.solution.columns(0, n));
  inner_->reverse(*s.inner, x, b, s.no_weight, lambda, {});
}

template void reverse_of_inverse(const Transform<float>&, TransformState<float>&, ConstMatrixView<float>,
                                 ConstMatrixView<float>, std::span<const float>, MatrixView<float>, std::span<float>,
                                 MatrixView<float>, MatrixView<float>);
template void reverse_of_inverse(const Transform<double>&, TransformState<double>&, ConstMatrixView<double>,
                                 ConstMatrixView<double>, std::span<const double>, MatrixView<double>,
                                 std::span<double>, MatrixView<double>, MatrixView<double>);
template class Inverse<float>;
template class Inverse<double>;

}  // namespace pushforward::flow
