#include <pushforward/core/angle.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/network_keys.hpp>
#include <pushforward/transforms/row_order.hpp>

#include <algorithm>

namespace pushforward::flow {

OptionSet CouplingOptions::declare() {
  OptionSet set;
  set.add("mask", mask, "values that do not change",
          one_of({"first", "second", "even", "odd", "checkerboard", "checkerboard-odd"}));
  set.add_all(map.declare("map", "map of the other values"));
  declare_network(set, hidden, activation);
  declare_kernels(set, kernels);
  return set;
}

Domain CouplingOptions::output(const Domain& at) const {
  require_pixels(kernels, at);
  return at;
}

namespace {

const std::vector<std::string>& masks() {
  static const std::vector<std::string> names{"first", "second", "even", "odd", "checkerboard", "checkerboard-odd"};
  return names;
}

// Whether a channel of a pixel stays.
bool stays(const std::string& mask, const Shape& shape, Index pixel, Index channel) {
  const Index color = (pixel / shape.width + pixel % shape.width) % 2;
  if (mask == "checkerboard") return color == 0;
  if (mask == "checkerboard-odd") return color == 1;
  if (mask == "even") return channel % 2 == 0;
  if (mask == "odd") return channel % 2 == 1;
  return (channel < (shape.channels + 1) / 2) == (mask == "first");
}

// The rows that are mapped, and their places among the network's outputs in units of m.
template <class T>
auto elements_of(const CouplingMask& mask, bool convolutional) {
  std::vector<typename ElementMaps<T>::Element> elements;
  for (const Index row : mask.active) {
    elements.push_back({row, convolutional && mask.checkerboard ? row : std::ssize(elements)});
  }
  return elements;
}

nn::NetworkOptions network_of(const CouplingMask& mask, const Domain& domain, const CouplingOptions& options, Index m) {
  nn::NetworkOptions network{.in = std::ssize(mask.passive),
                             .out = m * std::ssize(mask.active),
                             .hidden = options.hidden,
                             .activation = options.activation,
                             .lipschitz = std::numeric_limits<double>::infinity()};
  network.context = domain.context;
  if (options.kernels.empty()) {
    for (Index k = 0; k < network.in; ++k) {
      const Index row = mask.passive[k];
      if (std::binary_search(domain.periodic.begin(), domain.periodic.end(), row)) network.periodic.push_back(k);
    }
    return network;
  }
  if (mask.checkerboard) {
    network.in = domain.size();
    network.out = m * domain.size();
  }
  network.height = domain.shape.height;
  network.width = domain.shape.width;
  network.kernels = options.kernels;
  return network;
}

}  // namespace

CouplingMask::CouplingMask(const std::string& name, const Shape& shape) : checkerboard(name.starts_with("checker")) {
  require<OptionError>(std::find(masks().begin(), masks().end(), name) != masks().end(),
                       "mask = '{}' is unknown{}; there are {}", name, suggestion(name, masks()), join(masks()));
  require<ShapeError>(shape.size() >= 2,
                      "{} value cannot be divided into some that stay and some that are mapped, which takes 2: use "
                      "autoregressive, which takes 1 value",
                      shape.size());
  require<OptionError>(shape.is_image() || !checkerboard,
                       "mask = '{}' of vectors of {} values: a checkerboard needs images; use even or odd", name,
                       shape.size());
  require<ShapeError>(checkerboard || shape.channels >= 2,
                      "mask = '{}' of images {} with {} channel: divides channels, of which there must be 2; use "
                      "checkerboard, or squeeze before",
                      name, to_string(shape), shape.channels);
  for (Index row = 0; row < shape.size(); ++row) {
    (stays(name, shape, row / shape.channels, row % shape.channels) ? passive : active).push_back(row);
  }
}

template <class T>
struct Coupling<T>::State final : TransformState<T> {
  State(const nn::Network<T>& network, Index mapped_values, linalg::Workspace& kept, linalg::Workspace& scratch,
        Index n, Pass pass)
      : passes(network, kept, scratch, n, 0, pass, nn::Curvature::none) {
    auto& memory = pass == Pass::gradient ? kept : scratch;
    seen = memory.matrix<T>(network.in(), n);
    active = memory.matrix<T>(mapped_values, n);
    theta = memory.matrix<T>(network.out(), n);
    mapped = scratch.matrix<T>(mapped_values, n);
    if (pass == Pass::gradient) seen_bar = scratch.matrix<T>(network.in(), n);
  }

