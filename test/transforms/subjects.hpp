#pragma once

// The interface through which the kit of invariants (invariants.hpp) asks a map, with the answers of a Transform and of
// a whole Flow.

#include <pushforward/flow/flow.hpp>
#include <pushforward/transforms/inverse.hpp>

#include "../linalg/fixtures.hpp"

#include <functional>
#include <memory>
#include <numbers>

namespace pushforward::test {

/// log N(x; 0, I), nats.
template <class T>
double normal_log_density(std::span<const T> x) {
  double square = 0;
  for (const T value : x) square += static_cast<double>(value) * static_cast<double>(value);
  return -0.5 * (square + static_cast<double>(x.size()) * std::log(2 * std::numbers::pi));
}

/// The interface Trained of a transform that may have no parameters. Without parameters, these do nothing.
template <class T>
void initialize(const flow::Transform<T>& transform, std::span<T> parameters) {
  const auto* const trained = dynamic_cast<const flow::Trained<T>*>(&transform);
  if (trained != nullptr) trained->initialize(parameters);
}
template <class T>
void prepare(flow::Transform<T>& transform, std::span<const T> parameters, nn::Normalization normalization) {
  auto* const trained = dynamic_cast<flow::Trained<T>*>(&transform);
  if (trained != nullptr) trained->prepare(parameters, normalization);
}
template <class T>
void gradient_of_raw_parameters(const flow::Transform<T>& transform, std::span<T> gradient) {
  const auto* const trained = dynamic_cast<const flow::Trained<T>*>(&transform);
  if (trained != nullptr) trained->gradient_of_raw_parameters(gradient);
}

/// An invertible map of ℝᵈ with parameters. `chunk`: samples that are worked at a time.
template <class T>
class Subject {
 public:
  struct Image {
    Matrix<T> value;              // (d × n)
    std::vector<double> log_det;  // of the direction that was taken
    std::vector<flow::Status> status;
  };
  /// The gradient of Σᵢ wᵢ (log p₀(zᵢ) + log_detᵢ).
  struct Gradient {
    std::vector<T> parameters;
    Matrix<T> x;  // (d × n), or empty where the subject does not offer it
  };

  virtual ~Subject() = default;
  virtual Index dimension() const = 0;
  virtual const nn::ParameterLayout& layout() const = 0;
  /// Takes parameters; power iteration is run until it no longer moves, which gradients need.
  virtual void set(std::span<const T> parameters, nn::Normalization normalization) = 0;
  /// Sets the context of samples from now on: (c × n), or (c × 1) if all samples have the same.
  virtual void condition(const Matrix<T>& /*context*/) {}
  virtual Image forward(const Matrix<T>& x, Index chunk) = 0;
  virtual Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) = 0;
  /// log p₀(z), of which gradients are.
  virtual double base_log_prob(std::span<const T> z) const { return normal_log_density<T>(z); }
  /// weight: (n), or empty.
  virtual Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) = 0;
  /// Solves Jᵀλ = b at x. after: first a reverse pass is taken, which must not matter. (d × n); empty where the subject
  /// does not offer it.
  virtual Matrix<T> solve_transposed(const Matrix<T>& /*x*/, const Matrix<T>& /*b*/, bool /*after*/) { return {}; }
  /// Jᵀ z̄ at x, by a reverse pass without a gradient of parameters.
  virtual Matrix<T> cotangent(const Matrix<T>& /*x*/, const Matrix<T>& /*z_bar*/) { return {}; }

 protected:
  static Image blank(Index d, Index n) {
    const auto size = static_cast<std::size_t>(n);
    return {Matrix<T>(d, n), std::vector<double>(size), std::vector<flow::Status>(size)};
  }
  static int repeats(nn::Normalization normalization) {
    return normalization == nn::Normalization::power_iteration ? 1000 : 1;
  }
};

/// One transform, with the workspace that a flow would give it.
template <class T>
class TransformSubject final : public Subject<T> {
 public:
  using typename Subject<T>::Image;
  using typename Subject<T>::Gradient;
  using Make = std::function<std::unique_ptr<flow::Transform<T>>(nn::ParameterLayout&)>;

  TransformSubject(Index d, const Make& make) : d_(d), transform_(make(layout_)) {}

