#include <pushforward/linalg/lapack.hpp>
#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/activation.hpp>
#include <pushforward/ode/vector_field.hpp>

#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <xsimd/xsimd.hpp>

namespace pushforward::ode {

namespace {

nn::NetworkOptions network_of(const FieldOptions& options, Index time_features) {
  nn::NetworkOptions network{.in = options.dimension,
                             .out = options.dimension,
                             .hidden = options.hidden,
                             .activation = options.activation,
                             .lipschitz = std::numeric_limits<double>::infinity()};
  network.context = time_features + (options.optional_context ? 1 : 0) + options.context;
  network.gates = options.time == "gates" ? time_features : 0;
  network.periodic = options.periodic;
  return network;
}

// f(row i, row k) for each two rows of the same sphere.
template <class F>
void for_each_pair(const std::vector<Sphere>& spheres, F&& f) {
  for (const Sphere& sphere : spheres) {
    for (const Index i : sphere) {
      for (const Index k : sphere) f(i, k);
    }
  }
}

// The largest ‖τ(t)‖, for t between 0 and 1.
const double longest_time = std::sqrt(3.0);

// Writes τ(t) of one time after the other to the first rows of columns.
template <class T>
void write_time_features(std::span<const double> t, MatrixView<T> to) {
  using B = xsimd::batch<double>;
  // A register of times at once. The sine and the cosine of an angle depend on the other angles of a register, because
  // xsimd chooses one way for all of them; up to π/4 there is only one. So it begins at πt/4 and doubles the angle.
  struct Angle {
    B cosine, sine;
    Angle doubled() const { return {(cosine - sine) * (cosine + sine), B(2) * sine * cosine}; }
  };
  std::array<double, B::size> time{}, c1{}, s1{}, c2{}, s2{};
  for (std::size_t first = 0; first < t.size(); first += B::size) {
    const std::size_t count = std::min(B::size, t.size() - first);
    std::copy_n(t.begin() + static_cast<Index>(first), count, time.begin());
    const auto [sine, cosine] = xsimd::sincos(B::load_unaligned(time.data()) * B(std::numbers::pi / 4));
    const Angle once = Angle{cosine, sine}.doubled().doubled(), twice = once.doubled();
    once.cosine.store_unaligned(c1.data());
    once.sine.store_unaligned(s1.data());
    twice.cosine.store_unaligned(c2.data());
    twice.sine.store_unaligned(s2.data());
    for (std::size_t i = 0; i < count; ++i) {
      T* const column = to.column(static_cast<Index>(first + i));
      column[0] = static_cast<T>(2 * time[i] - 1);
      column[1] = static_cast<T>(c1[i]);
      column[2] = static_cast<T>(s1[i]);
      column[3] = static_cast<T>(c2[i]);
      column[4] = static_cast<T>(s2[i]);
    }
  }
}

}  // namespace

template <class T>
VectorField<T>::VectorField(nn::ParameterLayout& layout, const std::string& name, const FieldOptions& options,
                            std::uint64_t seed, std::uint64_t key)
    : network_(layout, name, network_of(options, time_features), seed, key),
      spheres_(options.spheres),
      context_(options.context),
      optional_context_(options.optional_context) {
  check_spheres(options.spheres, options.periodic, options.dimension);
}

template <class T>
bool VectorField<T>::has_closed_trace() const {
  const auto& network = network_.options();
  return network.is_plain() && std::ssize(network.hidden) <= logdet::ExactTrace<T>::most_hidden;
}

template <class T>
void VectorField<T>::set_guidance(double scale) {
  require<OptionError>(
      scale == 1 || (optional_context_ && std::isfinite(scale)),
      "guidance of strength {}: it must be finite, and the vector field must have been trained without "
      "the context for a part of the rows, by objective.unconditional",
      scale);
  guidance_ = scale;
}

template <class T>
GuidedPasses<T> VectorField<T>::make_passes(linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                                            Derivative derivative, Pass pass, std::optional<Index> tangents) const {
  const bool has_divergence = derivative == Derivative::divergence, has_trace = has_divergence && has_closed_trace();
  typename GuidedPasses<T>::Options options{.scale = guidance_,
                                            .none = {},
                                            .tangents = derivative == Derivative::none ? 0
                                                        : !has_divergence              ? tangents.value_or(dimension())
                                                        : has_trace                    ? spheres_.count()
                                                                                       : dimension(),
                                            .has_trace = has_trace};
  if (optional_context_) options.none = time_features;
  return {network_, options, kept, scratch, n, pass};
}

template <class T>
FieldState<T>::FieldState(const VectorField<T>& field, linalg::Workspace& kept, linalg::Workspace& scratch, Index n,
                          Derivative derivative, Pass pass, std::optional<Index> tangents)
    : passes_(field.make_passes(kept, scratch, n, derivative, pass, tangents)),
      context_(kept.matrix<T>(field.network().options().context, n)) {
  const Index d = field.dimension(), spheres = field.spheres().count();
  const bool has_divergence = derivative == Derivative::divergence;
  if (has_divergence && !field.has_closed_trace()) jacobian_ = scratch.matrix<T>(d, d * n);
  if (spheres == 0) return;
  y_ = kept.matrix<T>(d, n);
  f_ = kept.matrix<T>(d, n);
  radius_ = kept.matrix<T>(spheres, n);
  if (has_divergence) along_ = kept.matrix<T>(d, n);
  const bool has_tangents = derivative == Derivative::tangents;
  const Index directions = (has_tangents ? tangents.value_or(d) : passes_.has_trace() ? spheres : 0) * n;
  if (has_tangents) given_ = kept.matrix<T>(d, directions);
  direction_ = kept.matrix<T>(d, directions);
  image_ = kept.matrix<T>(d, directions);
  if (pass != Pass::gradient) return;
  direction_bar_ = scratch.matrix<T>(d, directions);
  if (has_tangents) v_bar_ = scratch.matrix<T>(d, directions);
  y_bar_ = scratch.matrix<T>(d, n);
  x_bar_ = scratch.matrix<T>(d, n);
}

template <class T>
double VectorField<T>::lipschitz() const {
  if (!spheres_.empty()) return std::numeric_limits<double>::infinity();
  const double slope = nn::ActivationKind::registry().at(network_.options().activation).lipschitz;
  double product = 1;
  for (const auto& layer : network_.layers()) {
    if (layer != network_.layers().front()) product *= slope;
    product *= static_cast<double>(linalg::singular_values(layer->weight()).front());
  }
  for (const auto& gates : network_.gates()) product *= gates.largest(longest_time);
  return (std::abs(guidance_) + std::abs(1 - guidance_)) * product;
}

template <class T>
void VectorField<T>::forward(FieldState<T>& state, ConstMatrixView<T> x, std::span<const double> t,
                             ConstMatrixView<T> u, MatrixView<T> v, std::span<const std::int8_t> none) const {
  const Index n = x.cols(), c = context();
  require<ShapeError>((t.size() == 1 || std::ssize(t) == n) && u.rows() == c && (c == 0 || u.cols() == n),
                      "vector field: {} times and a context ({} × {}) do not fit {} samples with {} context values",
                      t.size(), u.rows(), u.cols(), n, c);
  require<ShapeError>(none.empty() || (optional_context_ && std::ssize(none) == n),
                      "vector field: {} marks of samples without a context for {} samples", none.size(), n);
  // If the time is all that there is, the samples share a column.
  const auto& network = network_.options();
  const bool is_shared = t.size() == 1 && network.context == time_features && network.gates == 0;
  const auto context = state.context_.columns(0, is_shared ? 1 : n);
  if (context.cols() > 0) write_time_features(t, context);
  for (Index j = 0; j < context.cols(); ++j) {
    T* const column = context.column(j);
    if (t.size() == 1 && j > 0) std::copy_n(context.column(0), time_features, column);
    T* const of_sample = column + time_features + (optional_context_ ? 1 : 0);
    const bool has_none = !none.empty() && none[j] != 0;
    if (optional_context_) column[time_features] = has_none ? T(1) : T(0);
    if (has_none) {
      std::fill_n(of_sample, c, T(0));
    } else if (c > 0) {
      std::copy_n(u.column(j), c, of_sample);
    }
  }
  state.k_ = 0;
  if (spheres_.empty()) return state.passes_.forward(x, v, context);
  const auto y = state.y_.columns(0, n), f = state.f_.columns(0, n), radius = state.radius_.columns(0, n);
  spheres_.directions(x, y, radius);
  state.passes_.forward(y, f, context);
  spheres_.project(y, radius, f, v);
}

template <class T>
void VectorField<T>::divergence(FieldState<T>& state, std::span<double> values) const {
  const Index d = dimension(), n = state.passes_.samples();
  if (state.passes_.has_trace()) {
    state.passes_.trace(values);
  } else {
    const auto jacobian = state.jacobian_.columns(0, d * n);
    state.passes_.tangent(nn::Directions<T>::identity(d), jacobian);
    for (Index j = 0; j < n; ++j) {
      values[j] = 0;
      for (Index i = 0; i < d; ++i) values[j] += static_cast<double>(jacobian(i, j * d + i));
    }
  }
  if (!spheres_.empty()) add_curvature(state, values);
}

// The pairs of a sphere's rows in J, or the image of one tangent, give Jy.
template <class T>
void VectorField<T>::add_curvature(FieldState<T>& state, std::span<double> values) const {
  const Index d = dimension(), n = state.passes_.samples(), count = spheres_.count();
  const auto y = state.y_.columns(0, n), f = state.f_.columns(0, n), along = state.along_.columns(0, n);
  std::fill_n(along.data(), along.size(), T(0));
  if (state.passes_.has_trace()) {
    const auto direction = state.direction_.columns(0, n * count), image = state.image_.columns(0, n * count);
    spheres_.spread(y, direction);
    state.passes_.tangent(nn::Directions<T>::given(direction, count), image);
    spheres_.add_gathered(image, along);
    return spheres_.add_curvature(y, f, along, values);
  }
  for (Index j = 0; j < n; ++j) {
    for_each_pair(spheres_.groups(), [&](Index i, Index k) { along(i, j) += state.jacobian_(i, j * d + k) * y(k, j); });
  }
  spheres_.add_curvature(y, f, along, values);
  // The reverse pass takes (J + Jᵀ)y.
  for (Index j = 0; j < n; ++j) {
    for_each_pair(spheres_.groups(), [&](Index i, Index k) { along(i, j) += state.jacobian_(k, j * d + i) * y(k, j); });
  }
}

template <class T>
void VectorField<T>::tangent(FieldState<T>& state, const nn::Directions<T>& directions, MatrixView<T> jv) const {
  if (spheres_.empty()) return state.passes_.tangent(directions, jv);
  const Index n = state.passes_.samples(), k = directions.k, count = n * k;
  const auto given = state.given_.columns(0, count), inner = state.direction_.columns(0, count);
  const auto image = state.image_.columns(0, count);
  if (directions.is_identity) {
    std::fill_n(given.data(), given.size(), T(0));
    for (Index j = 0; j < count; ++j) given(j % k, j) = T(1);
  } else {
    copy_samples<T>(directions.v, given);
  }
  const auto y = state.y_.columns(0, n), f = state.f_.columns(0, n), radius = state.radius_.columns(0, n);
  spheres_.tangent_directions(y, radius, given, inner);
  state.passes_.tangent(nn::Directions<T>::given(inner, k), image);
  spheres_.tangents(y, radius, f, given, image, jv);
  state.k_ = k;
}

template <class T>
void VectorField<T>::seed_divergence(FieldState<T>& state, std::span<const T> weight, std::span<T> gradient) const {
  const Index d = dimension(), n = state.passes_.samples(), count = spheres_.count();
  if (state.passes_.has_trace()) {
    state.passes_.add_trace_to_reverse(weight, gradient);
    if (count == 0) return;
    const auto seed = state.passes_.tangent_seed(count);
    for (Index j = 0; j < seed.cols(); ++j) {
      for (Index i = 0; i < d; ++i) seed(i, j) = -weight[j / count] * state.direction_(i, j);
    }
  } else {
    const auto seed = state.passes_.tangent_seed(d);
    std::fill_n(seed.data(), seed.size(), T(0));
    for (Index j = 0; j < seed.cols(); ++j) seed(j % d, j) = weight[j / d];
    for (Index j = 0; j < n; ++j) {
      for_each_pair(spheres_.groups(),
                    [&](Index i, Index k) { seed(i, j * d + k) -= weight[j] * state.y_(i, j) * state.y_(k, j); });
    }
  }
  if (count == 0) return;
  const auto y = state.y_.columns(0, n), f = state.f_.columns(0, n), y_bar = state.y_bar_.columns(0, n);
  for (Index j = 0; j < n; ++j) {
    for (Index i = 0; i < d; ++i) y_bar(i, j) = -weight[j] * state.along_(i, j);
  }
  spheres_.reverse_curvature(y, f, weight, state.value_seed(), y_bar);
}

template <class T>
void VectorField<T>::reverse(FieldState<T>& state, std::span<const T> weight, MatrixView<T> x_bar,
                             std::span<T> gradient, MatrixView<T> v_bar) const {
  const Index n = state.passes_.samples(), count = spheres_.count();
  if (count == 0) {
    if (!weight.empty()) seed_divergence(state, weight, gradient);
    return state.passes_.reverse(x_bar, gradient, v_bar);
  }
  const auto y = state.y_.columns(0, n), f = state.f_.columns(0, n), radius = state.radius_.columns(0, n);
  const auto y_bar = state.y_bar_.columns(0, n), rest = state.x_bar_.columns(0, n);
  const Index pairs = n * (state.k_ > 0 ? state.k_ : !weight.empty() && state.passes_.has_trace() ? count : 0);
  const auto direction_bar = state.direction_bar_.columns(0, pairs);
  const auto given = state.given_.columns(0, state.k_ * n);
  const auto given_bar = v_bar.empty() ? state.v_bar_.columns(0, state.k_ * n) : v_bar;
  spheres_.reverse_project(y, radius, f, state.value_seed(), rest);
  if (x_bar.empty()) return state.passes_.reverse({}, gradient, {});
  std::fill_n(y_bar.data(), y_bar.size(), T(0));
  if (!weight.empty()) seed_divergence(state, weight, gradient);
  if (state.k_ > 0) {
    spheres_.reverse_tangents(y, radius, f, given, state.image_.columns(0, pairs), state.tangent_seed(state.k_),
                              given_bar, state.value_seed(), y_bar, rest);
  }
  state.passes_.reverse(x_bar, gradient, direction_bar);
  if (state.k_ > 0) {
    spheres_.reverse_tangent_directions(y, radius, given, direction_bar, given_bar, y_bar, rest);
  } else if (pairs > 0) {
    spheres_.add_gathered(direction_bar, y_bar);
  }
  for (const Sphere& sphere : spheres_.groups()) {
    for (Index j = 0; j < n; ++j) {
      for (const Index i : sphere) {
        y_bar(i, j) += x_bar(i, j);
        x_bar(i, j) = rest(i, j);
      }
    }
  }
  spheres_.add_reverse_directions(y, radius, y_bar, x_bar);
}

template class VectorField<float>;
template class VectorField<double>;
template class FieldState<float>;
template class FieldState<double>;

}  // namespace pushforward::ode
