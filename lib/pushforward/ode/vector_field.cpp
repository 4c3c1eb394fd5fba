#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/activation.hpp>
#include <pushforward/ode/vector_field.hpp>

#include <cmath>
#include <limits>
#include <numbers>

namespace pushforward::ode {

namespace {

nn::NetworkOptions network_of(const FieldOptions& options, Index time_features) {
  nn::NetworkOptions network{.in = options.dimension,
                             .out = options.dimension,
                             .hidden = options.hidden,
                             .activation = options.activation,
                             .lipschitz = std::numeric_limits<double>::infinity()};
  network.context = time_features + options.context;
  network.periodic = options.periodic;
  return network;
}

// Writes τ(t) to the first rows of a column.
template <class T>
void time_features_of(double t, T* to) {
  const double angle = std::numbers::pi * t;
  to[0] = static_cast<T>(2 * t - 1);
  to[1] = static_cast<T>(std::cos(angle));
  to[2] = static_cast<T>(std::sin(angle));
  to[3] = static_cast<T>(std::cos(2 * angle));
  to[4] = static_cast<T>(std::sin(2 * angle));
}

}  // namespace

template <class T>
VectorField<T>::VectorField(nn::ParameterLayout& layout, const std::string& name, const FieldOptions& options,
                            std::uint64_t seed, std::uint64_t key)
    : network_(layout, name, network_of(options, time_features), seed, key) {}

template <class T>
double VectorField<T>::lipschitz() const {
  const double slope = nn::ActivationKind::registry().at(network_.options().activation).lipschitz;
  double product = 1;
  for (const auto& layer : network_.layers()) {
    if (layer != network_.layers().front()) product *= slope;
    product *= static_cast<double>(linalg::singular_values(layer->weight()).front());
  }
  return product;
}

template <class T>
void VectorField<T>::forward(FieldState<T>& state, ConstMatrixView<T> x, std::span<const double> t,
                             ConstMatrixView<T> u, MatrixView<T> v) const {
  const Index n = x.cols(), c = context();
  require<ShapeError>((t.size() == 1 || std::ssize(t) == n) && u.rows() == c && (c == 0 || u.cols() == n),
                      "vector field: {} times and a context ({} × {}) do not fit {} samples with {} context values",
                      t.size(), u.rows(), u.cols(), n, c);
  const auto context = state.context_.columns(0, n);
  for (Index j = 0; j < n; ++j) {
    T* const column = context.column(j);
    if (j == 0 || t.size() > 1) {
      time_features_of(t[j], column);
    } else {
      std::copy_n(context.column(0), time_features, column);
    }
    if (c > 0) std::copy_n(u.column(j), c, column + time_features);
  }
  network_.forward(state.passes_, x, v, context);
}

template class VectorField<float>;
template class VectorField<double>;

}  // namespace pushforward::ode