  Index dimension() const override { return d_; }
  const nn::ParameterLayout& layout() const override { return layout_; }

  void set(std::span<const T> parameters, nn::Normalization normalization) override {
    for (int i = 0; i < this->repeats(normalization); ++i) prepare<T>(*transform_, parameters, normalization);
  }

  void condition(const Matrix<T>& context) override { context_ = context; }

  Image forward(const Matrix<T>& x, Index chunk) override {
    Image image = this->blank(d_, x.cols());
    in_chunks(x, chunk, nn::Pass::evaluate, [&](auto& state, const flow::Batch<T>& batch, Index first, Index count) {
      const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
      transform_->forward(state, batch, image.value.view().columns(first, count),
                          std::span(image.log_det).subspan(at, size), std::span(image.status).subspan(at, size));
    });
    return image;
  }

  Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) override {
    Image image = this->blank(d_, z.cols());
    in_chunks(z, chunk, nn::Pass::evaluate, [&](auto& state, const flow::Batch<T>& batch, Index first, Index count) {
      const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
      transform_->inverse(state, batch, image.value.view().columns(first, count),
                          std::span(image.log_det).subspan(at, size), std::span(image.status).subspan(at, size),
                          options);
    });
    return image;
  }

  Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) override {
    Gradient gradient{std::vector<T>(layout_.size()), Matrix<T>(d_, x.cols())};
    in_chunks(x, chunk, nn::Pass::gradient, [&](auto& state, const flow::Batch<T>& batch, Index first, Index count) {
      const auto w = weight.empty() ? weight : weight.subspan(std::size_t(first), std::size_t(count));
      Image image = this->blank(d_, count);
      transform_->forward(state, batch, image.value, image.log_det, image.status);
      for (Index j = 0; j < count; ++j) {
        for (Index i = 0; i < d_; ++i) image.value(i, j) *= w.empty() ? T(-1) : -w[j];
      }
      transform_->reverse(state, batch.x, image.value, w, gradient.x.view().columns(first, count), gradient.parameters);
    });
    gradient_of_raw_parameters<T>(*transform_, gradient.parameters);
    return gradient;
  }

  Matrix<T> solve_transposed(const Matrix<T>& x, const Matrix<T>& b, bool after) override {
    Matrix<T> lambda(b);
    in_chunks(x, x.cols(), nn::Pass::gradient, [&](auto& state, const flow::Batch<T>& batch, Index, Index) {
      Image image = this->blank(d_, x.cols());
      std::vector<T> gradient(layout_.size()), weight(image.log_det.size(), T(3));
      transform_->forward(state, batch, image.value, image.log_det, image.status);
      if (after) transform_->reverse(state, batch.x, b, weight, lambda, gradient);
      transform_->solve_transposed(state, batch.x, b, lambda);
    });
    return lambda;
  }

  Matrix<T> cotangent(const Matrix<T>& x, const Matrix<T>& z_bar) override {
    Matrix<T> x_bar(z_bar);
    in_chunks(x, x.cols(), nn::Pass::gradient, [&](auto& state, const flow::Batch<T>& batch, Index, Index) {
      Image image = this->blank(d_, x.cols());
      const std::vector<T> no_weight(image.log_det.size());
      transform_->forward(state, batch, image.value, image.log_det, image.status);
      transform_->reverse(state, batch.x, z_bar, no_weight, x_bar, {});
    });
    return x_bar;
  }

 private:
  template <class F>
  void in_chunks(const Matrix<T>& x, Index chunk, nn::Pass pass, F&& f) {
    linalg::Workspace counted_kept, counted_scratch;
    transform_->plan(counted_kept, counted_scratch, chunk, pass);
    linalg::Workspace kept(counted_kept.peak()), scratch(counted_scratch.peak());
    const auto state = transform_->plan(kept, scratch, chunk, pass);
    for (Index first = 0; first < x.cols(); first += chunk) {
      const Index count = std::min(chunk, x.cols() - first);
      const auto context = matrix_of<T>(
          context_.rows(), count, [&](Index i, Index j) { return context_(i, context_.cols() == 1 ? 0 : first + j); });
      f(*state, flow::Batch<T>{.x = x.view().columns(first, count), .context = context}, first, count);
    }
  }

  Index d_;
  nn::ParameterLayout layout_;
  std::unique_ptr<flow::Transform<T>> transform_;
  Matrix<T> context_;
};

