#include <pushforward/maps/element_maps.hpp>

#include <algorithm>

namespace pushforward::flow {

namespace {

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
    if (map == nullptr) map = is_angle ? make_circle_map<T>(options, element.row) : make_scalar_map<T>(options);
    m_ = std::max(m_, map->parameters());
    in_order_ = in_order_ && element.place == size() && (elements_.empty() || elements_.front().map == map.get());
    elements_.push_back({element, map.get()});
  }
}

template <class T>
template <class U>
MatrixView<U> ElementMaps<T>::by_element(MatrixView<U> theta) const {
  require<BugError>(theta.contiguous(), "parameters ({} × {}) with leading dimension {}: must be contiguous",
                    theta.rows(), theta.cols(), theta.ld());
  return {theta.data(), m_, size() * theta.cols()};
}

template <class T>
void ElementMaps<T>::forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z,
                             std::span<double> log_det) const {
  if (together(theta)) return at(0).map->forward(by_element(theta), x, z, log_det);
  for (Index k = 0; k < size(); ++k) at(k).map->forward(part(at(k), theta), row_of(x, k), row_of(z, k), log_det);
}

template <class T>
void ElementMaps<T>::inverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  at(k).map->inverse(part(at(k), theta), z, x, log_det);
}

template <class T>
void ElementMaps<T>::inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
                             std::span<double> log_det) const {
  if (together(theta)) return at(0).map->inverse(by_element(theta), z, x, log_det);
  for (Index k = 0; k < size(); ++k) inverse(k, theta, row_of(z, k), row_of(x, k), log_det);
}

template <class T>
void ElementMaps<T>::reverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  at(k).map->reverse(part(at(k), theta), x, z_bar, weight, x_bar, part(at(k), theta_bar));
}

template <class T>
void ElementMaps<T>::reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
                             std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const {
  if (together(theta)) {
    return at(0).map->reverse(by_element(theta), x, z_bar, weight, x_bar, by_element(theta_bar));
  }
  std::fill_n(theta_bar.data(), theta_bar.size(), T(0));
  for (Index k = 0; k < size(); ++k) {
    reverse(k, theta, row_of(x, k), row_of(z_bar, k), weight, row_of(x_bar, k), theta_bar);
  }
}

template class ElementMaps<float>;
template class ElementMaps<double>;

}  // namespace pushforward::flow
