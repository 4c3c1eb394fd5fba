#pragma once

// A convolutional layer: 2-D cross-correlation of images with stride 1 and zero padding,
//
//   y(p, q, o) = Σ_{r, s, c} W(o; r, s, c) x(p + r − p_h, q + s − p_w, c) + b(o),
//
// where x is zero outside its H × W pixels. Images have their channels last (core/shape.hpp). The map is one product of
// W, as a (C_out × k_h k_w C_in) matrix, with the patches of x (im2col). Its transpose and the gradient with respect to
// W are products with the same matrices.
//
// The norm is that of the whole map with this padding and image size. In training it comes from a power iteration on
// the map. The vectors u, v of the iteration give G = ∂(uᵀŴv)/∂W, the weight gradient of the pair (u, v). A certificate
// must bound the norm from above. If the map is small, it comes from the SVD of the map as a matrix. Otherwise it comes
// from a circular convolution on N_h × N_w pixels, N_h = H + k_h − 1, N_w = W + k_w − 1 [Sedghi et al. 2019]:
//
// Put x into a corner of these pixels and zeros around it. Consider a patch that begins at one of the rows
// −(k_h − 1) … H − 1. There are N_h such rows, and they are distinct modulo N_h. The patch has the same values with and
// without wrapping around, because the values that wrap are zero. The same holds along columns. So every output of the
// padded convolution is an output of the circular one, or zero if the padding exceeds k − 1. The matrix of the padded
// convolution is therefore a block of the circular one's matrix, and its norm is no larger. A unitary Fourier transform
// makes the circular convolution block diagonal, with blocks A(θ, ψ) = Σ_{r, s} exp(i(θr + ψs)) W(·; r, s, ·) at the
// frequencies θ = 2πj/N_h, ψ = 2πl/N_w. Its norm is the largest norm of these blocks. A complex A = R + iS has the same
// singular values as the real matrix [R −S; S R], where each occurs twice. Along an axis where the kernel has size 1,
// nothing depends on the frequency, so the certificate of 1 × 1 kernels is exact. Let (u₁ u₂), (v₁ v₂) be the unit
// singular vectors of the largest block. Then σ = u₁ᵀRv₁ − u₁ᵀSv₂ + u₂ᵀSv₁ + u₂ᵀRv₂, and so
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
  /// Number of values in the patch of one output.
  Index patch() const { return kernel_height * kernel_width * image.channels; }
};

template <class T>
class ConvLayer final : public Layer<T> {
 public:
  /// Adds `<name>/weight` (C_out × k_h k_w C_in) and `<name>/bias` (C_out) to the layout. In a row of the weight the
  /// input channel varies fastest and the row of the kernel slowest. bound: c > 0, or infinity for a layer whose norm
  /// is free. start: the stream of the power iterations' first vectors. Throws ShapeError if the output would have no
  /// pixels.
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

  void add_state(StateSet& state, const std::string& name) override;

  /// Returns the norm of the circular convolution, which is an upper bound on the norm of the map for any image size.
  T circular_norm();

 private:
  // The frequency at which A(θ, ψ) is largest.
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
  // False for a 1 × 1 kernel without padding: then the image is the matrix of its own patches.
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
