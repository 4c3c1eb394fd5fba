#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/network_keys.hpp>

namespace pushforward::flow {

OptionSet AutoregressiveOptions::declare() {
  OptionSet set;
  set.add_all(map.declare("map", "map of single values"));
  declare_network(set, hidden, activation);
  set.add("inverse", inverse, "the inverse flow (IAF): fast to sample from, slow to train");
  return set;
}

namespace {

template <class T>
auto all_elements(Index d) {
  std::vector<typename ElementMaps<T>::Element> elements;
  for (Index r = 0; r < d; ++r) elements.push_back({r, r});
  return elements;
}

nn::NetworkOptions network_of(const Domain& domain, const AutoregressiveOptions& options, Index m) {
  nn::NetworkOptions network{.in = domain.size(),
                             .out = m * domain.size(),
                             .hidden = options.hidden,
                             .activation = options.activation,
                             .lipschitz = std::numeric_limits<double>::infinity()};
  network.context = domain.context;
  network.periodic = domain.periodic;
  network.autoregressive = true;
  return network;
}

template <class T>
void fill(MatrixView<T> a, T value) {
  for (Index i = 0; i < a.cols(); ++i) std::fill_n(a.column(i), a.rows(), value);
}

}  // namespace

template <class T>
struct Autoregressive<T>::State final : TransformState<T> {
  State(const nn::Network<T>& network, linalg::Workspace& kept, linalg::Workspace& scratch, Index n, Pass pass)
      : passes(network, kept, scratch, n, 0, pass) {
    auto& memory = pass == Pass::gradient ? kept : scratch;
    theta = memory.matrix<T>(network.out(), n);
    solution = memory.matrix<T>(network.in(), n);
    if (pass == Pass::evaluate) return;
    network_bar = scratch.matrix<T>(network.in(), n);
    unit = scratch.matrix<T>(1, n);
    zero = scratch.matrix<T>(1, n);
    slope = scratch.matrix<T>(1, n);
    offset = scratch.matrix<T>(1, n);
  }

