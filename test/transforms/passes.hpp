#pragma once

// Passes of one transform over a few samples, for tests of closed forms.

#include "subjects.hpp"

namespace pushforward::test {

/// A transform with parameters: at first those that it begins with.
template <class T>
class Passes {
 public:
  using Image = typename Subject<T>::Image;

  /// make(layout): the transform.
  template <class F>
  explicit Passes(F&& make) : transform(make(layout)), parameters(static_cast<std::size_t>(layout.size())) {
    initialize<T>(*transform, parameters);
    prepare();
  }

  void prepare() { test::prepare<T>(*transform, parameters, nn::Normalization::svd); }

  Image forward(const Matrix<T>& x, const logdet::Draws& draws = {}) {
    return pass(x, [&](flow::TransformState<T>& state, Image& out) {
      transform->forward(state, {.x = x, .draws = draws}, out.value, out.log_det, out.status);
    });
  }
  Image inverse(const Matrix<T>& z) {
    return pass(z, [&](flow::TransformState<T>& state, Image& out) {
      transform->inverse(state, {z}, out.value, out.log_det, out.status, {});
    });
  }

  nn::ParameterLayout layout;
  std::unique_ptr<flow::Transform<T>> transform;
  std::vector<T> parameters;

 private:
  template <class F>
  Image pass(const Matrix<T>& in, F&& f) {
    const auto n = static_cast<std::size_t>(in.cols());
    Image out{Matrix<T>(in.rows(), in.cols()), std::vector<double>(n), std::vector<flow::Status>(n)};
    linalg::Workspace counted_kept, counted_scratch;
    transform->plan(counted_kept, counted_scratch, in.cols(), nn::Pass::evaluate);
    linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
    f(*transform->plan(kept, scratch, in.cols(), nn::Pass::evaluate), out);
    return out;
  }
};

/// A (rows × cols) matrix from its elements column by column.
template <class T>
Matrix<T> matrix_from(Index rows, const std::vector<double>& values) {
  return matrix_of<T>(rows, std::ssize(values) / rows, [&](Index i, Index j) { return values[i + j * rows]; });
}

}  // namespace pushforward::test
