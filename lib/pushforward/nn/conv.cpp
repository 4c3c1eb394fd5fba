#include <pushforward/linalg/blas.hpp>
#include <pushforward/linalg/lapack.hpp>
#include <pushforward/nn/conv.hpp>
#include <pushforward/nn/parameters.hpp>

#include <cmath>
#include <numbers>

namespace pushforward::nn {

namespace {

using linalg::gemm;
using linalg::Op;

// The norm of a map with at most so many matrix elements comes from an SVD, which takes about 10 ms.
constexpr Index largest_svd = 256 * 256;

// Bytes of patches that are made at a time, but at least those of one image. The rate is the same from 64 KB to 1 MB,
// and up to a third lower if the patches do not fit into a core's cache.
constexpr Index patch_bytes = 512 * 1024;

// Walks over the patches of one image, row by row of each patch. For a run of values inside the image it calls
// f(patch, image, count) with the two offsets. For a run of zeros outside the image it calls outside(patch, count).
template <class F, class Z>
void for_each_run(const ConvSize& size, F&& f, Z&& outside) {
  const Shape out = size.output();
  const Index channels = size.image.channels, width = size.image.width, row = size.kernel_width * channels;
  Index patch = 0;
  for (Index p = 0; p < out.height; ++p) {
    for (Index q = 0; q < out.width; ++q) {
      const Index left = q - size.pad_width;
      const Index first = std::clamp<Index>(-left, 0, size.kernel_width);
      const Index last = std::clamp<Index>(width - left, first, size.kernel_width);
      for (Index r = 0; r < size.kernel_height; ++r, patch += row) {
        const Index y = p + r - size.pad_height;
        if (y < 0 || y >= size.image.height || first == last) {
          outside(patch, row);
          continue;
        }
        outside(patch, first * channels);
        f(patch + first * channels, (y * width + left + first) * channels, (last - first) * channels);
        outside(patch + last * channels, row - last * channels);
      }
    }
  }
}

// Writes the patches of an image: (k_h k_w C_in × pixels of the output).
template <class T>
void im2col(const ConvSize& size, const T* image, T* patches) {
  for_each_run(
      size,
      [=](Index patch, Index from, Index count) {
        for (Index i = 0; i < count; ++i) patches[patch + i] = image[from + i];
      },
      [=](Index patch, Index count) {
        for (Index i = 0; i < count; ++i) patches[patch + i] = 0;
      });
}

// The transpose of that map: adds patches to an image.
template <class T>
void col2im(const ConvSize& size, const T* patches, T* image) {
  std::fill_n(image, size.image.size(), T(0));
  for_each_run(
      size,
      [=](Index patch, Index to, Index count) {
        for (Index i = 0; i < count; ++i) image[to + i] += patches[patch + i];
      },
      [](Index, Index) {});
}

LayerSize layer_size(const std::string& name, const ConvSize& size) {
  const Shape out = size.output();
  require<ShapeError>(size.kernel_height >= 1 && size.kernel_width >= 1 && size.pad_height >= 0 && size.pad_width >= 0,
                      "convolutional layer {}: a kernel of {} × {} must have at least 1, a padding of {} × {} at least "
                      "0",
                      name, size.kernel_height, size.kernel_width, size.pad_height, size.pad_width);
  require<ShapeError>(size.image.height >= 1 && size.image.width >= 1 && out.height >= 1 && out.width >= 1,
                      "convolutional layer {}: a kernel of {} × {} does not fit images of {} × {} with padding {} × {}",
                      name, size.kernel_height, size.kernel_width, size.image.height, size.image.width, size.pad_height,
                      size.pad_width);
  return {.in = size.image.size(), .out = out.size(), .rows = size.channels, .cols = size.patch()};
}

}  // namespace

template <class T>
ConvLayer<T>::ConvLayer(ParameterLayout& layout, const std::string& name, const ConvSize& size, T bound,
                        random::Stream start)
    : Layer<T>(layout, "convolutional", name, layer_size(name, size), bound),
      size_(size),
      power_(size.output().size(), size.image.size(), start),
      scratch_(static_cast<std::size_t>(size.patch() * size.output().pixels())),
      transfer_(2 * size.channels, 2 * size.image.channels),
      transfer_power_(2 * size.channels, 2 * size.image.channels, start),
      norm_gradient_(size.channels, size.patch()) {}

// Number of columns whose patches are made at a time.
template <class T>
Index ConvLayer<T>::columns_at_a_time() const {
  const Index bytes = size_.patch() * size_.output().pixels() * static_cast<Index>(sizeof(T));
  return std::max<Index>(1, patch_bytes / bytes);
}

template <class T>
Index ConvLayer<T>::scratch() const {
  return has_patches() ? columns_at_a_time() * size_.patch() * size_.output().pixels() : 0;
}

// Calls f(first column, patches) for chunks of columns of x. If the other factor of the product is not contiguous, a
// chunk is a single column.
template <class T>
template <class F>
void ConvLayer<T>::for_each_chunk(ConstMatrixView<T> x, bool together, std::span<T> scratch, F&& f) const {
  const Index patch = size_.patch(), pixels = size_.output().pixels();
  const Index step = together && (has_patches() || x.contiguous()) ? columns_at_a_time() : 1;
  for (Index j = 0; j < x.cols(); j += step) {
    const Index count = std::min(step, x.cols() - j);
    if (!has_patches()) {
      f(j, ConstMatrixView<T>(x.column(j), patch, pixels * count));
      continue;
    }
    const MatrixView<T> patches(scratch.data(), patch, pixels * count);
    for (Index i = 0; i < count; ++i) im2col(size_, x.column(j + i), patches.column(i * pixels));
    f(j, ConstMatrixView<T>(patches));
  }
}

template <class T>
void ConvLayer<T>::apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T> scratch) const {
  for_each_chunk(x, y.contiguous(), scratch, [&](Index j, ConstMatrixView<T> patches) {
    const MatrixView<T> to(y.column(j), size_.channels, patches.cols());
    gemm(Op::none, Op::none, T(1), this->effective(), patches, T(0), to);
  });
}

