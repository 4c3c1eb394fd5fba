#pragma once

// A convolutional layer: 2-D cross-correlation of images with stride 1 and zero padding,
//
//   y(p, q, o) = Σ_{r, s, c} W(o; r, s, c) x(p + r − p_h, q + s − p_w, c) + b(o),
//
// x zero outside its H × W pixels. Images have their channels last (base/shape.hpp). The map is one product of W, as a
// (C_out × k_h k_w C_in) matrix, with the patches of x that outputs see (im2col); its transpose and the gradient with
// respect to W are products with the same.
//
// Its norm is that of the whole map with this padding and image size. While training it comes from power iteration on
// the map, whose vectors u, v give G = ∂(uᵀŴv)/∂W, the weight gradient of the pair (u, v). As a certificate it comes
// from above:
//   - by SVD of the map as a matrix, where that is small;
//   - else from a circular convolution on N_h × N_w pixels, N_h = H + k_h − 1, N_w = W + k_w − 1 [Sedghi et al. 2019].
//
// Put x into a corner of these pixels and zeros around it. A patch that begins at one of the rows −(k_h − 1) … H − 1,
// which are N_h and distinct modulo N_h, sees the same values as without wrapping around, since what wraps is zero; so
// along columns. All outputs of the padded convolution are therefore outputs of the circular one, or zeros where the
// padding is beyond k − 1: its matrix is a block of the other's, and its norm no larger. The circular one is block
// diagonal after a unitary Fourier transform, with blocks A(θ, ψ) = Σ_{r, s} exp(i(θr + ψs)) W(·; r, s, ·) at the
// frequencies θ = 2πj/N_h, ψ = 2πl/N_w: its norm is the largest of theirs. A complex A = R + iS has the singular values
// of the real [R −S; S R], where each comes twice. Along an axis where the kernel has size 1 there is nothing that
// depends on the frequency: for 1 × 1 kernels the certificate is exact. With unit vectors (u₁ u₂), (v₁ v₂) of that
// matrix where it is largest, σ = u₁ᵀRv₁ − u₁ᵀSv₂ + u₂ᵀSv₁ + u₂ᵀRv₂, and so
//     G(·; r, s, ·) = cos(θr + ψs)·(u₁v₁ᵀ + u₂v₂ᵀ) + sin(θr + ψs)·(u₂v₁ᵀ − u₁v₂ᵀ).

#include <pushforward/core/shape.hpp>
#include <pushforward/nn/layer.hpp>
#include <pushforward/nn/parameters.hpp>

namespace pushforward::nn {

/// Sizes of a convolution.
struct ConvSize {
  Shape image;     ///< of x
  Index channels;  ///< of y
  Index kernel_height, kernel_width;
  Index pad_height = 0, pad_width = 0;  ///< rows and columns of zeros on either side of x

  /// (H + 2p_h − k_h + 1) × (W + 2p_w − k_w + 1) pixels.
  Shape output() const {
    return {image.height + 2 * pad_height - kernel_height + 1, image.width + 2 * pad_width - kernel_width + 1,
            channels};
  }
  /// Values that an output sees.
  Index patch() const { return kernel_height * kernel_width * image.channels; }
};

template <class T>
class ConvLayer final : public Layer<T> {
 public:
  /// Adds `<name>/weight` (C_out × k_h k_w C_in), rows of the kernel slowest and input channels fastest, and
  /// `<name>/bias` (C_out) to the layout. bound: c > 0, or infinity for a layer whose norm is free. start: the stream
  /// of the power iterations' first vectors. Throws ShapeError where nothing is left of an image.
  ConvLayer(ParameterLayout& layout, const std::string& name, const ConvSize& size, T bound, random::Stream start);

  const ConvSize& size() const { return size_; }

  Index scratch() const override;
  void apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T> scratch) const override;
  void apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T> scratch) const override;
  void add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                           std::span<T> scratch) const override;
  double flops(Index columns) const override;
  void to_matrix(MatrixView<T> matrix) const override;
  void add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const override;

  /// The norm of the circular convolution: a bound from above for the map as it is, whatever its size.
  T circular_norm();

 private:
  // Where A(θ, ψ) is largest.
  struct Frequency {
    double vertical = 0, horizontal = 0;
  };

  Index fan_in(Index) const override { return size_.patch(); }
  T measure_norm(Normalization normalization) override;
  void prepare_norm_gradient(Normalization normalization) override;
  void add_norm_gradient(T factor, MatrixView<T> w_bar) const override;

  T iterate(T tolerance, int max_iterations);
  bool by_frequency() const;
  void make_transfer(const Frequency& at);
  void add_circular_norm_gradient();
  // Where a 1 × 1 kernel sees nothing but the image, that is its own patches.
  bool has_patches() const {
    return size_.kernel_height > 1 || size_.kernel_width > 1 || size_.pad_height > 0 || size_.pad_width > 0;
  }
  Index columns_at_a_time() const;
  void add_products(ConstMatrixView<T> bar, ConstMatrixView<T> x, MatrixView<T> w_bar, std::span<T> scratch) const;
  template <class F>
  void for_each_chunk(ConstMatrixView<T> x, bool together, std::span<T> scratch, F&& f) const;
  template <class F>
  void for_each_entry(F&& f) const;
  template <class F>
  void for_each_phase(const Frequency& at, F&& f) const;

  ConvSize size_;
  PowerIteration<T> power_;
  std::vector<T> scratch_;  // of power iterations
  Frequency largest_;
  Matrix<T> transfer_;  // [R −S; S R]
  PowerIteration<T> transfer_power_;
  Matrix<T> norm_gradient_;  // G
};

extern template class ConvLayer<float>;
extern template class ConvLayer<double>;

}  // namespace pushforward::nn
