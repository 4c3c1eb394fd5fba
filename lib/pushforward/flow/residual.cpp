#include <pushforward/flow/residual.hpp>
#include <pushforward/flow/residual_inverse.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
struct ResidualState final : TransformState {
  ResidualState(const nn::Network<T>& network, linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                Purpose purpose)
      : passes(network, kept, scratch, n, logdet::ExactLogDet<T>::tangents(network.in()), purpose),
        exact(scratch, network.in(), n),
        log_det(scratch.take<double>(n)),
        sign(scratch.take<linalg::Sign>(n)),
        image(scratch.matrix<T>(network.in(), n)),
        solver(scratch, network.in(), n) {}

  nn::NetworkState<T> passes;
  logdet::ExactLogDet<T> exact;
  std::span<double> log_det;
  std::span<linalg::Sign> sign;
  MatrixView<T> image;  // g(x) at the solution of the inverse
  ResidualInverse<T> solver;
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
ResidualBlock<T>::ResidualBlock(nn::ParameterLayout& layout, const std::string& name, const nn::NetworkOptions& options,
                                std::uint64_t seed, std::uint64_t key)
    : network_(layout, name, options, seed, key) {
  require<ShapeError>(options.in == options.out, "residual block {}: a map {} → {} cannot be added to its input", name,
                      options.in, options.out);
  require<OptionError>(options.lipschitz < 1, "residual block {}: Lipschitz bound {} must be below 1", name,
                       options.lipschitz);
}

template <class T>
std::unique_ptr<TransformState> ResidualBlock<T>::plan(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                                       Purpose purpose) const {
  return std::make_unique<ResidualState<T>>(network_, kept, scratch, n, purpose);
}

template <class T>
void ResidualBlock<T>::forward(TransformState& state, ConstMatrixView<T> x, MatrixView<T> z, std::span<double> log_det,
                               std::span<Status> status) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto n = static_cast<std::size_t>(x.cols());
  network_.forward(s.passes, x, z);
  for (Index j = 0; j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) z(i, j) += x(i, j);
  }
  s.exact.estimate(network_, s.passes, s.log_det.first(n), s.sign.first(n));
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] += s.log_det[i];
    const Status outcome = status_of(s.sign[i], s.log_det[i]);
    if (status[i] == Status::ok) status[i] = outcome;
  }
}

template <class T>
void ResidualBlock<T>::reverse(TransformState& state, ConstMatrixView<T> z_bar, std::span<const T> weight,
                               MatrixView<T> x_bar, std::span<T> gradient) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const Index d = z_bar.rows(), n = z_bar.cols();
  copy(z_bar, s.passes.value_seed());
  if (!weight.empty()) {
    const auto u = s.passes.tangent_seed(d);
    for (Index j = 0; j < n * d; ++j) {
      for (Index i = 0; i < d; ++i) u(i, j) *= weight[static_cast<std::size_t>(j / d)];
    }
  }
  network_.reverse(s.passes, x_bar, gradient);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) x_bar(i, j) += z_bar(i, j);
  }
}

template <class T>
void ResidualBlock<T>::inverse(TransformState& state, ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_det,
                               std::span<Status> status, const InverseOptions& options) const {
  auto& s = static_cast<ResidualState<T>&>(state);
  const auto n = static_cast<std::size_t>(z.cols());
  s.solver.solve(network_, s.passes, s.exact, network_.lipschitz(), z, x, status, options);
  network_.forward(s.passes, x, s.image.columns(0, z.cols()));
  s.exact.estimate(network_, s.passes, s.log_det.first(n), s.sign.first(n));
  for (std::size_t i = 0; i < n; ++i) {
    log_det[i] -= s.log_det[i];
    if (status[i] == Status::ok) status[i] = status_of(s.sign[i], s.log_det[i]);
  }
}

template <class T>
void ResidualBlock<T>::describe(const h5::GroupWriter& group) const {
  Transform<T>::describe(group);
  group.attribute("activation", nn::activation_name(network_.options().activation));
  group.attribute("layers", std::ssize(network_.layers()));
  group.attribute("lipschitz_bound", network_.options().lipschitz);
  std::vector<double> norms;
  for (const auto& layer : network_.layers()) norms.push_back(static_cast<double>(layer.norm()));
  group.attribute("lipschitz", network_.lipschitz());
  group.attribute("layer_norms", norms);
}

template class ResidualBlock<float>;
template class ResidualBlock<double>;

}  // namespace pushforward::flow