template <class T>
void ConvLayer<T>::apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T> scratch) const {
  const Index pixels = size_.output().pixels();
  const bool together = y.contiguous() && (has_patches() || x.contiguous());
  const Index step = together ? columns_at_a_time() : 1;
  for (Index j = 0; j < x.cols(); j += step) {
    const Index count = std::min(step, x.cols() - j);
    const MatrixView<T> patches(has_patches() ? scratch.data() : x.column(j), size_.patch(), pixels * count);
    const ConstMatrixView<T> from(y.column(j), size_.channels, pixels * count);
    gemm(Op::transpose, Op::none, T(1), this->effective(), from, T(0), patches);
    for (Index i = 0; has_patches() && i < count; ++i) col2im<T>(size_, patches.column(i * pixels), x.column(j + i));
  }
}

template <class T>
void ConvLayer<T>::add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                                       std::span<T> scratch) const {
  add_products(bar, x, this->weight_in(gradient), scratch);
}

// w_bar ← w_bar + Σ bar (patch)ᵀ over pixels and columns.
template <class T>
void ConvLayer<T>::add_products(ConstMatrixView<T> bar, ConstMatrixView<T> x, MatrixView<T> w_bar,
                                std::span<T> scratch) const {
  for_each_chunk(x, bar.contiguous(), scratch, [&](Index j, ConstMatrixView<T> patches) {
    const ConstMatrixView<T> mine(bar.column(j), size_.channels, patches.cols());
    gemm(Op::none, Op::transpose, T(1), mine, patches, T(1), w_bar);
  });
}

template <class T>
double ConvLayer<T>::flops(Index columns) const {
  return linalg::gemm_flops(size_.channels, columns * size_.output().pixels(), size_.patch());
}

// The columns of the map's matrix consist of columns of W and zeros. Calls f(first row, column, column of W) for each
// such (C_out × 1) piece.
template <class T>
template <class F>
void ConvLayer<T>::for_each_entry(F&& f) const {
  const Index patch = size_.patch();
  for_each_run(
      size_,
      [&](Index at, Index column, Index count) {
        for (Index i = 0; i < count; ++i) f((at + i) / patch * size_.channels, column + i, (at + i) % patch);
      },
      [](Index, Index) {});
}

template <class T>
void ConvLayer<T>::to_matrix(MatrixView<T> matrix) const {
  for (Index j = 0; j < matrix.cols(); ++j) std::fill_n(matrix.column(j), matrix.rows(), T(0));
  for_each_entry([&](Index row, Index column, Index of_weight) {
    std::copy_n(this->effective().column(of_weight), size_.channels, &matrix(row, column));
  });
}

template <class T>
void ConvLayer<T>::add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const {
  const auto w_bar = this->weight_in(gradient);
  for_each_entry([&](Index row, Index column, Index of_weight) {
    T* const to = w_bar.column(of_weight);
    const T* const from = &bar(row, column);
    for (Index i = 0; i < size_.channels; ++i) to[i] += from[i];
  });
}

template <class T>
T ConvLayer<T>::iterate(T tolerance, int max_iterations) {
  return power_.update(
      [this](std::span<const T> x, std::span<T> y) {
        apply({x.data(), this->in(), 1}, {y.data(), this->out(), 1}, scratch_);
      },
      [this](std::span<const T> y, std::span<T> x) {
        apply_transpose({y.data(), this->out(), 1}, {x.data(), this->in(), 1}, scratch_);
      },
      tolerance, max_iterations);
}

