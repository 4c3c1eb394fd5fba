#include <pushforward/flow/element_maps.hpp>

#include <algorithm>

namespace pushforward::flow {

namespace {

ScalarMapOptions on_the_circle(ScalarMapOptions options, Index angle) {
  require<OptionError>(options.kind == "spline" || options.kind == "additive",
                       "map = '{}' of value {}, which is an angle: takes 'spline' or 'additive'", options.kind, angle);
  options.kind = options.kind == "spline" ? "circular_spline" : "rotation";
  return options;
}

template <class U>
MatrixView<U> row_of(MatrixView<U> a, Index row) {
  return a.block(row, 0, 1, a.cols());
}

}  // namespace

template <class T>
ElementMaps<T>::ElementMaps(const ScalarMapOptions& options, const std::vector<Element>& elements,
                            const std::vector<Index>& angles) {
  for (const Element& element : elements) {
    const bool is_angle = std::binary_search(angles.begin(), angles.end(), element.row);
    auto& map = is_angle ? circle_ : line_;
    if (map == nullptr) map = make_scalar_map<T>(is_angle ? on_the_circle(options, element.row) : options);
    m_ = std::max(m_, map->parameters());
    elements_.push_back({element, map.get()});
  }
}

template <class T>
void ElementMaps<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                             std::span<double> log_det) const {
  for (const auto& mapped : elements_) {
    const Index row = mapped.element.row;
    mapped.map->forward(part(mapped, theta), row_of(x, row), row_of(z, row), log_det);
  }
}

template <class T>
void ElementMaps<T>::inverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  at(k).map->inverse(part(at(k), theta), z, x, log_det);
}

template <class T>
void ElementMaps<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  for (Index k = 0; k < size(); ++k) {
    const Index row = at(k).element.row;
    inverse(k, theta, row_of(z, row), row_of(x, row), log_det);
  }
}

template <class T>
void ElementMaps<T>::reverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  at(k).map->reverse(part(at(k), theta), x, z_bar, weight, x_bar, part(at(k), theta_bar));
}

template <class T>
void ElementMaps<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  for (Index i = 0; i < theta_bar.cols(); ++i) std::fill_n(theta_bar.column(i), theta_bar.rows(), T(0));
  for (Index k = 0; k < size(); ++k) {
    const Index row = at(k).element.row;
    reverse(k, theta, row_of(x, row), row_of(z_bar, row), weight, row_of(x_bar, row), theta_bar);
  }
}

template class ElementMaps<float>;
template class ElementMaps<double>;

}  // namespace pushforward::flow
