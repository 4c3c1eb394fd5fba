#pragma once

// The kit of invariants: what every invertible map of this library must satisfy, run on any Subject (subjects.hpp).
// Each check gives a verdict. Broken<T> makes of a subject one that is wrong in one way, which the checks must refuse.

#include "../nn/taylor.hpp"
#include "subjects.hpp"

#include <string>

namespace pushforward::test {

/// How closely things agree: values relative to 1 + the largest, log-dets in nats per √d.
template <class T>
struct Closeness;
template <>
struct Closeness<double> {
  static constexpr double value = 1e-8, log_det = 1e-8, same = 1e-11;
};
template <>
struct Closeness<float> {
  static constexpr double value = 5e-3, log_det = 2e-3, same = 2e-4;
};

/// A map under test: in T, and in double with the same parameters; samples and weights.
template <class T>
struct Case {
  using Make = std::function<std::unique_ptr<Subject<T>>()>;
  using MakeExact = std::function<std::unique_ptr<Subject<double>>()>;

  Case(const Make& make, const MakeExact& make_exact, Index n, double parameter_scale = 0.5)
      : subject(make()),
        exact(make_exact()),
        parameters(random_vector<double>(subject->layout().size(), 61, parameter_scale)),
        x(random_matrix<T>(subject->dimension(), n, 62)),
        z(x),
        weight(static_cast<std::size_t>(n)) {
    for (std::size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<T>(0.75 * static_cast<double>(i));
    for (const auto& block : subject->layout().blocks()) {
      if (block.name.ends_with("weight") || block.name.ends_with("/lu")) lean_to_identity(block);
    }
    prepare(nn::Normalization::svd);
  }

  void prepare(nn::Normalization normalization) {
    subject->set(std::vector<T>(parameters.begin(), parameters.end()), normalization);
    exact->set(parameters, nn::Normalization::svd);
  }

  /// Conditions both on c values per sample.
  void condition(Index c) {
    context = random_matrix<T>(c, x.cols(), 63);
    subject->condition(context);
    exact->condition(matrix_of<double>(c, x.cols(), [&](Index i, Index j) { return context(i, j); }));
  }

  std::unique_ptr<Subject<T>> subject;
  std::unique_ptr<Subject<double>> exact;
  std::vector<double> parameters;
  Matrix<T> x, z;  // what goes in, and, of the inverse, what it starts from
  Matrix<T> context;
  std::vector<T> weight;
  std::vector<Index> angles_of_x{}, angles_of_z{};  // values that are compared modulo 2π
  double step = 1;  ///< of differences, relative to the usual one; smaller for maps whose second derivatives jump

 private:
  // Products of such weights have a trace, so that log-dets are not near 0.
  void lean_to_identity(const nn::ParameterBlock& block) {
    const Index least = std::min(block.rows, block.cols);
    const double scale = 1 / std::sqrt(static_cast<double>(std::max(block.rows, block.cols)));
    for (Index j = 0; j < block.cols; ++j) {
      for (Index i = 0; i < block.rows; ++i) {
        double& w = parameters[block.offset + i + j * block.rows];
        w = static_cast<float>(scale * w + (i % least == j % least ? 1 : 0));
      }
    }
  }
};

namespace kit {

inline Verdict failed(const std::string& what, const Verdict& why) {
  const auto reason = why.message();
  Verdict verdict(false);
  verdict.message() << what << ": " << reason;
  return verdict;
}

inline Verdict all_ok(std::span<const flow::Status> status) {
  for (std::size_t i = 0; i < status.size(); ++i) {
    if (status[i] == flow::Status::ok) continue;
    Verdict verdict(false);
    verdict.message() << "sample " << i << " has status " << int(status[i]);
    return verdict;
  }
  return Verdict(true);
}

template <class T>
double size_of(const Matrix<T>& a) {
  double largest = 0;
  for (const T value : a.span()) largest = std::max(largest, std::abs(static_cast<double>(value)));
  return 1 + largest;
}

template <class T>
Verdict close_values(const Matrix<T>& actual, const Matrix<T>& expected, double tolerance) {
  return close_absolute(actual.view(), expected.view(), tolerance * size_of(expected));
}

/// Compares samples. Their rows `angles` are compared modulo 2π.
template <class T>
Verdict close_samples(const Matrix<T>& actual, const Matrix<T>& expected, std::span<const Index> angles) {
  Matrix<T> nearest(actual);
  for (const Index i : angles) {
    for (Index j = 0; j < actual.cols(); ++j) {
      const double gap = static_cast<double>(actual(i, j)) - static_cast<double>(expected(i, j));
      nearest(i, j) = static_cast<T>(static_cast<double>(expected(i, j)) + std::remainder(gap, 2 * std::numbers::pi));
    }
  }
  return close_values(nearest, expected, Closeness<T>::value);
}

template <class T>
Verdict close_log_dets(std::span<const double> actual, std::span<const double> expected, Index d) {
  return close_absolute(actual, expected, Closeness<T>::log_det * std::sqrt(static_cast<double>(d)));
}

template <class T>
Matrix<double> in_double(const Matrix<T>& a) {
  return matrix_of<double>(a.rows(), a.cols(), [&](Index i, Index j) { return a(i, j); });
}

}  // namespace kit

/// The log-dets are not near 0, where mistakes hide.
template <class T>
Verdict changes_volume(Case<T>& c) {
  double largest = 0;
  for (const double value : c.exact->forward(kit::in_double(c.x), c.x.cols()).log_det) {
    largest = std::max(largest, std::abs(value));
  }
  return largest > 0.05 ? Verdict(true) : kit::failed(fmt::format("largest log-det {}", largest), Verdict(false));
}

/// f⁻¹(f(x)) = x and f(f⁻¹(z)) = z.
template <class T>
Verdict inverse_holds_both_ways(Case<T>& c, flow::InverseAlgorithm method) {
  const flow::InverseOptions options{.algorithm = method, .tolerance = 1e-11, .max_iterations = 10000};
  const Index n = c.x.cols();
  const auto there = c.subject->forward(c.x, n);
  const auto back = c.subject->inverse(there.value, options, n);
  const auto latent = c.subject->inverse(c.z, options, n);
  const auto again = c.subject->forward(latent.value, n);
  for (const auto* image : {&there, &back, &latent, &again}) {
    if (const auto verdict = kit::all_ok(image->status); !verdict) return verdict;
  }
  if (const auto verdict = kit::close_samples<T>(back.value, c.x, c.angles_of_x); !verdict) {
    return kit::failed("inverse of forward", verdict);
  }
  const auto verdict = kit::close_samples<T>(again.value, c.z, c.angles_of_z);
  return verdict ? verdict : kit::failed("forward of inverse", verdict);
}

/// log|det ∂z/∂x| + log|det ∂x/∂z| = 0.
template <class T>
Verdict log_dets_cancel(Case<T>& c) {
  const auto there = c.subject->forward(c.x, c.x.cols());
  auto back = c.subject->inverse(there.value, {.tolerance = 1e-11}, c.x.cols());
  for (double& value : back.log_det) value = -value;
  return kit::close_log_dets<T>(back.log_det, there.log_det, c.subject->dimension());
}

/// The dense Jacobian ∂z/∂x (d × d) of each sample, by central differences of fourth order in double.
template <class T>
std::vector<Matrix<double>> jacobians_by_differences(Case<T>& c) {
  constexpr double offsets[] = {-2, -1, 1, 2}, weights[] = {1.0 / 12, -8.0 / 12, 8.0 / 12, -1.0 / 12};
  const double h = 1e-3 * c.step;
  const Index d = c.subject->dimension();
  std::vector<Matrix<double>> jacobians;
  for (Index s = 0; s < c.x.cols(); ++s) {
    Matrix<double> points(d, 4 * d), jacobian(d, d);
    for (Index j = 0; j < 4 * d; ++j) {
      for (Index i = 0; i < d; ++i) points(i, j) = c.x(i, s);
      points(j / 4, j) += h * offsets[j % 4];
    }
    if (c.context.size() > 0) {
      c.exact->condition(matrix_of<double>(c.context.rows(), 1, [&](Index i, Index) { return c.context(i, s); }));
    }
    const auto image = c.exact->forward(points, 4 * d);
    for (Index j = 0; j < 4 * d; ++j) {
      for (Index i = 0; i < d; ++i) jacobian(i, j / 4) += weights[j % 4] / h * image.value(i, j);
    }
    jacobians.push_back(std::move(jacobian));
  }
  c.exact->condition(kit::in_double(c.context));
  return jacobians;
}

/// The log-det is that of the dense Jacobian.
template <class T>
Verdict log_det_is_that_of_the_jacobian(Case<T>& c) {
  std::vector<double> expected;
  for (const auto& jacobian : jacobians_by_differences(c)) {
    expected.push_back(linalg::reference::log_det<double>(jacobian).log_abs);
  }
  return kit::close_log_dets<T>(c.subject->forward(c.x, c.x.cols()).log_det, expected, c.subject->dimension());
}

/// Jᵀλ = b for the λ of solve_transposed(), with J by differences and with Jᵀ by reverse(), whether or not a reverse
/// pass came before. Rounding is relative to 1 + |J|ᵀ|λ|, the sizes of the terms that make b; the error of differences
/// is one of each element of J.
template <class T>
Verdict transposed_solve_undoes_the_jacobian(Case<T>& c) {
  const Index d = c.subject->dimension(), n = c.x.cols();
  const auto b = random_matrix<T>(d, n, 64);
  const auto lambda = c.subject->solve_transposed(c.x, b, false);
  const auto cotangent = c.subject->cotangent(c.x, lambda);
  const auto jacobians = jacobians_by_differences(c);
  for (Index s = 0; s < n; ++s) {
    for (Index j = 0; j < d; ++j) {
      double sum = 0, terms = 1, length = 1;
      for (Index i = 0; i < d; ++i) {
        const auto value = static_cast<double>(lambda(i, s));
        sum += jacobians[s](i, j) * value;
        terms += std::abs(jacobians[s](i, j) * value);
        length += std::abs(value);
      }
      const auto expected = static_cast<double>(b(j, s));
      const double rounding = Closeness<T>::same * terms;
      const double tolerance = rounding + Closeness<double>::value * (length + terms);
      if (const auto verdict = close_absolute(sum, expected, tolerance); !verdict) {
        return kit::failed("by differences", verdict);
      }
      if (const auto verdict = close_absolute(static_cast<double>(cotangent(j, s)), expected, rounding); !verdict) {
        return kit::failed("by a reverse pass", verdict);
      }
    }
  }
  const auto verdict = kit::close_values(c.subject->solve_transposed(c.x, b, true), lambda, Closeness<T>::same);
  return verdict ? verdict : kit::failed("after a reverse pass", verdict);
}

/// Both precisions give the same.
template <class T>
Verdict precisions_agree(Case<T>& c) {
  const auto image = c.subject->forward(c.x, c.x.cols());
  const auto exact = c.exact->forward(kit::in_double(c.x), c.x.cols());
  const auto verdict = kit::close_values(kit::in_double(image.value), exact.value, Closeness<T>::value);
  return verdict ? kit::close_log_dets<T>(image.log_det, exact.log_det, c.subject->dimension()) : verdict;
}

/// Holds the gradient with respect to each block of parameters against differences of value() at the exact subject:
/// f(name, verdict) for each. Returns the number of lines that the differences were taken along.
template <class T, class Scale, class V, class F>
std::uint64_t for_each_block(Case<T>& c, std::span<const T> gradient, const Scale& scale, V&& value, F&& f) {
  std::uint64_t line = 0;
  for (const auto& block : c.subject->layout().blocks()) {
    const auto at = static_cast<std::size_t>(block.offset), size = static_cast<std::size_t>(block.size());
    const auto moved = [&](std::span<const double> values) {
      auto parameters = c.parameters;
      std::copy(values.begin(), values.end(), parameters.begin() + block.offset);
      c.exact->set(parameters, nn::Normalization::svd);
      return value();
    };
    f(block.name, is_gradient(moved, std::span<const double>(c.parameters).subspan(at, size),
                              gradient.subspan(at, size), scale, ++line));
  }
  c.exact->set(c.parameters, nn::Normalization::svd);
  return line;
}

/// The gradient with respect to each block of parameters, and to x where it is offered: f(name, verdict) for each.
/// Values come from the exact subject. `weight` may be empty.
template <class T, class F>
void for_each_gradient(Case<T>& c, std::span<const T> weight, F&& f) {
  c.prepare(nn::Normalization::power_iteration);
  const auto gradient = c.subject->gradient(c.x, weight, c.x.cols());
  c.prepare(nn::Normalization::svd);
  const auto exact_x = kit::in_double(c.x);
  const auto objective = [&](const Matrix<double>& x) {
    const auto image = c.exact->forward(x, x.cols());
    double sum = 0;
    for (Index j = 0; j < x.cols(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      const double w = weight.empty() ? 1 : static_cast<double>(weight[at]);
      sum += w * (image.log_det[at] + c.exact->base_log_prob(image.value.view().column_span(j)));
    }
    return sum;
  };
  auto scale = taylor_scale<T>(1e-13 * static_cast<double>(1 + exact_x.size()) * std::abs(objective(exact_x)));
  scale.h *= c.step;
  std::uint64_t line = for_each_block<T>(
      c, gradient.parameters, scale, [&] { return objective(exact_x); }, f);
  if (gradient.x.size() == 0) return;
  const auto moved = [&](std::span<const double> values) {
    return objective(Matrix<double>(ConstMatrixView<double>(values.data(), c.x.rows(), c.x.cols())));
  };
  f(std::string("x"), is_gradient(moved, exact_x.span(), gradient.x.span(), scale, ++line));
}

/// The verdict over all of for_each_gradient.
template <class T>
Verdict gradient_is_the_derivative(Case<T>& c, std::span<const T> weight) {
  Verdict all(true);
  for_each_gradient<T>(c, weight, [&](const std::string& name, const Verdict& verdict) {
    if (!verdict && all) all = kit::failed(name, verdict);
  });
  return all;
}

/// ‖g − g*‖ ≤ 0.002 ‖g*‖, g in float and g* in double, for all parameters together, since single blocks of a chain may
/// cancel, and for x where its gradient is offered.
inline Verdict gradients_agree(Case<float>& c) {
  const auto actual = c.subject->gradient(c.x, c.weight, c.x.cols());
  const std::vector<double> weight(c.weight.begin(), c.weight.end());
  const auto exact = c.exact->gradient(kit::in_double(c.x), weight, c.x.cols());
  const auto agree = [](std::span<const float> values, std::span<const double> expected) {
    double error = 0, square = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      error += std::pow(static_cast<double>(values[i]) - expected[i], 2);
      square += expected[i] * expected[i];
    }
    return close_absolute(std::sqrt(error), 0, 0.002 * std::sqrt(square));
  };
  const auto verdict = agree(actual.parameters, exact.parameters);
  return verdict ? agree(actual.x.span(), exact.x.span()) : verdict;
}

/// A sample's values, log-dets and gradients do not depend on how many others are worked with it.
template <class T>
Verdict independent_of_chunks(Case<T>& c) {
  const Index n = c.x.cols(), d = c.subject->dimension();
  const auto same = Closeness<T>::same;
  const auto all = c.subject->forward(c.x, n);
  const auto back = c.subject->inverse(c.z, {}, n);
  c.prepare(nn::Normalization::power_iteration);
  const auto gradient = c.subject->gradient(c.x, c.weight, n);
  Verdict verdict(true);
  for (const Index chunk : {Index{1}, Index{3}, n + 2}) {
    const auto other = c.subject->gradient(c.x, c.weight, chunk);
    if (verdict) {
      verdict = close_relative(std::span<const T>(other.parameters), std::span<const T>(gradient.parameters), same);
    }
    if (verdict) verdict = kit::close_values(other.x, gradient.x, same);
  }
  c.prepare(nn::Normalization::svd);
  for (const Index chunk : {Index{1}, Index{3}, n + 2}) {
    const auto image = c.subject->forward(c.x, chunk), latent = c.subject->inverse(c.z, {}, chunk);
    if (verdict) verdict = kit::close_values(image.value, all.value, same);
    if (verdict) verdict = close_absolute(std::span(image.log_det), all.log_det, same * static_cast<double>(d));
    if (verdict) verdict = kit::close_values(latent.value, back.value, Closeness<T>::value);
    if (verdict) verdict = kit::close_log_dets<T>(latent.log_det, back.log_det, d);
  }
  return verdict;
}

/// A row that is not finite leaves the others as they are.
template <class T>
Verdict bad_rows_stay_alone(Case<T>& c) {
  const Index n = c.x.cols(), d = c.subject->dimension();
  const auto clean = c.subject->forward(c.x, n), clean_back = c.subject->inverse(c.z, {}, n);
  Verdict verdict(true);
  for (const T bad : {nan_of<T>, std::numeric_limits<T>::infinity()}) {
    Matrix<T> x(c.x), z(c.z);
    x(d - 1, 1) = z(d - 1, 1) = bad;
    const auto image = c.subject->forward(x, n), back = c.subject->inverse(z, {}, n);
    for (Index j = 0; j < n; ++j) {
      if (j == 1 || !verdict) continue;
      const auto at = static_cast<std::size_t>(j);
      const auto column = [j](const Matrix<T>& m) { return Matrix<T>(m.view().columns(j, 1)); };
      verdict = kit::close_values(column(image.value), column(clean.value), Closeness<T>::same);
      if (verdict) verdict = close_absolute(image.log_det[at], clean.log_det[at], Closeness<T>::same);
      if (verdict) verdict = kit::close_values(column(back.value), column(clean_back.value), Closeness<T>::value);
      if (verdict) verdict = Verdict(image.status[at] == flow::Status::ok && back.status[at] == flow::Status::ok);
    }
  }
  return verdict;
}

/// A mistake of a broken subject.
enum class Fault {
  none,
  gradient_off_by_one_percent,
  log_det_off_by_one_hundredth,
  inverse_off,           ///< by a tenth in one element
  weights_ignored,       ///< in the gradient
  depends_on_the_chunk,  ///< a little of how many samples there are enters the values
  spreads_nan,           ///< a row that is not finite changes the log-dets of the others
  solve_off_by_one_percent,
};

/// A subject that works but for one fault.
template <class T>
class Broken final : public Subject<T> {
 public:
  using typename Subject<T>::Image;
  using typename Subject<T>::Gradient;

