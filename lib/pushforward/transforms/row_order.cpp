#include <pushforward/transforms/row_order.hpp>

#include <fmt/ranges.h>

namespace pushforward::flow {

template <class T>
void gather_rows(std::span<const Index> order, ConstMatrixView<T> x, MatrixView<T> z) {
  for (Index j = 0; j < x.cols(); ++j) {
    const T* const from = x.column(j);
    T* to = z.column(j);
    for (const Index row : order) *to++ = from[row];
  }
}

template <class T>
void scatter_rows(std::span<const Index> order, ConstMatrixView<T> z, MatrixView<T> x) {
  for (Index j = 0; j < z.cols(); ++j) {
    const T* from = z.column(j);
    T* const to = x.column(j);
    for (const Index row : order) to[row] = *from++;
  }
}

void require_permutation(std::string_view what, std::span<const Index> order, Index n) {
  std::vector<bool> seen(n);
  bool valid = std::ssize(order) == n;
  for (const Index i : order) {
    valid = valid && i >= 0 && i < n && !seen[i];
    if (valid) seen[i] = true;
  }
  require<OptionError>(valid, "{} = [{}]: must hold each of 0 to {} once", what, fmt::join(order, ", "), n - 1);
}

template <class T>
std::unique_ptr<TransformState<T>> RowOrder<T>::plan(linalg::Workspace&, linalg::Workspace&, Index, Pass) const {
  return std::make_unique<TransformState<T>>();
}

template <class T>
void RowOrder<T>::forward(TransformState<T>&, const Batch<T>& batch, MatrixView<T> z, std::span<double>,
                          std::span<Status>) const {
  gather_rows<T>(order_, batch.x, z);
}

template <class T>
void RowOrder<T>::reverse(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> z_bar, std::span<const T>,
                          MatrixView<T> x_bar, std::span<T>) const {
  scatter_rows<T>(order_, z_bar, x_bar);
}

template <class T>
void RowOrder<T>::inverse(TransformState<T>&, const Batch<T>& batch, MatrixView<T> x, std::span<double>,
                          std::span<Status>, const InverseOptions&) const {
  scatter_rows<T>(order_, batch.x, x);
}

// J is orthogonal, so λ = J b.
template <class T>
void RowOrder<T>::solve_transposed(TransformState<T>&, ConstMatrixView<T>, ConstMatrixView<T> b,
                                   MatrixView<T> lambda) const {
  gather_rows<T>(order_, b, lambda);
}

template void gather_rows(std::span<const Index>, ConstMatrixView<float>, MatrixView<float>);
template void gather_rows(std::span<const Index>, ConstMatrixView<double>, MatrixView<double>);
template void scatter_rows(std::span<const Index>, ConstMatrixView<float>, MatrixView<float>);
template void scatter_rows(std::span<const Index>, ConstMatrixView<double>, MatrixView<double>);
template class RowOrder<float>;
template class RowOrder<double>;

}  // namespace pushforward::flow
