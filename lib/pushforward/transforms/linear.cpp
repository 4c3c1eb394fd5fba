#include <pushforward/linalg/samples.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/pixels.hpp>

#include <cmath>

namespace pushforward::flow {

namespace {

template <class T>
struct LinearState final : TransformState<T> {
  // The part for m columns, at most as many as were planned.
  LinearScratch<T> of(Index m) const {
    const auto count = static_cast<std::size_t>(m);
    const auto part = [&](std::span<T> values) { return values.empty() ? values : values.first(count); };
    return {memory.columns.empty() ? memory.columns : memory.columns.columns(0, m), memory.square, part(memory.along),
            part(memory.across), memory.direction};
  }

  LinearScratch<T> memory;
};

}  // namespace

template <class T>
Linear<T>::Linear(nn::ParameterLayout& layout, const std::string& name, const Shape& shape,
                  const LinearOptions& options, std::uint64_t seed, std::uint64_t key)
    : shape_(shape), form_(make_linear_form<T>(layout, name, shape.channels, options, seed, key)) {
  if (!options.bias) return;
  bias_offset_ = nn::add_vector(layout, name + "/bias", shape.channels);
  bias_.assign(shape.channels, T(0));
}

template <class T>
void Linear<T>::initialize(std::span<T> parameters) const {
  form_->initialize(parameters);
  std::ranges::fill(nn::part_of(parameters, bias_offset_, std::ssize(bias_)), T(0));
}

template <class T>
void Linear<T>::prepare(std::span<const T> parameters, Normalization) {
  form_->prepare(parameters);
  std::ranges::copy(nn::part_of(parameters, bias_offset_, std::ssize(bias_)), bias_.begin());
}

template <class T>
std::unique_ptr<TransformState<T>> Linear<T>::plan(linalg::Workspace&, linalg::Workspace& scratch, Index n,
                                                   Pass) const {
  auto state = std::make_unique<LinearState<T>>();
  state->memory = form_->plan(scratch, shape_.pixels() * n);
  return state;
}

template <class T>
void Linear<T>::mark(std::span<Status> status) const {
  if (!form_->regular()) std::ranges::replace(status, Status::ok, Status::not_finite);
}

template <class T>
void Linear<T>::forward(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> latents,
                        std::span<double> log_det, std::span<Status> status) const {
  const auto z = pixels_of<T>(shape_, latents);
  form_->multiply(static_cast<LinearState<T>&>(state).of(z.cols()), pixels_of<const T>(shape_, batch.x), z);
  for (Index j = 0; !bias_.empty() && j < z.cols(); ++j) {
    for (Index i = 0; i < z.rows(); ++i) z(i, j) += bias_[i];
  }
  for (double& value : log_det) value += this->log_det();
  mark(status);
}

template <class T>
void Linear<T>::reverse(TransformState<T>& state, ConstMatrixView<T> samples, ConstMatrixView<T> latent_bar,
                        std::span<const T> weight, MatrixView<T> sample_bar, std::span<T> gradient) const {
  auto& s = static_cast<LinearState<T>&>(state);
  const auto z_bar = pixels_of<const T>(shape_, latent_bar);
  const T log_det_bar = total_weight(weight, latent_bar.cols()) * static_cast<T>(shape_.pixels());
  form_->reverse(s.of(z_bar.cols()), pixels_of<const T>(shape_, samples), z_bar, log_det_bar,
                 pixels_of<T>(shape_, sample_bar), gradient);
  if (gradient.empty()) return;
  T* const bias_gradient = gradient.data() + bias_offset_;
  for (Index j = 0; !bias_.empty() && j < z_bar.cols(); ++j) {
    for (Index i = 0; i < z_bar.rows(); ++i) bias_gradient[i] += z_bar(i, j);
  }
}

template <class T>
void Linear<T>::inverse(TransformState<T>& state, const Batch<T>& batch, MatrixView<T> samples,
                        std::span<double> log_det, std::span<Status> status, const InverseOptions&) const {
  auto& s = static_cast<LinearState<T>&>(state);
  copy_samples<T>(batch.x, samples);
  const auto x = pixels_of<T>(shape_, samples);
  for (Index j = 0; !bias_.empty() && j < x.cols(); ++j) {
    for (Index i = 0; i < x.rows(); ++i) x(i, j) -= bias_[i];
  }
  form_->solve(s.of(x.cols()), x);
  for (double& value : log_det) value -= this->log_det();
  mark(status);
}

template <class T>
void Linear<T>::solve_transposed(TransformState<T>& state, ConstMatrixView<T>, ConstMatrixView<T> b,
                                 MatrixView<T> lambda) const {
  const auto solution = pixels_of<T>(shape_, lambda);
  form_->solve_transposed(static_cast<LinearState<T>&>(state).of(solution.cols()), pixels_of<const T>(shape_, b),
                          solution);
}

template class Linear<float>;
template class Linear<double>;

}  // namespace pushforward::flow
