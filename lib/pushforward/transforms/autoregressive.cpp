#include <pushforward/linalg/samples.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/network_keys.hpp>

namespace pushforward::flow {

OptionSet AutoregressiveOptions::declare() {
  OptionSet set;
  set.add_all(map.declare("map", "map of the other values"));
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
      : passes(network, kept, scratch, n, 0, pass, nn::Curvature::none) {
    auto& memory = pass == Pass::gradient ? kept : scratch;
    theta = memory.matrix<T>(network.out(), n);
    solution = memory.matrix<T>(network.in(), n);
    if (pass != Pass::gradient) return;
    network_bar = scratch.matrix<T>(network.in(), n);
    unit = scratch.matrix<T>(1, n);
    zero = scratch.matrix<T>(1, n);
    slope = scratch.matrix<T>(1, n);
    offset = scratch.matrix<T>(1, n);
  }

  nn::NetworkState<T> passes;
  MatrixView<T> theta;
  MatrixView<T> solution;                   // the x of inverse(), to which the network refers
  MatrixView<T> network_bar;                // what the network adds to x̄
  MatrixView<T> unit, zero, slope, offset;  // (1 × n), of one row
};

template <class T>
Autoregressive<T>::Autoregressive(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                                  const AutoregressiveOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(domain.shape),
      maps_(options.map, all_elements<T>(domain.size()), domain.periodic),
      network_(layout, name, network_of(domain, options, maps_.parameters()), seed, key) {}

template <class T>
std::unique_ptr<TransformState<T>> Autoregressive<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                           Pass pass) const {
  return std::make_unique<State>(network_, kept, scratch, n, pass);
}

template <class T>
void Autoregressive<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z,
                                std::span<double> log_det, std::span<Status>) const {
  auto& s = static_cast<State&>(state);
  const auto theta = s.theta.columns(0, batch.size());
  network_.forward(s.passes, batch.x, theta, batch.context);
  maps_.forward(theta, batch.x, z, log_det);
}

// In pass r the network sees the rows before r, and zeros in the place of the others, on which θ_r does not depend. So
// the last pass leaves θ of all rows, and the network's state as the gradient of the inverse needs it.
template <class T>
void Autoregressive<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x,
                                std::span<double> log_det, std::span<Status>, const InverseOptions&) const {
  auto& s = static_cast<State&>(state);
  const Index n = batch.size();
  const auto theta = s.theta.columns(0, n), solution = s.solution.columns(0, n);
  fill(solution, T(0));
  for (Index r = 0; r < maps_.size(); ++r) {
    network_.forward(s.passes, solution, theta, batch.context);
    maps_.inverse(r, theta, batch.x.block(r, 0, 1, n), solution.block(r, 0, 1, n), log_det);
  }
  copy_samples<T>(solution, x);
}

template <class T>
void Autoregressive<T>::reverse(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                                std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<State&>(state);
  const Index n = z_bar.cols();
  const auto network_bar = s.network_bar.columns(0, n);
  maps_.reverse(s.theta.columns(0, n), x, z_bar, weight, x_bar, s.passes.value_seed());
  network_.reverse(s.passes, network_bar, gradient);
  for (Index i = 0; i < n; ++i) {
    for (Index r = 0; r < x_bar.rows(); ++r) x_bar(r, i) += network_bar(r, i);
  }
}

template <class T>
void Autoregressive<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T> x, ConstMatrixView<T> b,
                                         MatrixView<T> lambda) const {
  auto& s = static_cast<State&>(state);
  substitute_back(s, x, b, {s.zero.data(), static_cast<std::size_t>(b.cols())}, lambda);
}

template <class T>
ConstMatrixView<T> Autoregressive<T>::solution(const TransformState<T>& state, Index n) const {
  return static_cast<const State&>(state).solution.columns(0, n);
}

// Joins the two calls of reverse() and the solve of inverse.hpp. With the weights in the substitution, its right-hand
// side need not be computed first. The substitution leaves the θ̄ for the gradient of the parameters with opposite sign.
template <class T>
void Autoregressive<T>::reverse_of_fused_inverse(TransformState<T>& state, ConstMatrixView<T> x_bar,
                                                 std::span<const T> weight, MatrixView<T> z_bar,
                                                 std::span<T> gradient) const {
  auto& s = static_cast<State&>(state);
  const Index n = x_bar.cols();
  substitute_back(s, s.solution.columns(0, n), x_bar, weight, z_bar);
  if (gradient.empty()) return;
  const auto theta_bar = s.passes.value_seed();
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < theta_bar.rows(); ++k) theta_bar(k, i) = -theta_bar(k, i);
  }
  network_.reverse(s.passes, s.network_bar.columns(0, n), gradient);
}

// λ is the z̄ for which reverse() arrives at x̄ = b. Row r of x̄ is λ_r·∂τ/∂x_r + w·∂(log ∂τ/∂x_r)/∂x_r, plus what the
// network sends back from θ̄ of the rows after r. θ̄ of a row depends on λ of this row only. So back substitution solves
// for λ, with a pass back for each row but row 0.
template <class T>
void Autoregressive<T>::substitute_back(State& s, ConstMatrixView<T> x, ConstMatrixView<T> b, std::span<const T> weight,
                                        MatrixView<T> lambda) const {
  const Index n = b.cols();
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
    const auto x_r = x.block(r, 0, 1, n);
    const auto lambda_r = lambda.block(r, 0, 1, n);
    maps_.reverse(r, theta, x_r, unit, no_weight, slope, theta_bar);
    maps_.reverse(r, theta, x_r, zero, weight, offset, theta_bar);
    for (Index i = 0; i < n; ++i) lambda_r(0, i) = (b(r, i) - network_bar(r, i) - offset(0, i)) / slope(0, i);
    // This call is for θ̄. Its other results are not used.
    maps_.reverse(r, theta, x_r, lambda_r, weight, offset, theta_bar);
    if (r > 0) network_.cotangent(s.passes, theta_bar, 1, network_bar);
  }
}

template class Autoregressive<float>;
template class Autoregressive<double>;

}  // namespace pushforward::flow
