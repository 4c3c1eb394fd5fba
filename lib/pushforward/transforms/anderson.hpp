#pragma once

// Anderson acceleration [Anderson 1965; Walker & Ni 2011] of x ← x − r(x), for each sample of a batch by itself.
//
// The last m pairs of changes are the columns of ΔX and ΔR. The step is the right one for a linear r with these
// changes. Along directions about which the changes say nothing, it is the plain step:
//
//   γ = argmin ‖r − ΔR γ‖,   step = (r − ΔR γ) + ΔX γ,   x ← x − step
//
// γ solves the normal equations, by a Cholesky factorization in double. The pairs are ordered from the newest to the
// oldest. If a pair depends on the newer pairs, up to rounding, this pair and all older ones are left out. ΔRᵀr is kept
// from one step to the next. So with Δr₁ the newest change, ⟨Δr₁, Δrⱼ⟩ = ⟨Δrⱼ, r⟩ − ⟨Δrⱼ, r before⟩ costs nothing.

#include <pushforward/linalg/workspace.hpp>

namespace pushforward::flow {

template <class T>
class Anderson {
 public:
  /// Memory for n samples of width d.
  Anderson(linalg::Workspace& memory, Index d, Index n);

  /// Forgets all pairs of a sample.
  void reset(Index sample);
  /// Computes the step of a sample at x with residual r, (d) each. x_before, r_before: x and r where its last step
  /// began, or empty if there was none. step: (d) out. Returns whether any pair took part: if none did, the step is r.
  bool step(Index sample, std::span<const T> x, std::span<const T> r, std::span<const T> x_before,
            std::span<const T> r_before, std::span<T> step);

 private:
  Index window_;                 // m
  MatrixView<T> x_, r_;          // ΔX, ΔR: (d × m·n), a ring for each sample
  MatrixView<double> products_;  // ΔRᵀΔR, and ΔRᵀr in the last column: (m × (m + 1)·n), by place in the ring
  std::span<Index> newest_, count_;
};

extern template class Anderson<float>;
extern template class Anderson<double>;

}  // namespace pushforward::flow
