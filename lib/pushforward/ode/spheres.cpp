#include <pushforward/linalg/samples.hpp>
#include <pushforward/ode/spheres.hpp>

namespace pushforward::ode {

namespace {

// a·b over the columns of a sphere.
template <class T>
double dot(const Sphere& sphere, const T* a, const T* b) {
  double sum = 0;
  for (const Index i : sphere) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

template <class T>
double norm(const Sphere& sphere, const T* a) {
  return std::sqrt(dot(sphere, a, a));
}

// f(sphere, number of the sphere, sample) for each sphere of each of n samples.
template <class F>
void for_each_sphere(const std::vector<Sphere>& groups, Index n, F&& f) {
  for (Index j = 0; j < n; ++j) {
    for (Index k = 0; k < std::ssize(groups); ++k) f(groups[k], k, j);
  }
}

// f(sphere, number of the sphere, sample, column) for each sphere and each direction of n samples, whose k directions
// are adjacent columns.
template <class F>
void for_each_direction(const std::vector<Sphere>& groups, Index n, Index columns, F&& f) {
  const Index k = n > 0 ? columns / n : 0;
  for (Index at = 0; at < columns; ++at) {
    for (Index g = 0; g < std::ssize(groups); ++g) f(groups[g], g, at / k, at);
  }
}

double dimension_of(const Sphere& sphere) {
  return static_cast<double>(sphere.size()) - 1;
}

}  // namespace

template <class T>
void Spheres<T>::directions(ConstMatrixView<T> x, MatrixView<T> y, MatrixView<T> radius) const {
  copy_samples<T>(x, y);
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index k, Index j) {
    const double r = norm(sphere, x.column(j));
    radius(k, j) = static_cast<T>(r);
    for (const Index i : sphere) y(i, j) = static_cast<T>(static_cast<double>(x(i, j)) / r);
  });
}

template <class T>
void Spheres<T>::project(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, MatrixView<T> v) const {
  if (v.data() != f.data()) copy_samples<T>(f, v);
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index k, Index j) {
    const T along = static_cast<T>(dot(sphere, y.column(j), f.column(j)));
    for (const Index i : sphere) v(i, j) = radius(k, j) * (f(i, j) - y(i, j) * along);
  });
}

template <class T>
void Spheres<T>::reverse_project(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f,
                                 MatrixView<T> bar, MatrixView<T> x_bar) const {
  std::fill_n(x_bar.data(), x_bar.size(), T(0));
  // The gradient with respect to y has a part along y, which a change of x/|x| cannot have. The rest, divided by r, and
  // y times the gradient with respect to r make x̄.
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index k, Index j) {
    const double a = dot(sphere, y.column(j), f.column(j)), b = dot(sphere, y.column(j), bar.column(j));
    const double r_bar = dot(sphere, bar.column(j), f.column(j)) - a * b;
    for (const Index i : sphere) {
      const auto direction = static_cast<double>(y(i, j));
      const double tangent_bar = static_cast<double>(bar(i, j)) - b * direction;
      const double tangent = static_cast<double>(f(i, j)) - a * direction;
      x_bar(i, j) = static_cast<T>(r_bar * direction - a * tangent_bar - b * tangent);
      bar(i, j) = static_cast<T>(static_cast<double>(radius(k, j)) * tangent_bar);
    }
  });
}

template <class T>
void Spheres<T>::add_reverse_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> y_bar,
                                        MatrixView<T> x_bar) const {
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index k, Index j) {
    const T along = static_cast<T>(dot(sphere, y.column(j), y_bar.column(j)));
    for (const Index i : sphere) x_bar(i, j) += (y_bar(i, j) - y(i, j) * along) / radius(k, j);
  });
}

template <class T>
void Spheres<T>::spread(ConstMatrixView<T> y, MatrixView<T> v) const {
  std::fill_n(v.data(), v.size(), T(0));
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index k, Index j) {
    for (const Index i : sphere) v(i, j * count() + k) = y(i, j);
  });
}

template <class T>
void Spheres<T>::add_gathered(ConstMatrixView<T> v, MatrixView<T> sum) const {
  for_each_sphere(groups_, sum.cols(), [&](const Sphere& sphere, Index k, Index j) {
    for (const Index i : sphere) sum(i, j) += v(i, j * count() + k);
  });
}

template <class T>
void Spheres<T>::add_curvature(ConstMatrixView<T> y, ConstMatrixView<T> f, ConstMatrixView<T> jy,
                               std::span<double> values) const {
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index, Index j) {
    values[j] -= dot(sphere, y.column(j), jy.column(j)) + dimension_of(sphere) * dot(sphere, y.column(j), f.column(j));
  });
}

