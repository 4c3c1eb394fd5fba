#include <pushforward/linalg/blas.hpp>
#include <pushforward/nn/spectral_norm.hpp>

#include <cmath>

namespace pushforward::nn {

namespace {

// x ← x/‖x‖. Returns ‖x‖. If the norm is 0 or not finite, x stays unchanged.
template <class T>
T normalize(std::vector<T>& x) {
  const T norm = linalg::norm2(std::span<const T>(x));
  if (norm > 0 && std::isfinite(norm)) {
    for (T& value : x) value /= norm;
  }
  return norm;
}

}  // namespace

template <class T>
PowerIteration<T>::PowerIteration(Index rows, Index cols, random::Stream start)
    : u_(static_cast<std::size_t>(rows)), v_(static_cast<std::size_t>(cols)), next_u_(u_.size()), next_v_(v_.size()) {
  for (T& value : u_) value = static_cast<T>(start.normal());
  for (T& value : v_) value = static_cast<T>(start.normal());
  normalize(u_);
  normalize(v_);
}

template <class T>
T PowerIteration<T>::update(ConstMatrixView<T> w, T tolerance, int max_iterations) {
  using linalg::Op;
  return update([&w](std::span<const T> x, std::span<T> y) { linalg::gemv(Op::none, T(1), w, x, T(0), y); },
                [&w](std::span<const T> y, std::span<T> x) { linalg::gemv(Op::transpose, T(1), w, y, T(0), x); },
                tolerance, max_iterations);
}

template <class T>
T PowerIteration<T>::update(const Product& apply, const Product& apply_transpose, T tolerance, int max_iterations) {
  for (int iteration = 0; iteration < max_iterations; ++iteration) {
    apply_transpose(u_, next_v_);
    if (!(normalize(next_v_) > 0)) return sigma_ = 0;
    apply(next_v_, next_u_);
    const T sigma = normalize(next_u_);
    if (!(sigma > 0)) return sigma_ = 0;
    std::swap(u_, next_u_);
    std::swap(v_, next_v_);
    const bool settled = std::abs(sigma - sigma_) <= tolerance * sigma;
    sigma_ = sigma;
    if (settled) break;
  }
  return sigma_;
}

template <class T>
void PowerIteration<T>::add_state(StateSet& state, const std::string& name) {
  state.add(name + "/left", u_);
  state.add(name + "/right", v_);
  state.add(name + "/sigma", sigma_);
}

template class PowerIteration<float>;
template class PowerIteration<double>;

}  // namespace pushforward::nn