  nn::NetworkState<T> passes;
  MatrixView<T> theta;
  MatrixView<T> solution;                   // of solve(), which the network refers to
  MatrixView<T> network_bar;                // what the network adds to ȳ
  MatrixView<T> unit, zero, slope, offset;  // (1 × n), of one row
  ConstMatrixView<T> y;
};

template <class T>
Autoregressive<T>::Autoregressive(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                                  const AutoregressiveOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(domain.shape),
      inverse_(options.inverse),
      maps_(options.map, all_elements<T>(domain.size()), domain.periodic),
      network_(layout, name, network_of(domain, options, maps_.parameters()), seed, key) {}

template <class T>
std::unique_ptr<TransformState<T>> Autoregressive<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                           Pass pass) const {
  return std::make_unique<State>(network_, kept, scratch, n, pass);
}

template <class T>
void Autoregressive<T>::evaluate(State& s, ConstMatrixView<T> y, MatrixView<T> z, std::span<double> log_det) const {
  const auto theta = s.theta.columns(0, y.cols());
  s.y = y;
  network_.forward(s.passes, y, theta, s.context);
  maps_.forward(theta, y, z, log_det);
}

// Pass r sees rows before r as they are and zeros in the place of the others, on which θ_r does not depend. So the last
// pass leaves θ of all rows, and in the network's state what reverse_of_solve() needs.
template <class T>
void Autoregressive<T>::solve(State& s, ConstMatrixView<T> z, MatrixView<T> y, std::span<double> log_det) const {
  const Index n = z.cols();
  const auto theta = s.theta.columns(0, n), solution = s.solution.columns(0, n);
  fill(solution, T(0));
  for (Index r = 0; r < maps_.size(); ++r) {
    network_.forward(s.passes, solution, theta, s.context);
    maps_.inverse(r, theta, z.block(r, 0, 1, n), solution.block(r, 0, 1, n), log_det);
  }
  for (Index i = 0; i < n; ++i) std::copy_n(solution.column(i), solution.rows(), y.column(i));
}

template <class T>
void Autoregressive<T>::reverse_of_evaluate(State& s, ConstMatrixView<T> z_bar, std::span<const T> weight,
                                            MatrixView<T> y_bar, std::span<T> gradient) const {
  const Index n = z_bar.cols();
  const auto network_bar = s.network_bar.columns(0, n);
  maps_.reverse(s.theta.columns(0, n), s.y, z_bar, weight, y_bar, s.passes.value_seed());
  network_.reverse(s.passes, network_bar, gradient);
  for (Index i = 0; i < n; ++i) {
    for (Index r = 0; r < y_bar.rows(); ++r) y_bar(r, i) += network_bar(r, i);
  }
}

// The gradient of ȳ·y + w·ℓ for y = F⁻¹(z; φ), φ the parameters, ℓ = −log|det J|, J = ∂F/∂y. From F(y; φ) = z,
// dy = J⁻¹(dz − ∂F/∂φ dφ), so that with
//
//     λ = J⁻ᵀ(ȳ − w ∇_y log|det J|):   z̄ = λ,   φ̄ = −(∂F/∂φ)ᵀλ − w ∂ log|det J|/∂φ.
//
// In other words, λ is the z̄ for which the reverse of F, that of λ·F(y; φ) + w·log|det J|, arrives at ȳ; and φ̄ is the
// negative of what it leaves in the parameters. In that reverse, row r of ȳ is λ_r·∂τ/∂y_r + w·∂(log ∂τ/∂y_r)/∂y_r and
// what the network sends back from θ̄ of the rows behind r, which depend on their λ only: back substitution, with a pass
// back for each row but the last.
template <class T>
void Autoregressive<T>::reverse_of_solve(State& s, ConstMatrixView<T> y_bar, std::span<const T> weight,
                                         MatrixView<T> z_bar, std::span<T> gradient) const {
  const Index n = y_bar.cols();
  const auto theta = s.theta.columns(0, n), network_bar = s.network_bar.columns(0, n);
  const auto theta_bar = s.passes.value_seed();
  const auto unit = s.unit.columns(0, n), zero = s.zero.columns(0, n);
  const auto slope = s.slope.columns(0, n), offset = s.offset.columns(0, n);
  const std::span<const T> no_weight(zero.data(), static_cast<std::size_t>(n));
  fill(unit, T(1));
  fill(zero, T(0));
  fill(theta_bar, T(0));
  fill(network_bar, T(0));
  for (Index r = maps_.size() - 1; r >= 0; --r) {
    const auto y = s.solution.block(r, 0, 1, n), lambda = z_bar.block(r, 0, 1, n);
    maps_.reverse(r, theta, y, unit, no_weight, slope, theta_bar);
    maps_.reverse(r, theta, y, zero, weight, offset, theta_bar);
    for (Index i = 0; i < n; ++i) {
      lambda(0, i) = (y_bar(r, i) - network_bar(r, i) - offset(0, i)) / slope(0, i);
    }
    // Of the row's results only θ̄ is still of use.
    maps_.reverse(r, theta, y, lambda, weight, offset, theta_bar);
    if (r > 0) network_.cotangent(s.passes, theta_bar, 1, network_bar);
  }
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < theta_bar.rows(); ++k) theta_bar(k, i) = -theta_bar(k, i);
  }
  network_.reverse(s.passes, network_bar, gradient);
}

template <class T>
void Autoregressive<T>::forward(TransformState<T>& state, ConstMatrixView<T> x, MatrixView<T> z,
                                std::span<double> log_det, std::span<Status>) const {
  auto& s = static_cast<State&>(state);
  inverse_ ? solve(s, x, z, log_det) : evaluate(s, x, z, log_det);
}

template <class T>
void Autoregressive<T>::reverse(TransformState<T>& state, ConstMatrixView<T> z_bar, std::span<const T> weight,
                                MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<State&>(state);
  inverse_ ? reverse_of_solve(s, z_bar, weight, x_bar, gradient)
           : reverse_of_evaluate(s, z_bar, weight, x_bar, gradient);
}

template <class T>
void Autoregressive<T>::inverse(TransformState<T>& state, ConstMatrixView<T> z, MatrixView<T> x,
                                std::span<double> log_det, std::span<Status>, const InverseOptions&) const {
  auto& s = static_cast<State&>(state);
  inverse_ ? evaluate(s, z, x, log_det) : solve(s, z, x, log_det);
}

template class Autoregressive<float>;
template class Autoregressive<double>;

}  // namespace pushforward::flow
