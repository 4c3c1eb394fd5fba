#pragma once

// One step of an explicit Runge–Kutta method for dx/dt = v(x, t; u), for a batch, with its log-determinant and the
// exact gradient of both: discretize first, then differentiate.
//
// Three log-determinants. The step is the map x ↦ x⁺ = x + hΦ(x) (tableau.hpp).
//
//   discrete   log|det J|, J = ∂x⁺/∂x, of that very map. d tangents go through the stages,
//                  Vᵢ = I + h Σⱼ aᵢⱼ Tⱼ,   Tᵢ = ∂v/∂x(Xᵢ) Vᵢ,   J = I + h Σᵢ bᵢ Tᵢ,
//              and J is factorized by LU. Sums over steps are the log-det of the map that the grid makes.
//   trace      h Σᵢ bᵢ tr ∂v/∂x(Xᵢ), the quadrature of ∫ div v dt with the method's own weights. Its limit for h → 0
//              is the log-det of the flow of the differential equation. At h > 0 it is the log-det of no map.
//   estimate   the same with Hutchinson's estimate in the place of each trace: the mean of pᵀ(∂v/∂x)p over the K probes
//              p that the stage has (probes.hpp).
//
// Penalties [Finlay et al. 2020] keep paths short and fields smooth, so that few steps suffice. They are subtracted
// from the log-det, so that a mean log-likelihood with them is the objective that training makes large:
//
//   |h| Σᵢ bᵢ (λ_K ‖kᵢ‖² + λ_J ‖Tᵢ‖²_F)
//
// with the velocities kᵢ of the stages. Tᵢ are the tangents of the discrete log-det, which are the derivatives of kᵢ
// with respect to the x at which the step begins; for an estimate they are those of the probes, (∂v/∂x)p/√K.
//
// Reverse. Of a step only x is kept, and the stages are computed again. So a pass that leads to a gradient need not
// take log-dets on its way forward: the reverse finds them. Given the gradient x̄⁺ with respect to x⁺ and the weight w
// of the log-det, for i = s … 1:
//
//   k̄ᵢ = h bᵢ x̄⁺ + h Σⱼ>ᵢ aⱼᵢ X̄ⱼ                            the value seed of stage i
//   discrete:  T̄ᵢ = h bᵢ w J⁻ᵀ + h Σⱼ>ᵢ aⱼᵢ V̄ⱼ               its tangent seed, with the directions Vᵢ
//   trace:     h bᵢ w                                      the weight of the divergence of stage i
//   estimate:  T̄ᵢ = h bᵢ w/K [p₁ … p_K]                     its tangent seed, with the directions p₁ … p_K
//   penalties: k̄ᵢ −= 2w |h| bᵢ λ_K kᵢ,  T̄ᵢ −= 2w |h| bᵢ λ_J Tᵢ
//   (k̄ᵢ, T̄ᵢ) → X̄ᵢ, V̄ᵢ and the gradient of the parameters   by VectorField::reverse()
//
// and at the end x̄ = x̄⁺ + Σᵢ X̄ᵢ. The gradient is that of the method itself, as a symplectic adjoint gives it
// [Matsubara et al. 2021].
//
// On spheres (spheres.hpp) q = x + hΦ(x) has the length of x up to the method's error, and a step ends at q|x|/|q|. The
// factor is part of the discrete log-det.

#include <pushforward/linalg/lapack.hpp>
#include <pushforward/ode/penalty.hpp>
#include <pushforward/ode/probes.hpp>
#include <pushforward/ode/tableau.hpp>
#include <pushforward/ode/vector_field.hpp>

namespace pushforward::ode {

/// The log-determinant of a step.
enum class LogDet : std::int8_t { none, discrete, trace, estimate };

/// Where a step begins.
template <class T>
struct StepStart {
  ConstMatrixView<T> x;               ///< (d × n)
  ConstMatrixView<T> u;               ///< (c × n) the context, or empty
  double t;                           ///< the time at x
  double h;                           ///< the length of the step; negative if it goes back in time
  const Probes<T>* probes = nullptr;  ///< of LogDet::estimate
  Index step = 0;                     ///< the number of the step in the grid of these probes
};

template <class T>
class RungeKutta {
 public:
  /// Plans the memory of steps with up to n samples. kept: memory that no other transform uses. scratch: memory that is
  /// needed during one call. The field and the tableau must outlive the object. probes: K, for LogDet::estimate.
  /// penalty: subtracted from log-dets. The norm of the Jacobian needs LogDet::discrete or LogDet::estimate.
  RungeKutta(const VectorField<T>& field, const Tableau& tableau, LogDet log_det, linalg::Workspace& kept,
             linalg::Workspace& scratch, Index n, Pass pass, Index probes = 0, const Penalty& penalty = {});

  LogDet log_det() const { return log_det_; }
  /// Evaluations of the field in a step.
  Index stages() const { return tableau_.stages(); }

