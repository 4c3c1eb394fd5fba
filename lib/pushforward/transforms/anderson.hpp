#pragma once

// Anderson acceleration [Anderson 1965; Walker & Ni 2011] of x ← x − r(x), for each sample of a batch by itself.
//
// From the last m pairs of changes, columns of ΔX and ΔR, the step is the one that a linear r with these changes calls
// for, and plain along what the changes say nothing of:
//
//   γ = argmin ‖r − ΔR γ‖,   step = (r − ΔR γ) + ΔX γ,   x ← x − step
//
// γ comes from the normal equations by a Cholesky factorization in double. Newest pairs come first; the first that
// depends on those before it, up to rounding, and all behind it are left out. ΔRᵀr is kept from one step to the next,
// so that with Δr₁ the newest change, ⟨Δr₁, Δrⱼ⟩ = ⟨Δrⱼ, r⟩ − ⟨Δrⱼ, r before⟩ costs nothing.

#include <pushforward/linalg/workspace.hpp>

namespace pushforward::flow {

template <class T>
class Anderson {
 public:
  /// Memory for n samples of width d.
  Anderson(linalg::Workspace& memory, Index d, Index n);

  /// Forgets all pairs of a sample.
  void reset(Index sample);
  /// The step of a sample at x with residual r, (d) each. x_before, r_before: where its last step began; empty where
  /// there was none. step: (d) out. Returns whether any pair took part: if none did, the step is r.
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
