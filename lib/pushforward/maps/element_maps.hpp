#pragma once

// Scalar maps (scalar_map.hpp) for some values of a sample, with parameters from the output of a network. Coupling and
// autoregressive transforms share this code. An angle takes the map of the circle that belongs to the kind.
//
// Every value has the same number m of network outputs, so that their places need no table. m is the largest number of
// parameters of any map. If there are angles and other values, a spline of the others leaves the last 2 of its m
// outputs unused.

#include <pushforward/maps/scalar_map.hpp>

namespace pushforward::flow {

/// theta: (M × n), what the network gives; the parameters of a value with place p are rows p·m, p·m + 1, …
template <class T>
class ElementMaps {
 public:
  struct Element {
    Index row;    ///< of a sample
    Index place;  ///< among the network's outputs
  };

  /// In the order in which x and z have them. angles: rows that are angles, of mapped and other values. Throws
  /// OptionError where a map cannot be had.
  ElementMaps(const ScalarMapOptions& options, const std::vector<Element>& elements, const std::vector<Index>& angles);

  /// m.
  Index parameters() const { return m_; }
  Index size() const { return std::ssize(elements_); }

  /// theta: contiguous. x: (e × n) in, the elements' values. z: (e × n) out, may be x. log_det: (n), added to.
  void forward(ConstMatrixView<T> theta, ConstMatrixView<T> x, MatrixView<T> z, std::span<double> log_det) const;
  void inverse(ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x, std::span<double> log_det) const;
  /// As ScalarMap::reverse(). theta, theta_bar: contiguous, (M × n); all of theta_bar is written.
  void reverse(ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, std::span<const T> weight,
               MatrixView<T> x_bar, MatrixView<T> theta_bar) const;

  /// The same of the k-th element alone, (1 × n); theta_bar is written in its place only.
  void inverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> z, MatrixView<T> x,
               std::span<double> log_det) const;
  void reverse(Index k, ConstMatrixView<T> theta, ConstMatrixView<T> x, ConstMatrixView<T> z_bar,
               std::span<const T> weight, MatrixView<T> x_bar, MatrixView<T> theta_bar) const;

 private:
  struct Mapped {
    Element element;
    const ScalarMap<T>* map;
  };

  const Mapped& at(Index k) const { return elements_[k]; }
  // The parameters of an element, in a matrix as large as theta.
  template <class U>
  MatrixView<U> part(const Mapped& mapped, MatrixView<U> theta) const {
    return theta.block(mapped.element.place * m_, 0, mapped.map->parameters(), theta.cols());
  }
  // Whether all elements go through one map together, the network's outputs being their parameters in order.
  bool together(ConstMatrixView<T> theta) const { return in_order_ && theta.rows() == m_ * size(); }
  // The parameters of all elements, one after the other: (m × e·n).
  template <class U>
  MatrixView<U> by_element(MatrixView<U> theta) const;

  std::unique_ptr<ScalarMap<T>> line_, circle_;  // each where a value takes it
  std::vector<Mapped> elements_;
  Index m_ = 0;
  bool in_order_ = true;  // one map, and element k has place k
};

extern template class ElementMaps<float>;
extern template class ElementMaps<double>;

}  // namespace pushforward::flow
