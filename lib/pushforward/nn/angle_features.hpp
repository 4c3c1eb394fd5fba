#pragma once

// Features that replace angles in front of a network. f(x) consists of the rows of x that are not angles, followed by
// (cos xᵢ, sin xᵢ) for each angle i. So the network has period 2π in each angle. Lip(f) = 1, because the columns of
// ∂f/∂x are orthonormal: the column of an angle is (−sin xᵢ, cos xᵢ).
//
// All derivatives are computed from f, which already holds c = cos xᵢ and s = sin xᵢ:
//   tangent          (ċ, ṡ) = (−s, c)·ẋ
//   reverse of f     x̄ = −s·c̄ + c·s̄
//   reverse of the tangent adds ẋ·(−c·ċ̄ − s·ṡ̄) to x̄

#include <pushforward/linalg/matrix.hpp>

#include <vector>

namespace pushforward::nn {

template <class T>
class AngleFeatures {
 public:
  /// d: rows of x. angles: the rows of x that are angles, in ascending order.
  AngleFeatures(Index d, std::vector<Index> angles);

  bool empty() const { return angles_.empty(); }
  /// Returns the row of x from which each feature is computed.
  std::vector<Index> sources() const;

  /// x: (d × n) in. f: (F × n) out.
  void evaluate(ConstMatrixView<T> x, MatrixView<T> f) const;

  // The following functions take the f that evaluate() wrote. Each sample has k vectors in adjacent columns.

  /// t ← ∂f v. v: (d × n·k) in. t: (F × n·k) out.
  void tangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, MatrixView<T> t) const;
  /// v ← ∂fᵀ t. t: (F × n·k) in. v: (d × n·k) out.
  void cotangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> t, MatrixView<T> v) const;
  /// Adds to x_bar (d × n) the gradient that passes through tangent(). v: (d × n·k) the directions. t_bar: (F × n·k)
  /// the cotangents of the tangents.
  void add_curvature(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, ConstMatrixView<T> t_bar,
                     MatrixView<T> x_bar) const;

  // The following two functions are for the directions V = I and a matrix w (m × F) after f.

  /// t ← w ∂f for each sample. t: (m × d·n) out.
  void product(ConstMatrixView<T> f, ConstMatrixView<T> w, MatrixView<T> t) const;
  /// Adds the gradient that passes through product() to w_bar (m × F) and x_bar (d × n). If w_bar is empty, its part is
  /// left out. t_bar: (m × d·n) the cotangents of t.
  void add_product_reverse(ConstMatrixView<T> f, ConstMatrixView<T> w, ConstMatrixView<T> t_bar, MatrixView<T> w_bar,
                           MatrixView<T> x_bar) const;

 private:
  /// Returns the row of f that holds the cosine of angle number a. The next row holds its sine.
  Index cosine(std::size_t a) const { return std::ssize(others_) + 2 * static_cast<Index>(a); }

  std::vector<Index> angles_, others_;
};

extern template class AngleFeatures<float>;
extern template class AngleFeatures<double>;

}  // namespace pushforward::nn
