#pragma once

// What the kit of invariants (invariants.hpp) asks of a map, and how a Transform and a whole Flow answer.

#include <pushforward/flow/flow.hpp>

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

/// An invertible map of ℝᵈ with parameters. `chunk`: samples that are worked at a time.
template <class T>
class Subject {
 public:
  struct Image {
    Matrix<T> value;              // (d × n)
    std::vector<double> log_det;  // of the direction that was taken
    std::vector<flow::Status> status;
  };
  /// Of Σᵢ wᵢ (log p₀(zᵢ) + log_detᵢ).
  struct Gradient {
    std::vector<T> parameters;
    Matrix<T> x;  // (d × n), or empty where the subject does not offer it
  };

  virtual ~Subject() = default;
  virtual Index dimension() const = 0;
  virtual const nn::ParameterLayout& layout() const = 0;
  /// Takes parameters; power iteration is run until it no longer moves, which gradients need.
  virtual void set(std::span<const T> parameters, nn::Normalization normalization) = 0;
  /// What samples are conditioned on from now on: (c × n), or (c × 1) for all of them alike.
  virtual void condition(const Matrix<T>& /*context*/) {}
  virtual Image forward(const Matrix<T>& x, Index chunk) = 0;
  virtual Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) = 0;
  /// log p₀(z), of which gradients are.
  virtual double base_log_prob(std::span<const T> z) const { return normal_log_density<T>(z); }
  /// weight: (n), or empty.
  virtual Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) = 0;

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
    for (int i = 0; i < this->repeats(normalization); ++i) transform_->prepare(parameters, normalization);
  }

  void condition(const Matrix<T>& context) override { context_ = context; }

  Image forward(const Matrix<T>& x, Index chunk) override {
    Image image = this->blank(d_, x.cols());
    in_chunks(x, chunk, nn::Pass::evaluate, [&](flow::TransformState<T>& state, Index first, Index count) {
      const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
      transform_->forward(state, x.view().columns(first, count), image.value.view().columns(first, count),
                          std::span(image.log_det).subspan(at, size), std::span(image.status).subspan(at, size));
    });
    return image;
  }

  Image inverse(const Matrix<T>& z, const flow::InverseOptions& options, Index chunk) override {
    Image image = this->blank(d_, z.cols());
    in_chunks(z, chunk, nn::Pass::evaluate, [&](flow::TransformState<T>& state, Index first, Index count) {
      const auto at = static_cast<std::size_t>(first), size = static_cast<std::size_t>(count);
      transform_->inverse(state, z.view().columns(first, count), image.value.view().columns(first, count),
                          std::span(image.log_det).subspan(at, size), std::span(image.status).subspan(at, size),
                          options);
    });
    return image;
  }

  Gradient gradient(const Matrix<T>& x, std::span<const T> weight, Index chunk) override {
    Gradient gradient{std::vector<T>(layout_.size()), Matrix<T>(d_, x.cols())};
    in_chunks(x, chunk, nn::Pass::gradient, [&](flow::TransformState<T>& state, Index first, Index count) {
      const auto part = x.view().columns(first, count);
      const auto w = weight.empty() ? weight : weight.subspan(std::size_t(first), std::size_t(count));
      Image image = this->blank(d_, count);
      transform_->forward(state, part, image.value, image.log_det, image.status);
      for (Index j = 0; j < count; ++j) {
        for (Index i = 0; i < d_; ++i) image.value(i, j) *= w.empty() ? T(-1) : -w[j];
      }
      transform_->reverse(state, image.value, w, gradient.x.view().columns(first, count), gradient.parameters);
    });
    transform_->gradient_of_raw_parameters(gradient.parameters);
    return gradient;
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
      state->context = context;
      f(*state, first, count);
    }
  }

  Index d_;
  nn::ParameterLayout layout_;
  std::unique_ptr<flow::Transform<T>> transform_;
  Matrix<T> context_;
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

 private:
  Matrix<T> context(Index n) const {
    return matrix_of<T>(context_.rows(), n,
                        [&](Index i, Index j) { return context_(i, context_.cols() == 1 ? 0 : j); });
  }

  flow::Flow<T> flow_;
  Matrix<T> context_;
};

}  // namespace pushforward::test