  Broken(std::unique_ptr<Subject<T>> inner, Fault fault) : inner_(std::move(inner)), fault_(fault) {}

  Index dimension() const override { return inner_->dimension(); }
  const nn::ParameterLayout& layout() const override { return inner_->layout(); }
  void set(std::span<const T> parameters, nn::Normalization normalization) override {
    inner_->set(parameters, normalization);
  }
  void condition(const Matrix<T>& context) override { inner_->condition(context); }
  double base_log_prob(std::span<const T> z) const override { return inner_->base_log_prob(z); }

  Image forward(const Matrix<T>& x, Index chunk) override {
    Image image = inner_->forward(x, chunk);
    const bool finite = std::all_of(x.span().begin(), x.span().end(), [](T value) { return std::isfinite(value); });
    for (double& value : image.log_det) {
      if (fault_ == Fault::log_det_off_by_one_hundredth) value += 0.01 * std::sqrt(static_cast<double>(dimension()));
      if (fault_ == Fault::spreads_nan && !finite) value += 0.01;
    }
    if (fault_ == Fault::depends_on_the_chunk) image.value(0, 0) += static_cast<T>(0.01 * static_cast<double>(chunk));
    return image;
  }

  Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) override {
    Image image = inner_->inverse(z, options, chunk);
    if (fault_ == Fault::inverse_off) image.value(0, 0) += T(0.1);
    return image;
  }

  Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) override {
    Gradient gradient = inner_->gradient(x, fault_ == Fault::weights_ignored ? std::span<const T>() : weight, chunk);
    if (fault_ == Fault::gradient_off_by_one_percent) {
      for (T& value : gradient.parameters) value *= T(1.01);
      for (T& value : gradient.x.span()) value *= T(1.01);
    }
    return gradient;
  }