  nn::NetworkState<T> passes;
  MatrixView<T> seen, seen_bar;  // what the network sees, and its cotangent
  MatrixView<T> active, mapped;  // x_A, and z_A or its cotangents: (|A| × n)
  MatrixView<T> theta;
};

template <class T>
Coupling<T>::Coupling(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                      const CouplingOptions& options, std::uint64_t seed, std::uint64_t key)
    : Coupling(layout, name, domain, options, CouplingMask(options.mask, domain.shape), seed, key) {}

template <class T>
Coupling<T>::Coupling(nn::ParameterLayout& layout, const std::string& name, const Domain& domain,
                      const CouplingOptions& options, const CouplingMask& mask, std::uint64_t seed, std::uint64_t key)
    : shape_(domain.shape),
      active_(mask.active),
      maps_(options.map, elements_of<T>(mask, !options.kernels.empty()), domain.periodic),
      network_(layout, name, network_of(mask, domain, options, maps_.parameters()), seed, key) {
  const bool whole = network_.in() == domain.size();
  for (const Index row : mask.passive) {
    passive_.push_back({row, whole ? row : std::ssize(passive_)});
    if (std::binary_search(domain.periodic.begin(), domain.periodic.end(), row)) angles_.push_back(passive_.back());
  }
}

template <class T>
std::unique_ptr<TransformState<T>> Coupling<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                     Pass pass) const {
  return std::make_unique<State>(network_, maps_.size(), kept, scratch, n, pass);
}

template <class T>
void Coupling<T>::condition(State& s, const Batch<T>& batch, MatrixView<T> to) const {
  const auto from = batch.x;
  const Index n = batch.size();
  const auto seen = s.seen.columns(0, n);
  const bool covers = network_.in() == std::ssize(passive_);
  for (Index i = 0; i < n; ++i) {
    const T* const x = from.column(i);
    T *const in = seen.column(i), *const z = to.column(i);
    if (!covers) std::fill_n(in, seen.rows(), T(0));
    for (const auto& [row, place] : passive_) z[row] = in[place] = x[row];
    for (const auto& [row, place] : angles_) z[row] = in[place] = wrap_angle<T>(static_cast<double>(x[row]));
  }
  gather_rows<T>(active_, from, s.active.columns(0, n));
  network_.forward(s.passes, seen, s.theta.columns(0, n), batch.context);
}

template <class T>
void Coupling<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z, std::span<double> log_det,
                          std::span<Status>) const {
  auto& s = static_cast<State&>(state);
  const Index n = batch.size();
  const auto mapped = s.mapped.columns(0, n);
  condition(s, batch, z);
  maps_.forward(s.theta.columns(0, n), s.active.columns(0, n), mapped, log_det);
  scatter_rows<T>(active_, mapped, z);
}

template <class T>
void Coupling<T>::reverse(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> z_bar,
                          std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<State&>(state);
  const Index n = z_bar.cols();
  const auto seen_bar = s.seen_bar.columns(0, n), mapped_bar = s.mapped.columns(0, n);
  gather_rows<T>(active_, z_bar, mapped_bar);
  maps_.reverse(s.theta.columns(0, n), s.active.columns(0, n), mapped_bar, weight, mapped_bar, s.passes.value_seed());
  network_.reverse(s.passes, seen_bar, gradient);
  scatter_rows<T>(active_, mapped_bar, x_bar);
  for (Index i = 0; i < n; ++i) {
    const T *const bar = z_bar.column(i), *const from_network = seen_bar.column(i);
    T* const to = x_bar.column(i);
    for (const auto& [row, place] : passive_) to[row] = bar[row] + from_network[place];
  }
}

template <class T>
void Coupling<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x, std::span<double> log_det,
                          std::span<Status>, const InverseOptions&) const {
  auto& s = static_cast<State&>(state);
  const Index n = batch.size();
  const auto mapped = s.mapped.columns(0, n);
  condition(s, batch, x);
  maps_.inverse(s.theta.columns(0, n), s.active.columns(0, n), mapped, log_det);
  scatter_rows<T>(active_, mapped, x);
}

// With the passive rows first, J = (I 0; C D). D is diagonal, and C = ∂z_A/∂x_P comes from the network. So
// λ_A = D⁻¹ b_A and λ_P = b_P − Cᵀλ_A. Cᵀ takes one pass back through the network.
template <class T>
void Coupling<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> b,
                                   MatrixView<T> lambda) const {
  auto& s = static_cast<State&>(state);
  const Index n = b.cols();
  const auto seen_bar = s.seen_bar.columns(0, n), mapped = s.mapped.columns(0, n);
  const auto theta = s.theta.columns(0, n), active = s.active.columns(0, n), theta_bar = s.passes.value_seed();
  // Log-dets have no part in J, so their weights are 0. These lie in the memory of seen_bar, which is not needed yet.
  const std::span<T> no_weight(seen_bar.data(), static_cast<std::size_t>(n));
  std::ranges::fill(no_weight, T(0));
  for (Index j = 0; j < n; ++j) std::fill_n(mapped.column(j), mapped.rows(), T(1));
  maps_.reverse(theta, active, mapped, no_weight, mapped, theta_bar);
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k < mapped.rows(); ++k) mapped(k, j) = b(active_[k], j) / mapped(k, j);
  }
  scatter_rows<T>(active_, mapped, lambda);
  maps_.reverse(theta, active, mapped, no_weight, mapped, theta_bar);
  network_.cotangent(s.passes, theta_bar, 1, seen_bar);
  for (Index j = 0; j < n; ++j) {
    for (const auto& [row, place] : passive_) lambda(row, j) = b(row, j) - seen_bar(place, j);
  }
}

template class Coupling<float>;
template class Coupling<double>;

}  // namespace pushforward::flow
