#include <pushforward/core/angle.hpp>
#include <pushforward/logdet/exact.hpp>
#include <pushforward/transforms/network_keys.hpp>
#include <pushforward/transforms/residual.hpp>
#include <pushforward/transforms/residual_inverse.hpp>

#include <cmath>
#include <optional>

namespace pushforward::flow {

OptionSet ResidualOptions::declare() {
  OptionSet set;
  declare_network(set, hidden, activation);
  declare_kernels(set, kernels);
  set.add("lipschitz", lipschitz, "bound on the Lipschitz constant of the block", strictly_between(0, 1));
  return set;
}

Domain ResidualOptions::output(const Domain& at) const {
  require_pixels(kernels, at);
  return at;
}

nn::NetworkOptions ResidualOptions::lipschitz_network(const Domain& at) const {
  nn::NetworkOptions network{
      .in = at.size(), .out = at.size(), .hidden = hidden, .activation = activation, .lipschitz = lipschitz};
  network.context = at.context;
  network.periodic = at.periodic;
  if (kernels.empty()) return network;
  network.kernels = kernels;
  network.height = at.shape.height;
  network.width = at.shape.width;
  return network;
}

namespace {

// Whether there is room for the inverse.
template <class T>
bool inverts(const logdet::Estimator<T>& estimator, Pass pass) {
  return pass == Pass::evaluate && estimator.method().kind == logdet::Kind::exact;
}

template <class T>
struct ResidualState final : TransformState<T> {
  ResidualState(const nn::Network<T>& network, const logdet::Estimator<T>& of, linalg::Workspace& kept,
                linalg::Workspace& scratch, Index n, Pass pass)
      : passes(network, kept, scratch, n, inverts(of, pass) ? network.in() : of.tangents(network), pass),
        estimator(of),
        log_det(scratch.take<double>(n)),
        variance(scratch.take<double>(n)),
        sign(scratch.take<linalg::Sign>(n)),
        products(scratch.take<Index>(n)) {
    const Index mark = scratch.used();
    memory = of.plan(network, kept, scratch, n, pass);
    if (!inverts(of, pass)) return;
    // The solver is done when the estimator begins: they share memory.
    scratch.release(mark);
    exact.emplace(scratch, network.in(), n);
    image = scratch.matrix<T>(network.in(), n);
    solver.emplace(scratch, network.in(), network.options().context, n);
  }

  /// Of g alone, without tangents and log-dets.
  ResidualState(const nn::Network<T>& network, const logdet::Estimator<T>& of, linalg::Workspace& kept,
                linalg::Workspace& scratch, Index n)
      : passes(network, kept, scratch, n, 0, Pass::evaluate), estimator(of) {}

  void estimate(const nn::Network<T>& network, Index n) {
    const auto count = static_cast<std::size_t>(n);
    estimator.estimate(network, passes, *memory, this->draws,
                       {log_det.first(count), variance.first(count), sign.first(count), products.first(count)});
  }

  nn::NetworkState<T> passes;
  const logdet::Estimator<T>& estimator;
  std::span<double> log_det, variance;
  std::span<linalg::Sign> sign;
  std::span<Index> products;
  std::unique_ptr<typename logdet::Estimator<T>::State> memory;  // none for maps

