#pragma once

// What a network sees of angles: features f(x) in place of x, the rows of x that are not angles and then (cos xᵢ, sin
// xᵢ) for each angle i. So g(x) has period 2π in each of them, and Lip(f) = 1: the columns of ∂f/∂x are orthonormal,
// that of an angle being (−sin xᵢ, cos xᵢ).
//
// Derivatives come from f itself, where cos and sin are:
//   tangent          (ċ, ṡ) = (−s, c)·ẋ
//   reverse of f     x̄ = −s·c̄ + c·s̄
//   and of tangents  x̄ gains ẋ·(−c·ċ̄ − s·ṡ̄)

#include <pushforward/linalg/matrix.hpp>

#include <vector>

namespace pushforward::nn {

template <class T>
class AngleFeatures {
 public:
  /// angles: rows of x (d), ascending.
  AngleFeatures(Index d, std::vector<Index> angles);

  bool empty() const { return angles_.empty(); }
  /// The row of x that each feature is made of.
  std::vector<Index> sources() const;

  /// x: (d × n) in. f: (F × n) out.
  void evaluate(ConstMatrixView<T> x, MatrixView<T> f) const;

  // At the f of evaluate(), with k vectors per sample in adjacent columns:

  /// t ← ∂f v. v: (d × n·k) in. t: (F × n·k) out.
  void tangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, MatrixView<T> t) const;
  /// v ← ∂fᵀ t. t: (F × n·k) in. v: (d × n·k) out.
  void cotangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> t, MatrixView<T> v) const;
  /// x_bar (d × n) gains what the tangents of directions v leave there, t_bar (F × n·k) being their cotangents.
  void add_curvature(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, ConstMatrixView<T> t_bar,
                     MatrixView<T> x_bar) const;

  // The same with V = I, through a matrix w (m × F):

  /// t ← w ∂f of each sample. t: (m × d·n) out.
  void product(ConstMatrixView<T> f, ConstMatrixView<T> w, MatrixView<T> t) const;
  /// Adds the gradients that the cotangents t_bar (m × d·n) of product() leave to w_bar (m × F), unless that is empty,
  /// and to x_bar (d × n).
  void add_product_reverse(ConstMatrixView<T> f, ConstMatrixView<T> w, ConstMatrixView<T> t_bar, MatrixView<T> w_bar,
                           MatrixView<T> x_bar) const;

 private:
  /// The row of f where the cosine of the a-th angle is; its sine follows.
  Index cosine(std::size_t a) const { return std::ssize(others_) + 2 * static_cast<Index>(a); }

  std::vector<Index> angles_, others_;
};

extern template class AngleFeatures<float>;
extern template class AngleFeatures<double>;

}  // namespace pushforward::nn