  Matrix<T> solve_transposed(const Matrix<T>& x, const Matrix<T>& b, bool after) override {
    Matrix<T> lambda = inner_->solve_transposed(x, b, after);
    for (T& value : lambda.span()) value *= fault_ == Fault::solve_off_by_one_percent ? T(1.01) : T(1);
    return lambda;
  }
  Matrix<T> cotangent(const Matrix<T>& x, const Matrix<T>& z_bar) override { return inner_->cotangent(x, z_bar); }

 private:
  std::unique_ptr<Subject<T>> inner_;
  Fault fault_;
};

/// All gradients of `good` hold, with and without weights, and those of `broken` do not. The twin must fail for all
/// parameters together, not for each block: it cannot fail where the gradient is 0, since 1.01 · 0 = 0.
template <class T>
void check_gradients(Case<T>& good, Case<T>& broken) {
  for (const bool weighted : {false, true}) {
    const std::span<const T> weight = weighted ? std::span<const T>(good.weight) : std::span<const T>();
    for_each_gradient(good, weight, [&](const std::string& name, const Verdict& verdict) {
      BOOST_TEST_CONTEXT(name << (weighted ? ", weighted" : "")) {
        BOOST_TEST(verdict);
      }
    });
    BOOST_TEST(!gradient_is_the_derivative(broken, weight));
  }
}

}  // namespace pushforward::test
