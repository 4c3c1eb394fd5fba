#pragma once

// The fields of products of spheres (core/sphere.hpp). On the columns x of a sphere, with r = |x| and y = x/r, a
// network gives f at y, and the field is
//
//   v = r (f − y (y·f)).
//
// It is tangent to the sphere and keeps r. So it is a field of ℝᵐ without the origin, and its flow F(x) = r F(y) has a
// Jacobian whose log-determinant, in all m directions, is that of the flow on the sphere. Its divergence is that on the
// sphere, too, and its tangents follow by the product rule: with J = ∂f/∂y, a = y·f and V = py + W, p = y·V,
//
//   div v = tr J − yᵀJy − (m − 1) a,   (∂v/∂x) V = r (K − y (y·K)) + p (f − ay) − aW − y (W·f),   K = J W/r.
//
// A step of a Runge–Kutta method takes x to q = x + hΦ(x) with |q| ≠ r. The step on the sphere ends at z = q r/|q|.
// Both maps multiply with x, so that polar coordinates make their Jacobians triangular, and
//
//   log|det ∂z/∂x| = log|det ∂q/∂x| − m log(|q|/r).
//
// Columns of no sphere are left as they are: y = x, v = f.

#include <pushforward/core/sphere.hpp>
#include <pushforward/linalg/matrix.hpp>

#include <functional>
#include <span>

namespace pushforward::ode {

template <class T>
class Spheres {
 public:
  explicit Spheres(std::vector<Sphere> groups) : groups_(std::move(groups)) {}

  bool empty() const { return groups_.empty(); }
  Index count() const { return std::ssize(groups_); }

  /// x: (d × n) in. y: (d × n) out. radius: (K × n) out, for K spheres.
  void directions(ConstMatrixView<T> x, MatrixView<T> y, MatrixView<T> radius) const;
  /// v ← f − y (y·f), times r. f, v: (d × n), v may be f.
  void project(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, MatrixView<T> v) const;
  /// The reverse of project(). bar: (d × n), v̄ in and f̄ out. x_bar: (d × n) out, the part of x̄ that does not come
  /// through f; 0 in other columns.
  void reverse_project(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, MatrixView<T> bar,
                       MatrixView<T> x_bar) const;
  /// Adds to x_bar the x̄ that the gradient with respect to y gives. y_bar: (d × n) in; its other columns do not matter.
  void add_reverse_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> y_bar,
                              MatrixView<T> x_bar) const;

  /// Writes the directions of y, W/r, for k directions V of each sample. v: (d × n·k) in. w: (d × n·k) out.
  void tangent_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> v, MatrixView<T> w) const;
  /// (∂v/∂x) V of the field. v, image: (d × n·k) in, V and K. jv: (d × n·k) out.
  void tangents(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, ConstMatrixView<T> v,
                ConstMatrixView<T> image, MatrixView<T> jv) const;
  /// The reverse of tangents(), before that of the network. bar: (d × n·k), the cotangents of (∂v/∂x) V in, and those
  /// of K out. v_bar: (d × n·k) out, the part of V̄ that does not come through K, likewise f̄, ȳ and x̄, which are added
  /// to (d × n).
  void reverse_tangents(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, ConstMatrixView<T> v,
                        ConstMatrixView<T> image, MatrixView<T> bar, MatrixView<T> v_bar, MatrixView<T> f_bar,
                        MatrixView<T> y_bar, MatrixView<T> x_bar) const;
  /// The reverse of tangent_directions(), after that of the network. w_bar: (d × n·k) in, the cotangents of W/r. v_bar,
  /// y_bar, x_bar: as above, added to.
  void reverse_tangent_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> v,
                                  ConstMatrixView<T> w_bar, MatrixView<T> v_bar, MatrixView<T> y_bar,
                                  MatrixView<T> x_bar) const;

  /// Writes y of each sphere to a column of its own: v (d × n·K) out, 0 in other rows.
  void spread(ConstMatrixView<T> y, MatrixView<T> v) const;
  /// Adds to each row of a sphere the row of the sphere's own column. v: (d × n·K) in. sum: (d × n).
  void add_gathered(ConstMatrixView<T> v, MatrixView<T> sum) const;
  /// values ← values − yᵀJy − (m − 1) y·f, over all spheres. jy: (d × n) in, Jy of each sphere in its rows. values:
  /// (n).
  void add_curvature(ConstMatrixView<T> y, ConstMatrixView<T> f, ConstMatrixView<T> jy, std::span<double> values) const;
  /// The reverse of the last term of add_curvature(): f̄ ← f̄ − w(m − 1) y, ȳ ← ȳ − w(m − 1) f. weight: (n).
  void reverse_curvature(ConstMatrixView<T> y, ConstMatrixView<T> f, std::span<const T> weight, MatrixView<T> f_bar,
                         MatrixView<T> y_bar) const;

  /// Gives the end of a step the radii of its start, z = q |x|/|q| on each sphere. x, q: (d × n) in. z: (d × n) out,
  /// may be q.
  void keep_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, MatrixView<T> z) const;
  /// Adds −m log(|q|/|x|) of each sphere. log_det: (n).
  void add_log_det_of_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, std::span<double> log_det) const;
  /// b ← J⁻¹ b with J = ∂z/∂x, given solve(b), which does so with Q = ∂q/∂x. b: (d × n).
  void solve(ConstMatrixView<T> x, ConstMatrixView<T> q, const std::function<void(MatrixView<T>)>& solve_flat,
             MatrixView<T> b) const;
  /// The reverse of keep_radii() and, with weights (n), of add_log_det_of_radii(). bar: (d × n), z̄ in and q̄ out.
  /// growth: (K × n) out, the gradient with respect to |x|.
  void reverse_keep_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, std::span<const T> weight, MatrixView<T> bar,
                          MatrixView<T> growth) const;
  /// x̄ ← x̄ + growth x/|x| on each sphere.
  void add_growth(ConstMatrixView<T> x, ConstMatrixView<T> growth, MatrixView<T> x_bar) const;

  const std::vector<Sphere>& groups() const { return groups_; }

 private:
  std::vector<Sphere> groups_;
};

extern template class Spheres<float>;
extern template class Spheres<double>;

}  // namespace pushforward::ode