template <class T>
T ConvLayer<T>::measure_norm(Normalization normalization) {
  if (normalization == Normalization::power_iteration) return iterate(training_tolerance<T>, most_power_iterations);
  if (by_frequency()) return circular_norm();
  Matrix<T> map(this->out(), this->in());
  to_matrix(map);
  return linalg::singular_values(ConstMatrixView<T>(map)).front();
}

template <class T>
void ConvLayer<T>::add_state(StateSet& state, const std::string& name) {
  power_.add_state(state, name);
  transfer_power_.add_state(state, name + "/transfer");
  state.add(name + "/vertical", largest_.vertical);
  state.add(name + "/horizontal", largest_.horizontal);
}

// Returns true if the certificate comes from the circular convolution.
template <class T>
bool ConvLayer<T>::by_frequency() const {
  const bool pointwise = size_.kernel_height == 1 && size_.kernel_width == 1;
  return pointwise || this->in() * this->out() > largest_svd;
}

// Calls f(first column of W, cos, sin) for each place (r, s) of the kernel, with cosine and sine of θr + ψs.
template <class T>
template <class F>
void ConvLayer<T>::for_each_phase(const Frequency& at, F&& f) const {
  for (Index r = 0; r < size_.kernel_height; ++r) {
    for (Index s = 0; s < size_.kernel_width; ++s) {
      const double angle = at.vertical * static_cast<double>(r) + at.horizontal * static_cast<double>(s);
      f((r * size_.kernel_width + s) * size_.image.channels, static_cast<T>(std::cos(angle)),
        static_cast<T>(std::sin(angle)));
    }
  }
}

// [R −S; S R] of A(θ, ψ).
template <class T>
void ConvLayer<T>::make_transfer(const Frequency& at) {
  const Index rows = size_.channels, cols = size_.image.channels;
  transfer_.fill(0);
  for_each_phase(at, [&](Index column, T cosine, T sine) {
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i) {
        transfer_(i, j) += cosine * this->effective()(i, column + j);
        transfer_(rows + i, j) += sine * this->effective()(i, column + j);
      }
    }
  });
  for (Index j = 0; j < cols; ++j) {
    for (Index i = 0; i < rows; ++i) {
      transfer_(i, cols + j) = -transfer_(rows + i, j);
      transfer_(rows + i, cols + j) = transfer_(i, j);
    }
  }
}

template <class T>
T ConvLayer<T>::circular_norm() {
  const auto points = [](Index pixels, Index kernel) { return kernel == 1 ? 1 : pixels + kernel - 1; };
  const Index rows = points(size_.image.height, size_.kernel_height);
  const Index cols = points(size_.image.width, size_.kernel_width);
  const auto angle = [](Index i, Index n) {
    return 2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(n);
  };
  T largest = -1;
  // W is real: A(−θ, −ψ) is the conjugate of A(θ, ψ).
  for (Index l = 0; l <= cols / 2; ++l) {
    for (Index j = 0; j < rows; ++j) {
      const Frequency at{.vertical = angle(j, rows), .horizontal = angle(l, cols)};
      make_transfer(at);
      const T norm = linalg::singular_values(ConstMatrixView<T>(transfer_)).front();
      if (norm > largest) {
        largest = norm;
        largest_ = at;
      }
    }
  }
  return largest;
}

template <class T>
void ConvLayer<T>::prepare_norm_gradient(Normalization normalization) {
  norm_gradient_.fill(0);
  const bool certificate = normalization != Normalization::power_iteration;
  if (certificate && by_frequency()) return add_circular_norm_gradient();
  if (certificate) iterate(no_change<T>, 10 * most_power_iterations);
  add_products({power_.left().data(), this->out(), 1}, {power_.right().data(), this->in(), 1}, norm_gradient_,
               scratch_);
}

template <class T>
void ConvLayer<T>::add_circular_norm_gradient() {
  make_transfer(largest_);
  transfer_power_.update(ConstMatrixView<T>(transfer_), no_change<T>, 10 * most_power_iterations);
  const Index rows = size_.channels, cols = size_.image.channels;
  const T* const u = transfer_power_.left().data();
  const T* const v = transfer_power_.right().data();
  for_each_phase(largest_, [&](Index column, T cosine, T sine) {
    for (Index j = 0; j < cols; ++j) {
      for (Index i = 0; i < rows; ++i) {
        norm_gradient_(i, column + j) +=
            cosine * (u[i] * v[j] + u[rows + i] * v[cols + j]) + sine * (u[rows + i] * v[j] - u[i] * v[cols + j]);
      }
    }
  });
}

template <class T>
void ConvLayer<T>::add_norm_gradient(T factor, MatrixView<T> w_bar) const {
  for (Index i = 0; i < w_bar.size(); ++i) w_bar.data()[i] += factor * norm_gradient_.data()[i];
}

template class ConvLayer<float>;
template class ConvLayer<double>;

}  // namespace pushforward::nn