  // Of the inverse.
  std::optional<logdet::ExactLogDet<T>> exact;
  MatrixView<T> image;  // g(x) at the solution
  std::optional<ResidualInverse<T>> solver;
};

Status status_of(linalg::Sign sign, double log_det) {
  if (!std::isfinite(log_det) && !(log_det < 0)) return Status::not_finite;
  return sign > 0 ? Status::ok : Status::negative_determinant;
}

template <class T>
void copy(ConstMatrixView<T> from, MatrixView<T> to) {
  for (Index j = 0; j < from.cols(); ++j) std::copy_n(from.column(j), from.rows(), to.column(j));
}

}  // namespace

template <class T>
ResidualBlock<T>::ResidualBlock(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                                const nn::NetworkOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(shape),
      network_(layout, name, options, seed, key),
      evaluation_(logdet::make_estimator<T>({}, options)),
      training_(logdet::make_estimator<T>({}, options)) {
  require<ShapeError>(options.in == options.out && options.in == shape.size(),
                      "residual block {}: a map {} → {} cannot be added to samples of {} values", name, options.in,
                      options.out, to_string(shape));
  require<OptionError>(options.lipschitz < 1, "residual block {}: Lipschitz bound {} must be below 1", name,
                       options.lipschitz);
}

template <class T>
void ResidualBlock<T>::wrap(MatrixView<T> x) const {
  for (const Index row : network_.options().periodic) {
    for (Index j = 0; j < x.cols(); ++j) x(row, j) = wrap_angle<T>(static_cast<double>(x(row, j)));
  }
}

template <class T>
std::unique_ptr<TransformState<T>> ResidualBlock<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                          Pass pass) const {
  const auto& estimator = pass == Pass::evaluate ? *evaluation_ : *training_;
  return std::make_unique<ResidualState<T>>(network_, estimator, kept, scratch, n, pass);
}

template <class T>
std::unique_ptr<TransformState<T>> ResidualBlock<T>::plan_map(linalg::Workspace& kept, linalg::Workspace& scratch,
                                                              Index n) const {
  return std::make_unique<ResidualState<T>>(network_, *evaluation_, kept, scratch, n);
}

template <class T>
void ResidualBlock<T>::set_log_det(Pass pass, const logdet::Method& method) {
  (pass == Pass::evaluate ? evaluation_ : training_) = logdet::make_estimator<T>(method, network_.options());
}

template <class T>
void ResidualBlock<T>::forward(TransformState<T>& state, ConstMatrixView<T> x, MatrixView<T> z,
                               std::span<double> log_det, std::span<Status> status) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto n = static_cast<std::size_t>(x.cols());
  network_.forward(s.passes, x, z, s.context);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) z(i, j) += x(i, j);
  }
  wrap(z);
  if (s.memory == nullptr) return;
  s.estimate(network_, x.cols());
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] += s.log_det[i];
    const Status outcome = status_of(s.sign[i], s.log_det[i]);
    if (status[i] == Status::ok) status[i] = outcome;
  }
}

template <class T>
void ResidualBlock<T>::reverse(TransformState<T>& state, ConstMatrixView<T> z_bar, std::span<const T> weight,
                               MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const Index d = z_bar.rows(), n = z_bar.cols(), k = s.estimator.tangents(network_);
  copy(z_bar, s.passes.value_seed());
  if (!weight.empty()) {
    const auto u = s.passes.tangent_seed(k);
    for (Index j = 0; j < n * k; ++j) {
      for (Index i = 0; i < d; ++i) u(i, j) *= weight[j / k];
    }
  }
  s.estimator.add_to_reverse(network_, s.passes, *s.memory, weight, gradient);
  network_.reverse(s.passes, x_bar, gradient);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) x_bar(i, j) += z_bar(i, j);
  }
}

template <class T>
void ResidualBlock<T>::inverse(TransformState<T>& state, ConstMatrixView<T> z, MatrixView<T> x,
                               std::span<double> log_det, std::span<Status> status,
                               const InverseOptions& options) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto n = static_cast<std::size_t>(z.cols());
  require<OptionError>(s.solver.has_value(),
                       "inverse of a residual block with memory for log-dets by {}: evaluation must be exact",
                       to_string(s.estimator.method()));
  s.solver->solve(network_, s.passes, *s.exact, network_.lipschitz(), z, s.context, x, status, options);
  wrap(x);
  network_.forward(s.passes, x, s.image.columns(0, z.cols()), s.context);
  s.estimate(network_, z.cols());
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] -= s.log_det[i];
    if (status[i] == Status::ok) status[i] = status_of(s.sign[i], s.log_det[i]);
  }
}

template <class T>
void ResidualBlock<T>::describe(const h5::GroupWriter& group) const {
  group.attribute("layers", std::ssize(network_.layers()));
  std::vector<double> norms;
  for (const auto& layer : network_.layers()) norms.push_back(static_cast<double>(layer->norm()));
  group.attribute("certified_lipschitz", network_.lipschitz());
  group.attribute("layer_norms", norms);
}

template class ResidualBlock<float>;
template class ResidualBlock<double>;

}  // namespace pushforward::flow
