#include <pushforward/nn/activation.hpp>

#include <array>
#include <xsimd/xsimd.hpp>

namespace pushforward::nn {

namespace {

// φ, φ′ and φ″ for one vector of pre-activations.
template <class B>
struct Values {
  B value, first, second;
};

// The largest slope of a·σ(a), at a = 2.39936, where 2 + a(1 − 2σ) = 0.
constexpr double silu_lipschitz = 1.0998393202;

template <class B>
B logistic(B a) {
  return B(1) / (B(1) + xsimd::exp(-a));
}

template <class B, class T>
Values<B> lipswish(B a, T beta) {
  constexpr T scale = T(1) / T(1.1);
  const B s = logistic(B(beta) * a);
  const B slope = s * (B(1) - s);
  const B t = B(beta) * a;
  return {a * s * B(scale), (s + t * slope) * B(scale), B(beta * scale) * slope * (B(2) + t * (B(1) - s - s))};
}

template <class B>
Values<B> silu(B a) {
  const B s = logistic(a);
  const B slope = s * (B(1) - s);
  return {a * s, s + a * slope, slope * (B(2) + a * (B(1) - s - s))};
}

template <class B>
Values<B> tanh_values(B a) {
  const B t = xsimd::tanh(a);
  const B first = B(1) - t * t;
  return {t, first, B(-2) * t * first};
}

template <class B>
Values<B> elu(B a) {
  const auto positive = a > B(0);
  const B negative = xsimd::select(positive, B(0), a);  // not min(a, 0), which turns NaN into 0
  const B e = xsimd::exp(negative);
  return {xsimd::select(positive, a, xsimd::expm1(negative)), xsimd::select(positive, B(1), e),
          xsimd::select(positive, B(0), e)};
}

template <class B>
Values<B> softplus(B a) {
  const B s = logistic(a);
  return {xsimd::max(a, B(0)) + xsimd::log1p(xsimd::exp(-xsimd::abs(a))), s, s * (B(1) - s)};
}

template <class B>
Values<B> relu(B a) {
  return {xsimd::select(a < B(0), B(0), a), xsimd::select(a > B(0), B(1), B(0)), B(0)};
}

template <class B>
Values<B> sine(B a) {
  const B s = xsimd::sin(a);
  return {s, xsimd::cos(a), -s};
}

// Applies f to every element of a + bias, a register at a time; the rest of a column goes through one padded register.
template <class T, class F>
void for_each_element(std::span<const T> bias, MatrixView<T> a, const ActivationOutput<T>& out, F&& f) {
  using B = xsimd::batch<T>;
  constexpr auto lanes = static_cast<Index>(B::size);
  const Index w = a.rows(), whole = w / lanes * lanes;
  const bool first = !out.first.empty(), second = !out.second.empty();
  for (Index j = 0; j < a.cols(); ++j) {
    T* const pa = a.column(j);
    T* const pv = out.value.column(j);
    T* const p1 = first ? out.first.column(j) : nullptr;
    T* const p2 = second ? out.second.column(j) : nullptr;
    for (Index i = 0; i < whole; i += lanes) {
      const B x = B::load_unaligned(pa + i) + B::load_unaligned(bias.data() + i);
      const Values<B> y = f(x);
      x.store_unaligned(pa + i);
      y.value.store_unaligned(pv + i);
      if (first) y.first.store_unaligned(p1 + i);
      if (second) y.second.store_unaligned(p2 + i);
    }
    if (whole == w) continue;
    std::array<T, B::size> x{}, v{}, d1{}, d2{};
    for (Index i = whole; i < w; ++i) x[i - whole] = pa[i] + bias[i];
    const Values<B> y = f(B::load_unaligned(x.data()));
    y.value.store_unaligned(v.data());
    y.first.store_unaligned(d1.data());
    y.second.store_unaligned(d2.data());
    for (Index i = whole; i < w; ++i) {
      const auto at = static_cast<std::size_t>(i - whole);
      pa[i] = x[at];
      pv[i] = v[at];
      if (first) p1[i] = d1[at];
      if (second) p2[i] = d2[at];
    }
  }
}

// A built-in activation: f(x, β) gives the Values of a register.
template <class F>
ActivationKind built_in(const char* name, const char* help, F f) {
  const auto all = [f](auto beta, auto bias, auto a, const auto& out) {
    for_each_element(bias, a, out, [f, beta](auto x) { return f(x, beta); });
  };
  return {name, help, false, false, all, all, 1};
}

std::vector<ActivationKind> built_in_kinds() {
  auto with_slope = built_in("lipswish", "a·σ(βa)/1.1, β > 0 trained [Chen et al. 2019]",
                             [](auto x, auto beta) { return lipswish(x, beta); });
  with_slope.has_slope = true;
  auto starving = built_in("relu", "max(a, 0); its second derivative is 0, which starves the gradient of the log-det",
                           [](auto x, auto) { return relu(x); });
  starving.starves_the_log_det = true;
  auto steep = built_in("silu", "a·σ(a), whose slope reaches 1.1: for networks without a Lipschitz bound",
                        [](auto x, auto) { return silu(x); });
  steep.lipschitz = silu_lipschitz;
  return {with_slope,
          built_in("tanh", "tanh a", [](auto x, auto) { return tanh_values(x); }),
          built_in("elu", "a for a > 0, eᵃ − 1 otherwise", [](auto x, auto) { return elu(x); }),
          built_in("softplus", "log(1 + eᵃ)", [](auto x, auto) { return softplus(x); }),
          starving,
          built_in("sine", "sin a", [](auto x, auto) { return sine(x); }),
          steep};
}

}  // namespace

Registry<ActivationKind>& ActivationKind::registry() {
  static Registry<ActivationKind> kinds("activation", built_in_kinds());
  return kinds;
}

template <class T>
void activate(const ActivationKind& activation, T beta, std::span<const T> bias, MatrixView<T> a,
              const ActivationOutput<T>& out) {
  require<ShapeError>(std::ssize(bias) == a.rows() && out.value.rows() == a.rows() && out.value.cols() == a.cols(),
                      "activate: bias ({}) and value ({} × {}) do not fit a ({} × {})", bias.size(), out.value.rows(),
                      out.value.cols(), a.rows(), a.cols());
  if constexpr (std::is_same_v<T, float>) {
    activation.in_float(beta, bias, a, out);
  } else {
    activation.in_double(beta, bias, a, out);
  }
}

template <class T>
void scale_tangents(ConstMatrixView<T> first, Index k, ConstMatrixView<T> t, MatrixView<T> out) {
  const Index w = first.rows();
  for (Index i = 0; i < first.cols(); ++i) {
    const T* const p = first.column(i);
    for (Index j = 0; j < k; ++j) {
      const T* const in = t.column(i * k + j);
      T* const to = out.column(i * k + j);
#pragma GCC ivdep
      for (Index r = 0; r < w; ++r) to[r] = p[r] * in[r];
    }
  }
}

namespace {

// Computes reverse_activation() for values without tangents. It returns the gradient with respect to log β, or 0 unless
// with_slope.
template <bool with_slope, class T>
double reverse_values(const ActivationTape<T>& tape, MatrixView<T> h_bar) {
  using B = xsimd::batch<T>;
  constexpr auto lanes = static_cast<Index>(B::size);
  const Index w = h_bar.rows(), whole = w / lanes * lanes;
  double slope_gradient = 0;
  for (Index i = 0; i < h_bar.cols(); ++i) {
    const T* const a = tape.a.column(i);
    const T* const h = tape.value.column(i);
    const T* const d1 = tape.first.column(i);
    T* const bar = h_bar.column(i);
    B along_slope(T(0));
    for (Index r = 0; r < whole; r += lanes) {
      const B before = B::load_unaligned(bar + r), after = B::load_unaligned(d1 + r) * before;
      after.store_unaligned(bar + r);
      if constexpr (with_slope) {
        along_slope += B::load_unaligned(a + r) * after - before * B::load_unaligned(h + r);
      }
    }
    T rest = 0;
    for (Index r = whole; r < w; ++r) {
      const T before = bar[r];
      bar[r] = d1[r] * before;
      if constexpr (with_slope) rest += a[r] * bar[r] - before * h[r];
    }
    if constexpr (with_slope) slope_gradient += static_cast<double>(xsimd::hadd(along_slope) + rest);
  }
  return slope_gradient;
}

// Computes reverse_activation() for tangents, or for further cotangents of φ′.
template <bool with_slope, class T>
double reverse_pairs(const ActivationTape<T>& tape, Index k, ConstMatrixView<T> t, bool broadcast, MatrixView<T> h_bar,
                     MatrixView<T> tau_bar) {
  // A register's worth of rows at a time, so that the sum over tangents stays in registers.
  using B = xsimd::batch<T>;
  constexpr auto lanes = static_cast<Index>(B::size);
  const Index w = h_bar.rows(), n = h_bar.cols(), whole = w / lanes * lanes;
  double slope_gradient = 0;
  for (Index i = 0; i < n; ++i) {
    const Index tangent = broadcast ? 0 : i * k;
    const T* const a = tape.a.column(i);
    const T* const h = tape.value.column(i);
    const T* const d1 = tape.first.column(i);
    const T* const d2 = tape.second.column(i);
    const T* const d1_bar = tape.first_bar.empty() ? nullptr : tape.first_bar.column(i);
    T* const bar = h_bar.column(i);
    B along_slope(T(0));
    for (Index r = 0; r < whole; r += lanes) {
      const B first = B::load_unaligned(d1 + r);
      B sum = d1_bar != nullptr ? B::load_unaligned(d1_bar + r) : B(T(0));
      for (Index j = 0; j < k; ++j) {
        T* const p = tau_bar.column(i * k + j) + r;
        const B tau = B::load_unaligned(p);
        sum = xsimd::fma(tau, B::load_unaligned(t.column(tangent + j) + r), sum);
        (first * tau).store_unaligned(p);
      }
      const B before = B::load_unaligned(bar + r);
      const B after = xsimd::fma(first, before, B::load_unaligned(d2 + r) * sum);
      after.store_unaligned(bar + r);
      if constexpr (with_slope) {
        along_slope += B::load_unaligned(a + r) * after - before * B::load_unaligned(h + r);
      }
    }
    T rest = 0;
    for (Index r = whole; r < w; ++r) {
      T sum = d1_bar != nullptr ? d1_bar[r] : T(0);
      for (Index j = 0; j < k; ++j) {
        T& tau = tau_bar(r, i * k + j);
        sum += tau * t(r, tangent + j);
        tau *= d1[r];
      }
      const T before = bar[r];
      bar[r] = d1[r] * before + d2[r] * sum;
      if constexpr (with_slope) rest += a[r] * bar[r] - before * h[r];
    }
    if constexpr (with_slope) slope_gradient += static_cast<double>(xsimd::hadd(along_slope) + rest);
  }
  return slope_gradient;
}

}  // namespace

template <class T>
double reverse_activation(const ActivationTape<T>& tape, Index k, ConstMatrixView<T> t, bool broadcast, bool slope,
                          MatrixView<T> h_bar, MatrixView<T> tau_bar) {
  if (k == 0 && tape.first_bar.empty()) {
    return slope ? reverse_values<true>(tape, h_bar) : reverse_values<false>(tape, h_bar);
  }
  return slope ? reverse_pairs<true>(tape, k, t, broadcast, h_bar, tau_bar)
               : reverse_pairs<false>(tape, k, t, broadcast, h_bar, tau_bar);
}

template void activate(const ActivationKind&, float, std::span<const float>, MatrixView<float>,
                       const ActivationOutput<float>&);
template void activate(const ActivationKind&, double, std::span<const double>, MatrixView<double>,
                       const ActivationOutput<double>&);
template void scale_tangents(ConstMatrixView<float>, Index, ConstMatrixView<float>, MatrixView<float>);
template void scale_tangents(ConstMatrixView<double>, Index, ConstMatrixView<double>, MatrixView<double>);
template double reverse_activation(const ActivationTape<float>&, Index, ConstMatrixView<float>, bool, bool,
                                   MatrixView<float>, MatrixView<float>);
template double reverse_activation(const ActivationTape<double>&, Index, ConstMatrixView<double>, bool, bool,
                                   MatrixView<double>, MatrixView<double>);

}  // namespace pushforward::nn
