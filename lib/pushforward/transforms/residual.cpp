#include <pushforward/core/angle.hpp>
#include <pushforward/linalg/samples.hpp>
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

// Returns true if a state for this pass has memory for the inverse.
template <class T>
bool inverts(const logdet::Estimator<T>& estimator, Pass pass) {
  return pass == Pass::evaluate && estimator.method().exact();
}

template <class T>
struct ResidualState final : TransformState<T> {
  ResidualState(const nn::Network<T>& network, const logdet::Estimator<T>& of, linalg::Workspace& kept,
                linalg::Workspace& scratch, Index n, Pass pass)
      : passes(network, kept, scratch, n, tangents(network, of, pass), pass), estimator(of) {
    if (pass == Pass::map_only) return;
    log_det = scratch.take<double>(n);
    variance = scratch.take<double>(n);
    sign = scratch.take<linalg::Sign>(n);
    products = scratch.take<Index>(n);
    const Index mark = scratch.used();
    memory = of.plan(network, kept, scratch, n, pass);
    if (!inverts(of, pass)) return;
    // The solver is done before the estimator begins, so they share memory.
    scratch.release(mark);
    exact.emplace(scratch, network.in(), n);
    image = scratch.matrix<T>(network.in(), n);
    solver.emplace(scratch, network.in(), network.options().context, n);
  }

  static Index tangents(const nn::Network<T>& network, const logdet::Estimator<T>& of, Pass pass) {
    if (pass == Pass::map_only) return 0;
    return inverts(of, pass) ? network.in() : of.tangents(network);
  }

  void estimate(const nn::Network<T>& network, const logdet::Draws& of) {
    draws = of;
    const auto count = static_cast<std::size_t>(passes.samples());
    estimator.estimate(network, passes, *memory, draws,
                       {log_det.first(count), variance.first(count), sign.first(count), products.first(count)});
    spent = false;
  }
  /// Estimates anew, with the same draws, if a reverse pass has used what the estimator left for it.
  void refresh(const nn::Network<T>& network) {
    if (spent) estimate(network, draws);
  }

  nn::NetworkState<T> passes;
  const logdet::Estimator<T>& estimator;
  std::span<double> log_det, variance;
  std::span<linalg::Sign> sign;
  std::span<Index> products;
  std::unique_ptr<typename logdet::Estimator<T>::State> memory;  // null for Pass::map_only
  logdet::Draws draws;                                           // of the last estimate
  bool spent = false;

  // The memory of solve_transposed().
  Matrix<T> transposes;  // (I + J)ᵀ, then its factors: (d × d·n)
  std::vector<int> pivots;

  // The memory of the inverse.
  std::optional<logdet::ExactLogDet<T>> exact;
  MatrixView<T> image;  // g(x) at the solution
  std::optional<ResidualInverse<T>> solver;
};

Status status_of(linalg::Sign sign, double log_det) {
  if (!std::isfinite(log_det) && !(log_det < 0)) return Status::not_finite;
  return sign > 0 ? Status::ok : Status::negative_determinant;
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
  return std::make_unique<ResidualState<T>>(network_, estimator(pass), kept, scratch, n, pass);
}

template <class T>
void ResidualBlock<T>::set_log_det(Pass pass, const logdet::Method& method) {
  (pass == Pass::gradient ? training_ : evaluation_) = logdet::make_estimator<T>(method, network_.options());
}

template <class T>
void ResidualBlock<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> z,
                               std::span<double> log_det, std::span<Status> status) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto x = batch.x;
  const auto n = static_cast<std::size_t>(x.cols());
  network_.forward(s.passes, x, z, batch.context);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) z(i, j) += x(i, j);
  }
  wrap(z);
  if (s.memory == nullptr) return;
  s.estimate(network_, batch.draws);
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] += s.log_det[i];
    const Status outcome = status_of(s.sign[i], s.log_det[i]);
    if (status[i] == Status::ok) status[i] = outcome;
  }
}

template <class T>
void ResidualBlock<T>::reverse(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> z_bar,
                               std::span<const T> weight, MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const Index d = z_bar.rows(), n = z_bar.cols(), k = s.estimator.tangents(network_);
  s.refresh(network_);
  s.spent = true;
  copy_samples<T>(z_bar, s.passes.value_seed());
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
void ResidualBlock<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> x,
                               std::span<double> log_det, std::span<Status> status,
                               const InverseOptions& options) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto z = batch.x;
  const auto n = static_cast<std::size_t>(z.cols());
  require<OptionError>(s.solver.has_value(),
                       "inverse of a residual block with memory for log-dets by {}: evaluation must be exact",
                       to_string(s.estimator.method()));
  s.solver->solve(network_, s.passes, *s.exact, network_.lipschitz(), z, batch.context, x, status, options);
  wrap(x);
  network_.forward(s.passes, x, s.image.columns(0, z.cols()), batch.context);
  s.estimate(network_, batch.draws);
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] -= s.log_det[i];
    if (status[i] == Status::ok) status[i] = status_of(s.sign[i], s.log_det[i]);
  }
}

template <class T>
void ResidualBlock<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> b,
                                        MatrixView<T> lambda) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const Index d = b.rows(), n = b.cols();
  if (s.estimator.method().template get_if<logdet::ExactOptions>() != nullptr && s.estimator.tangents(network_) == d) {
    s.refresh(network_);
    const ConstMatrixView<T> inverse_transposes = s.passes.tangent_seed(d);
    for (Index i = 0; i < n; ++i) {
      linalg::gemv(linalg::Op::none, T(1), inverse_transposes.columns(i * d, d), b.column_span(i), T(0),
                   lambda.column_span(i));
    }
    return;
  }
  if (s.transposes.cols() < d * n) {
    s.transposes = Matrix<T>(d, d * s.passes.capacity());
    s.pivots.resize(d * s.passes.capacity());
  }
  const auto transposes = s.transposes.view().columns(0, d * n);
  const auto unit = s.passes.value_seed();
  for (Index r = 0; r < d; ++r) {
    for (Index i = 0; i < n; ++i) {
      std::fill_n(unit.column(i), d, T(0));
      unit(r, i) = 1;
    }
    network_.cotangent(s.passes, unit, 1, lambda);
    for (Index i = 0; i < n; ++i) {
      std::copy_n(lambda.column(i), d, transposes.column(i * d + r));
      transposes(r, i * d + r) += T(1);
    }
  }
  const auto count = static_cast<std::size_t>(n);
  const auto pivots = std::span(s.pivots).first(d * n);
  linalg::lu_log_det(transposes, pivots, s.log_det.first(count), s.sign.first(count));
  copy_samples<T>(b, lambda);
  for (Index i = 0; i < n; ++i) {
    if (s.sign[i] == 0) {
      std::ranges::fill(lambda.column_span(i), std::numeric_limits<T>::quiet_NaN());
    } else {
      linalg::lu_solve(transposes.columns(i * d, d), pivots.subspan(i * d, d), lambda.columns(i, 1));
    }
  }
}

template <class T>
std::vector<Attribute> ResidualBlock<T>::describe() const {
  std::vector<double> norms;
  for (const auto& layer : network_.layers()) norms.push_back(static_cast<double>(layer->norm()));
  return {{"layers", std::ssize(network_.layers())},
          {"certified_lipschitz", network_.lipschitz()},
          {"layer_norms", std::move(norms)}};
}

template class ResidualBlock<float>;
template class ResidualBlock<double>;

}  // namespace pushforward::flow