template <class T>
void Spheres<T>::reverse_curvature(ConstMatrixView<T> y, ConstMatrixView<T> f, std::span<const T> weight,
                                   MatrixView<T> f_bar, MatrixView<T> y_bar) const {
  for_each_sphere(groups_, y.cols(), [&](const Sphere& sphere, Index, Index j) {
    const T factor = weight[j] * static_cast<T>(dimension_of(sphere));
    for (const Index i : sphere) {
      f_bar(i, j) -= factor * y(i, j);
      y_bar(i, j) -= factor * f(i, j);
    }
  });
}

template <class T>
void Spheres<T>::tangent_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> v,
                                    MatrixView<T> w) const {
  std::copy_n(v.data(), v.size(), w.data());
  for_each_direction(groups_, y.cols(), v.cols(), [&](const Sphere& sphere, Index g, Index j, Index at) {
    const double p = dot(sphere, y.column(j), v.column(at));
    for (const Index i : sphere) w(i, at) = (v(i, at) - static_cast<T>(p) * y(i, j)) / radius(g, j);
  });
}

template <class T>
void Spheres<T>::tangents(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f, ConstMatrixView<T> v,
                          ConstMatrixView<T> image, MatrixView<T> jv) const {
  if (jv.data() != image.data()) std::copy_n(image.data(), image.size(), jv.data());
  for_each_direction(groups_, y.cols(), v.cols(), [&](const Sphere& sphere, Index g, Index j, Index at) {
    const auto *const yj = y.column(j), *const fj = f.column(j);
    const double r = static_cast<double>(radius(g, j)), a = dot(sphere, yj, fj);
    const double p = dot(sphere, yj, v.column(at)), along = dot(sphere, yj, image.column(at));
    const double turned = dot(sphere, fj, v.column(at)) - p * a;  // W·f
    for (const Index i : sphere) {
      const auto direction = static_cast<double>(yj[i]);
      const double w = static_cast<double>(v(i, at)) - p * direction;
      jv(i, at) = static_cast<T>(r * (static_cast<double>(image(i, at)) - along * direction) +
                                 p * (static_cast<double>(fj[i]) - a * direction) - a * w - turned * direction);
    }
  });
}

template <class T>
void Spheres<T>::reverse_tangents(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> f,
                                  ConstMatrixView<T> v, ConstMatrixView<T> image, MatrixView<T> bar,
                                  MatrixView<T> v_bar, MatrixView<T> f_bar, MatrixView<T> y_bar,
                                  MatrixView<T> x_bar) const {
  std::fill_n(v_bar.data(), v_bar.size(), T(0));
  for_each_direction(groups_, y.cols(), v.cols(), [&](const Sphere& sphere, Index g, Index j, Index at) {
    const auto *const yj = y.column(j), *const fj = f.column(j);
    const double r = static_cast<double>(radius(g, j)), a = dot(sphere, yj, fj);
    const double p = dot(sphere, yj, v.column(at)), along = dot(sphere, yj, image.column(at));
    const double turned = dot(sphere, fj, v.column(at)) - p * a;
    const double b = dot(sphere, yj, bar.column(at));  // y·T̄
    const double of_image = dot(sphere, bar.column(at), image.column(at));
    const double of_direction = dot(sphere, bar.column(at), v.column(at)) - p * b;  // T̄·W
    const double a_bar = -p * b - of_direction, r_bar = of_image - along * b;
    // W̄ = −a T̄ − f b, and W = V − py.
    const double w_bar_along = -a * b - a * b;
    const double p_bar = dot(sphere, bar.column(at), fj) - a * b - w_bar_along;
    for (const Index i : sphere) {
      const auto direction = static_cast<double>(yj[i]), fi = static_cast<double>(fj[i]);
      const auto ti = static_cast<double>(bar(i, at)), vi = static_cast<double>(v(i, at));
      const double w = vi - p * direction, w_bar = -a * ti - b * fi;
      f_bar(i, j) += static_cast<T>(p * ti - b * w + a_bar * direction);
      y_bar(i, j) += static_cast<T>(-r * (along * ti + b * static_cast<double>(image(i, at))) - p * a * ti -
                                    turned * ti + a_bar * fi - p * w_bar + p_bar * vi);
      x_bar(i, j) += static_cast<T>(r_bar * direction);
      v_bar(i, at) = static_cast<T>(w_bar + p_bar * direction);
      bar(i, at) = static_cast<T>(r * (ti - b * direction));
    }
  });
}