/// The gradient of a flow through its inverse, of Σᵢ x̄ᵢ·xᵢ + Σᵢ wᵢ log p(xᵢ) at x = f⁻¹(z).
template <class T>
struct InverseGradient {
  std::vector<T> parameters;
  Matrix<T> z;  // (d × n)
};

/// A whole flow; its log-det is its log-density less that of the base.
template <class T>
class FlowSubject final : public Subject<T> {
 public:
  using typename Subject<T>::Image;
  using typename Subject<T>::Gradient;

  FlowSubject(Index d, const flow::FlowOptions& options) : flow_(d, options, 1) {}
  explicit FlowSubject(const flow::Architecture& architecture) : flow_(architecture, 1) {}

  Index dimension() const override { return flow_.dimension(); }
  const nn::ParameterLayout& layout() const override { return flow_.layout(); }

  void set(std::span<const T> parameters, nn::Normalization normalization) override {
    std::copy(parameters.begin(), parameters.end(), flow_.parameters().begin());
    for (int i = 0; i < this->repeats(normalization); ++i) flow_.prepare(normalization);
  }

  void condition(const Matrix<T>& context) override { context_ = context; }

  double base_log_prob(std::span<const T> z) const override {
    double log_prob = 0;
    flow_.base().log_prob({z.data(), dimension(), 1}, std::span(&log_prob, 1));
    return log_prob;
  }

  Image forward(const Matrix<T>& x, Index chunk) override {
    Image image = this->blank(dimension(), x.cols());
    flow::FlowWorkspace<T> workspace(flow_, chunk, nn::Pass::evaluate);
    flow_.log_prob({.x = x, .context = context(x.cols())}, image.log_det, image.value, image.status, workspace);
    for (Index j = 0; j < x.cols(); ++j) {
      image.log_det[std::size_t(j)] -= base_log_prob(std::as_const(image.value).view().column_span(j));
    }
    return image;
  }

  Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) override {
    Image image = this->blank(dimension(), z.cols());
    flow::FlowWorkspace<T> workspace(flow_, chunk, nn::Pass::evaluate);
    flow_.inverse(z, image.value, image.log_det, image.status, options, workspace, context(z.cols()));
    for (Index j = 0; j < z.cols(); ++j) {
      auto& log_det = image.log_det[j];
      log_det = base_log_prob(z.view().column_span(j)) - log_det;
    }
    return image;
  }

  Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) override {
    Gradient gradient{std::vector<T>(layout().size()), {}};
    Image image = this->blank(dimension(), x.cols());
    flow::FlowWorkspace<T> workspace(flow_, chunk, nn::Pass::gradient);
    flow_.add_gradient({.x = x, .context = context(x.cols()), .weight = weight}, gradient.parameters, image.log_det,
                       image.status, workspace);
    flow_.gradient_of_raw_parameters(gradient.parameters);
    return gradient;
  }

  /// weight: (n), or empty. x: (d × n), found by inverse().
  InverseGradient<T> inverse_gradient(const Matrix<T>& x, const Matrix<T>& x_bar, std::span<const T> weight,
                                      Index chunk) {
    InverseGradient<T> gradient{std::vector<T>(layout().size()), Matrix<T>(dimension(), x.cols())};
    Image image = this->blank(dimension(), x.cols());
    flow::FlowWorkspace<T> workspace(flow_, chunk, nn::Pass::gradient);
    const Matrix<T> given = context(x.cols());
    flow_.add_inverse_gradient({.x = x, .context = given, .weight = weight}, x_bar, gradient.parameters, gradient.z,
                               image.log_det, image.status, workspace);
    flow_.gradient_of_raw_parameters(gradient.parameters);
    return gradient;
  }

 private:
  Matrix<T> context(Index n) const {
    return matrix_of<T>(context_.rows(), n,
                        [&](Index i, Index j) { return context_(i, context_.cols() == 1 ? 0 : j); });
  }

  flow::Flow<T> flow_;
  Matrix<T> context_;
};

}  // namespace pushforward::test
