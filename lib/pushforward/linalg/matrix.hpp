#pragma once

// Column-major matrices: a class that owns its elements, and views with a leading dimension. Sizes are checked where
// views meet BLAS (blas.hpp), not in element access.

#include <pushforward/core/error.hpp>
#include <pushforward/core/index.hpp>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

namespace pushforward {

/// A (rows × cols) column-major block: element (i, j) at data[i + j·ld]. T may be const. Does not own.
template <class T>
class MatrixView {
 public:
  MatrixView() = default;
  MatrixView(T* data, Index rows, Index cols) : MatrixView(data, rows, cols, rows) {}
  MatrixView(T* data, Index rows, Index cols, Index ld) : data_(data), rows_(rows), cols_(cols), ld_(ld) {}

  // A view of mutable elements serves as a view of const ones.
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) { return {data_, rows_, cols_, ld_}; }

  T* data() const { return data_; }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index ld() const { return ld_; }
  Index size() const { return rows_ * cols_; }
  bool empty() const { return rows_ == 0 || cols_ == 0; }
  /// True when the elements are one contiguous run.
  bool contiguous() const { return ld_ == rows_ || cols_ <= 1; }

  T& operator()(Index i, Index j) const { return data_[i + j * ld_]; }
  T* column(Index j) const { return data_ + j * ld_; }
  std::span<T> column_span(Index j) const { return {column(j), static_cast<std::size_t>(rows_)}; }

  /// Columns [first, first + count).
  MatrixView columns(Index first, Index count) const { return {data_ + first * ld_, rows_, count, ld_}; }
  /// The (row_count × col_count) block whose corner is (row, col).
  MatrixView block(Index row, Index col, Index row_count, Index col_count) const {
    return {data_ + row + col * ld_, row_count, col_count, ld_};
  }

 private:
  T* data_ = nullptr;
  Index rows_ = 0;
  Index cols_ = 0;
  Index ld_ = 0;
};

template <class T>
using ConstMatrixView = MatrixView<const T>;

/// Memory for n elements, aligned to a cache line, not initialized. Freed by the returned handle.
struct FreeMemory {
  void operator()(void* p) const { std::free(p); }
};
template <class T>
std::unique_ptr<T[], FreeMemory> allocate_aligned(Index n) {
  constexpr std::size_t line = 64;
  const std::size_t bytes = (static_cast<std::size_t>(n) * sizeof(T) + line - 1) / line * line;
  auto* p = static_cast<T*>(std::aligned_alloc(line, bytes == 0 ? line : bytes));
  if (p == nullptr) throw std::bad_alloc();
  return std::unique_ptr<T[], FreeMemory>(p);
}

/// Owns a (rows × cols) column-major matrix with ld = rows, zero at construction.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(Index rows, Index cols) : data_(allocate_aligned<T>(rows * cols)), rows_(rows), cols_(cols) { fill(0); }
  explicit Matrix(ConstMatrixView<T> from) : Matrix(from.rows(), from.cols()) {
    for (Index j = 0; j < cols_; ++j) std::copy_n(from.column(j), rows_, data_.get() + j * rows_);
  }
  Matrix(const Matrix& from) : Matrix(from.view()) {}
  Matrix& operator=(const Matrix& from) { return *this = Matrix(from); }
  /// Leaves `from` empty.
  Matrix(Matrix&& from) noexcept
      : data_(std::move(from.data_)), rows_(std::exchange(from.rows_, 0)), cols_(std::exchange(from.cols_, 0)) {}
  Matrix& operator=(Matrix&& from) noexcept {
    data_ = std::move(from.data_);
    rows_ = std::exchange(from.rows_, 0);
    cols_ = std::exchange(from.cols_, 0);
    return *this;
  }
  ~Matrix() = default;

  T* data() { return data_.get(); }
  const T* data() const { return data_.get(); }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index size() const { return rows_ * cols_; }
  std::span<T> span() { return {data(), static_cast<std::size_t>(size())}; }
  std::span<const T> span() const { return {data(), static_cast<std::size_t>(size())}; }

  T& operator()(Index i, Index j) { return data_[i + j * rows_]; }
  const T& operator()(Index i, Index j) const { return data_[i + j * rows_]; }

  MatrixView<T> view() { return {data(), rows_, cols_}; }
  ConstMatrixView<T> view() const { return {data(), rows_, cols_}; }
  operator MatrixView<T>() { return view(); }
  operator ConstMatrixView<T>() const { return view(); }

  void fill(T value) { std::fill_n(data_.get(), size(), value); }

 private:
  std::unique_ptr<T[], FreeMemory> data_;
  Index rows_ = 0;
  Index cols_ = 0;
};

}  // namespace pushforward