template <class T>
void Spheres<T>::reverse_tangent_directions(ConstMatrixView<T> y, ConstMatrixView<T> radius, ConstMatrixView<T> v,
                                            ConstMatrixView<T> w_bar, MatrixView<T> v_bar, MatrixView<T> y_bar,
                                            MatrixView<T> x_bar) const {
  std::vector<bool> is_of_sphere(static_cast<std::size_t>(v.rows()));
  for (const Index i : columns_of(groups_)) is_of_sphere[i] = true;
  for (Index at = 0; at < v.cols(); ++at) {
    for (Index i = 0; i < v.rows(); ++i) {
      if (!is_of_sphere[i]) v_bar(i, at) = w_bar(i, at);
    }
  }
  for_each_direction(groups_, y.cols(), v.cols(), [&](const Sphere& sphere, Index g, Index j, Index at) {
    const double r = static_cast<double>(radius(g, j));
    const double p = dot(sphere, y.column(j), v.column(at)), b = dot(sphere, y.column(j), w_bar.column(at)) / r;
    const double r_bar = -(dot(sphere, w_bar.column(at), v.column(at)) - p * b * r) / (r * r);
    for (const Index i : sphere) {
      const auto direction = static_cast<double>(y(i, j));
      const double bar = static_cast<double>(w_bar(i, at)) / r;
      v_bar(i, at) += static_cast<T>(bar - b * direction);
      y_bar(i, j) -= static_cast<T>(p * bar + b * static_cast<double>(v(i, at)));
      x_bar(i, j) += static_cast<T>(r_bar * direction);
    }
  });
}

template <class T>
void Spheres<T>::keep_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, MatrixView<T> z) const {
  if (z.data() != q.data()) copy_samples<T>(q, z);
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index, Index j) {
    const double factor = norm(sphere, x.column(j)) / norm(sphere, q.column(j));
    for (const Index i : sphere) z(i, j) = static_cast<T>(factor * static_cast<double>(q(i, j)));
  });
}

template <class T>
void Spheres<T>::add_log_det_of_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, std::span<double> log_det) const {
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index, Index j) {
    const double growth = norm(sphere, q.column(j)) / norm(sphere, x.column(j));
    log_det[j] -= static_cast<double>(sphere.size()) * std::log(growth);
  });
}

// With n = q/|q| and g = |q|/|x|, J = (1 − nnᵀ)Q/g + nyᵀ and Qy = gn. So the part of b across n goes through Q, and
// what comes out gets the part along n in the direction of y.
template <class T>
void Spheres<T>::solve(ConstMatrixView<T> x, ConstMatrixView<T> q, const std::function<void(MatrixView<T>)>& solve_flat,
                       MatrixView<T> b) const {
  Matrix<double> along(count(), b.cols());
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index g, Index j) {
    const double size = norm(sphere, q.column(j)), growth = size / norm(sphere, x.column(j));
    along(g, j) = dot(sphere, q.column(j), b.column(j)) / size;
    for (const Index i : sphere) {
      const double across = static_cast<double>(b(i, j)) - along(g, j) * static_cast<double>(q(i, j)) / size;
      b(i, j) = static_cast<T>(growth * across);
    }
  });
  solve_flat(b);
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index g, Index j) {
    const double r = norm(sphere, x.column(j));
    const double missing = along(g, j) - dot(sphere, x.column(j), b.column(j)) / r;
    for (const Index i : sphere) b(i, j) += static_cast<T>(missing * static_cast<double>(x(i, j)) / r);
  });
}

template <class T>
void Spheres<T>::reverse_keep_radii(ConstMatrixView<T> x, ConstMatrixView<T> q, std::span<const T> weight,
                                    MatrixView<T> bar, MatrixView<T> growth) const {
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index g, Index j) {
    const double size = norm(sphere, q.column(j)), r = norm(sphere, x.column(j)), factor = r / size;
    const double along = dot(sphere, q.column(j), bar.column(j)) / size;
    const double of_log = weight.empty() ? 0 : static_cast<double>(weight[j]) * static_cast<double>(sphere.size());
    growth(g, j) = static_cast<T>(along + of_log / r);
    for (const Index i : sphere) {
      const double direction = static_cast<double>(q(i, j)) / size;
      bar(i, j) =
          static_cast<T>(factor * (static_cast<double>(bar(i, j)) - along * direction) - of_log / size * direction);
    }
  });
}

template <class T>
void Spheres<T>::add_growth(ConstMatrixView<T> x, ConstMatrixView<T> growth, MatrixView<T> x_bar) const {
  for_each_sphere(groups_, x.cols(), [&](const Sphere& sphere, Index k, Index j) {
    const double factor = static_cast<double>(growth(k, j)) / norm(sphere, x.column(j));
    for (const Index i : sphere) x_bar(i, j) += static_cast<T>(factor * static_cast<double>(x(i, j)));
  });
}

template class Spheres<float>;
template class Spheres<double>;

}  // namespace pushforward::ode
