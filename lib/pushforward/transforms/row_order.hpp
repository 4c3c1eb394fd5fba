#pragma once

// Transforms that put the d values of a sample into another order: z(i) = x(order[i]). Their log-det is 0, and their
// inverse is exact. Permutations, squeezes and factor-outs differ in the order alone.

#include <pushforward/transforms/transform.hpp>

#include <string_view>

namespace pushforward::flow {

/// z(i, j) = x(order[i], j). x: (d × n) in. z: (m × n) out, must not alias x. order: (m), each row of x once at most.
template <class T>
void gather_rows(std::span<const Index> order, ConstMatrixView<T> x, MatrixView<T> z);
/// x(order[i], j) = z(i, j), the inverse and the transpose of gather_rows(). Sizes as there.
template <class T>
void scatter_rows(std::span<const Index> order, ConstMatrixView<T> z, MatrixView<T> x);

/// Throws OptionError unless `order` holds each of 0 … n − 1 once. `what` begins the message.
void require_permutation(std::string_view what, std::span<const Index> order, Index n);

/// The part that such transforms share. They have no parameters.
template <class T>
class RowOrder : public Transform<T> {
 public:
  /// order: (shape.size()), a permutation.
  RowOrder(const Shape& shape, std::vector<Index> order) : shape_(shape), order_(std::move(order)) {}

  Shape input_shape() const final { return shape_; }
  std::unique_ptr<TransformState<T>> plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                          Pass pass) const final;
  void forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
               std::span<Status> status) const final;
  void reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, std::span<T> gradient) const final;
  void inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
               std::span<Status> status, const InverseOptions& options) const final;
  void solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                        MatrixView<T> lambda) const final;

 private:
  Shape shape_;
  std::vector<Index> order_;
};

extern template void gather_rows(std::span<const Index>, ConstMatrixView<float>, MatrixView<float>);
extern template void gather_rows(std::span<const Index>, ConstMatrixView<double>, MatrixView<double>);
extern template void scatter_rows(std::span<const Index>, ConstMatrixView<float>, MatrixView<float>);
extern template void scatter_rows(std::span<const Index>, ConstMatrixView<double>, MatrixView<double>);
extern template class RowOrder<float>;
extern template class RowOrder<double>;

}  // namespace pushforward::flow
