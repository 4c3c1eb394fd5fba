#include <pushforward/nn/angle_features.hpp>

#include <cmath>

namespace pushforward::nn {

template <class T>
AngleFeatures<T>::AngleFeatures(Index d, std::vector<Index> angles) : angles_(std::move(angles)) {
  for (Index i = 0; i < d; ++i) {
    if (!std::binary_search(angles_.begin(), angles_.end(), i)) others_.push_back(i);
  }
}

template <class T>
std::vector<Index> AngleFeatures<T>::sources() const {
  auto rows = others_;
  for (const Index i : angles_) rows.insert(rows.end(), 2, i);
  return rows;
}

template <class T>
void AngleFeatures<T>::evaluate(ConstMatrixView<T> x, MatrixView<T> f) const {
  for (Index j = 0; j < x.cols(); ++j) {
    for (std::size_t r = 0; r < others_.size(); ++r) f(static_cast<Index>(r), j) = x(others_[r], j);
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      f(cosine(a), j) = std::cos(x(angles_[a], j));
      f(cosine(a) + 1, j) = std::sin(x(angles_[a], j));
    }
  }
}

template <class T>
void AngleFeatures<T>::tangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, MatrixView<T> t) const {
  for (Index j = 0; j < v.cols(); ++j) {
    const Index i = j / k;
    for (std::size_t r = 0; r < others_.size(); ++r) t(static_cast<Index>(r), j) = v(others_[r], j);
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      const Index c = cosine(a), s = c + 1;
      t(c, j) = -f(s, i) * v(angles_[a], j);
      t(s, j) = f(c, i) * v(angles_[a], j);
    }
  }
}

template <class T>
void AngleFeatures<T>::cotangent(ConstMatrixView<T> f, Index k, ConstMatrixView<T> t, MatrixView<T> v) const {
  for (Index j = 0; j < t.cols(); ++j) {
    const Index i = j / k;
    for (std::size_t r = 0; r < others_.size(); ++r) v(others_[r], j) = t(static_cast<Index>(r), j);
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      const Index c = cosine(a), s = c + 1;
      v(angles_[a], j) = -f(s, i) * t(c, j) + f(c, i) * t(s, j);
    }
  }
}

template <class T>
void AngleFeatures<T>::add_curvature(ConstMatrixView<T> f, Index k, ConstMatrixView<T> v, ConstMatrixView<T> t_bar,
                                     MatrixView<T> x_bar) const {
  for (Index j = 0; j < v.cols(); ++j) {
    const Index i = j / k;
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      const Index c = cosine(a), s = c + 1;
      x_bar(angles_[a], i) -= v(angles_[a], j) * (f(c, i) * t_bar(c, j) + f(s, i) * t_bar(s, j));
    }
  }
}

template <class T>
void AngleFeatures<T>::product(ConstMatrixView<T> f, ConstMatrixView<T> w, MatrixView<T> t) const {
  const Index d = std::ssize(others_) + std::ssize(angles_), rows = w.rows();
  for (Index i = 0; i < f.cols(); ++i) {
    for (std::size_t r = 0; r < others_.size(); ++r) {
      std::copy_n(w.column(static_cast<Index>(r)), rows, t.column(i * d + others_[r]));
    }
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      const Index c = cosine(a), s = c + 1;
      const T cosine_of = f(c, i), sine_of = f(s, i);
      const T* const w_c = w.column(c);
      const T* const w_s = w.column(s);
      T* const to = t.column(i * d + angles_[a]);
      for (Index m = 0; m < rows; ++m) to[m] = cosine_of * w_s[m] - sine_of * w_c[m];
    }
  }
}

template <class T>
void AngleFeatures<T>::add_product_reverse(ConstMatrixView<T> f, ConstMatrixView<T> w, ConstMatrixView<T> t_bar,
                                           MatrixView<T> w_bar, MatrixView<T> x_bar) const {
  const Index d = std::ssize(others_) + std::ssize(angles_), rows = w.rows();
  const bool parameters = !w_bar.empty();
  for (Index i = 0; i < f.cols(); ++i) {
    for (std::size_t r = 0; parameters && r < others_.size(); ++r) {
      const T* const bar = t_bar.column(i * d + others_[r]);
      T* const sum = w_bar.column(static_cast<Index>(r));
#pragma GCC ivdep
      for (Index m = 0; m < rows; ++m) sum[m] += bar[m];
    }
    for (std::size_t a = 0; a < angles_.size(); ++a) {
      const Index c = cosine(a), s = c + 1;
      const T cosine_of = f(c, i), sine_of = f(s, i);
      const T* const bar = t_bar.column(i * d + angles_[a]);
      T along_cosine = 0, along_sine = 0;
      for (Index m = 0; parameters && m < rows; ++m) {
        w_bar(m, c) -= sine_of * bar[m];
        w_bar(m, s) += cosine_of * bar[m];
      }
      for (Index m = 0; m < rows; ++m) {
        along_cosine += w(m, c) * bar[m];
        along_sine += w(m, s) * bar[m];
      }
      x_bar(angles_[a], i) -= cosine_of * along_cosine + sine_of * along_sine;
    }
  }
}

template class AngleFeatures<float>;
template class AngleFeatures<double>;

}  // namespace pushforward::nn