  /// x⁺ = x + hΦ(x). next: (d × n) out, must not alias x. log_det: (n), the log-determinant is added, nats; if it is
  /// empty, only values are computed. sign: (n) out, the sign of det J in discrete mode; otherwise it is not touched.
  void step(const StepStart<T>& start, MatrixView<T> next, std::span<double> log_det, std::span<linalg::Sign> sign);
  /// b ← J⁻¹ b with the J of the last step() in discrete mode. b: (d × n) in, out. A sample whose J is singular keeps
  /// its b.
  void solve(MatrixView<T> b) const;

  /// The gradient of Σᵢ x̄⁺ᵢ·x⁺ᵢ + Σᵢ wᵢ·log_detᵢ for the step from `start`. weight: (n), or empty if all are 1. x_bar:
  /// (d × n), x̄⁺ in and x̄ out. gradient: the flat buffer, added to; if it is empty, that part is left out. log_det:
  /// (n), and sign: (n), as in step(). The memory is planned for Pass::gradient.
  void reverse(const StepStart<T>& start, std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient,
               std::span<double> log_det, std::span<linalg::Sign> sign);
  /// Writes Jᵀ of each sample for the step from `start`. jacobians: (d × d·n) out. The memory is planned for
  /// Pass::gradient. Cost: d reverse passes.
  void transposed_jacobians(const StepStart<T>& start, MatrixView<T> jacobians);

 private:
  FieldState<T> make_stage(linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Pass pass) const;
  // The point Xᵢ and the directions Vᵢ, from the stages before it.
  ConstMatrixView<T> point(const StepStart<T>& start, Index i, MatrixView<T> memory) const;
  nn::Directions<T> directions(double h, Index i, Index n, MatrixView<T> memory) const;
  // The probes of stage i.
  nn::Directions<T> probes(const StepStart<T>& start, Index i) const;
  // Evaluates stage i with `state` as the log-det demands, in the memory of points and directions with number `slot`.
  // Adds the part of the stage to the log-dets.
  void evaluate(FieldState<T>& state, const StepStart<T>& start, Index i, Index slot, LogDet what,
                std::span<double> log_det);
  // Writes x + hΦ(x), from the velocities of all stages.
  void add_stages(const StepStart<T>& start, MatrixView<T> end) const;
  // Makes J from the tangents of all stages and its LU. Adds log|det J|, and writes the signs of determinants.
  void factorize(const StepStart<T>& start, std::span<double> log_det, std::span<linalg::Sign> sign);
  // Returns the factor of a penalty of stage i in a step of length h.
  double penalty_weight(double weight, double h, Index i) const { return weight * std::abs(h) * tableau_.b[i]; }
  // Returns the weight of ‖Tᵢ‖², which is λ_J, or λ_J/K for the K probes of an estimate.
  double jacobian_weight() const {
    return penalty_.jacobian_norm / (log_det_ == LogDet::estimate ? static_cast<double>(k_) : 1);
  }
  // Subtracts the penalties of stage i of a step of length h from the log-dets of n samples.
  void subtract_penalties(double h, Index i, Index n, std::span<double> log_det) const;
  // The reverse pass through the stages, after evaluate() of all of them.
  void pull_back(const StepStart<T>& start, LogDet what, std::span<const T> weight, MatrixView<T> x_bar,
                 std::span<T> gradient);
  void fill_seeds(const StepStart<T>& start, LogDet what, std::span<const T> weight, ConstMatrixView<T> x_bar, Index i);

  const VectorField<T>& field_;
  const Tableau& tableau_;
  LogDet log_det_;
  Penalty penalty_;
  Index d_, k_;                        // dimension, probes of a stage
  FieldState<T> run_;                  // of step()
  std::vector<FieldState<T>> stages_;  // of a gradient
  // kᵢ (d × n), and Tᵢ (d × d·n) of a discrete log-det or (d × n·K) of an estimate.
  std::vector<MatrixView<T>> velocity_, tangent_;
  // Xᵢ and Vᵢ: one of each for step(), and one for each stage in a gradient.
  std::vector<MatrixView<T>> point_, direction_;
  MatrixView<T> jacobian_;           // LU of J (d × d·n)
  MatrixView<T> inverse_transpose_;  // w J⁻ᵀ (d × d·n), in a gradient
  std::span<int> pivots_;
  std::span<linalg::Sign> sign_;
  std::span<double> value_;  // log-dets or traces (n)
  std::span<T> weight_;      // of the trace of a stage (n)
  MatrixView<T> unit_bar_;   // of transposed_jacobians() (d × n)
  // For K spheres: x and q of the last step (d × n), and in a gradient that with respect to the radii of x (K × n).
  MatrixView<T> start_, end_, growth_;
  std::vector<MatrixView<T>> point_bar_, direction_bar_;  // X̄ᵢ, V̄ᵢ, in a gradient
};

extern template class RungeKutta<float>;
extern template class RungeKutta<double>;

}  // namespace pushforward::ode
