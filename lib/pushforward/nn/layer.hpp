#pragma once

// A layer a = Ŵ h + b of a network, Ŵ = W·min(1, c/σ(W)): the linear map never has a spectral norm beyond the bound c.
// W is a matrix, or a smaller one that the map is made of; b has one value for each of its rows, its channels, and is
// the same at every pixel.
//
// With σ = σ(W) and its gradient G = ∂σ/∂W, that with respect to Ŵ = cW/σ becomes
//     W̄ = (c/σ)·(Ŵ̄ − ⟨Ŵ̄, Ŵ⟩/c · G).

#include <pushforward/nn/parameters.hpp>
#include <pushforward/nn/spectral_norm.hpp>

namespace pushforward::nn {

/// Sizes of a layer.
struct LayerSize {
  Index in, out;     ///< of the linear map
  Index rows, cols;  ///< of W; out is a multiple of rows
};

template <class T>
class Layer {
 public:
  virtual ~Layer() = default;
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  Index in() const { return size_.in; }
  Index out() const { return size_.out; }
  /// Rows of W, fastest in each column of the output.
  Index channels() const { return size_.rows; }
  T bound() const { return bound_; }

  /// W and b as a fresh network has them: a row of W that sees m values normal with variance 1/m, its b uniform on
  /// ±1/√m; all zero where `zero`.
  void initialize(std::span<T> parameters, random::Stream& stream, bool zero) const;
  /// Makes the linear map from the parameters. Power iteration goes on until σ changes by less than 1e-4 relative.
  void prepare(std::span<const T> parameters, Normalization normalization);
  /// Turns the gradient with respect to Ŵ into that with respect to W, in place. G is that of the power iteration,
  /// which after an SVD goes on until σ no longer changes.
  void gradient_of_raw_parameters(std::span<T> gradient) const;
  /// Overwrites W with Ŵ in the parameter buffer: what a model file holds.
  void bake_normalization(std::span<T> parameters) const;

  /// b (channels), valid after prepare().
  std::span<const T> bias() const { return bias_; }
  /// The norm of the linear map: from below after power iteration, else from above, up to rounding. Infinity where it
  /// is free.
  T norm() const { return norm_; }

  /// Elements of scratch memory that the following need for any number of columns.
  virtual Index scratch() const { return 0; }
  /// y ← Ŵ x. x: (in × m) in. y: (out × m) out, must not alias x. No allocation.
  virtual void apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T> scratch) const = 0;
  /// x ← Ŵᵀ y likewise.
  virtual void apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T> scratch) const = 0;
  /// The gradient of Σⱼ barⱼ·Ŵxⱼ with respect to Ŵ, added. bar: (out × m), x: (in × m). gradient: the flat buffer.
  virtual void add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                                   std::span<T> scratch) const = 0;
  /// The sum of bar (out × m) over columns and pixels, added to the flat buffer's part for b.
  void add_bias_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const;
  /// Floating-point operations of apply() and of its likes.
  virtual double flops(Index columns) const = 0;

  /// The linear map as a matrix (out × in), out; and a gradient with respect to that, added to the flat buffer.
  virtual void to_matrix(MatrixView<T> matrix) const = 0;
  virtual void add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const = 0;

  /// Ŵ of a dense layer, (out × in), and its part of the gradient buffer. Throw BugError elsewhere.
  virtual ConstMatrixView<T> weight() const;
  virtual MatrixView<T> weight_gradient(std::span<T> gradient) const;

 protected:
  /// Adds `<name>/weight` (rows × cols) and `<name>/bias` (rows) to the layout. kind: for messages.
  Layer(ParameterLayout& layout, std::string_view kind, const std::string& name, const LayerSize& size, T bound);

  ConstMatrixView<T> effective() const { return effective_; }
  MatrixView<T> weight_in(std::span<T> buffer) const {
    return {buffer.data() + weight_offset_, size_.rows, size_.cols};
  }
  std::span<T> bias_in(std::span<T> buffer) const;

  /// Values that a row of W sees.
  virtual Index fan_in(Index row) const = 0;
  /// Sets to zero what is no part of W.
  virtual void mask(MatrixView<T> /*w*/) const {}
  /// σ of the map with effective() as it is.
  virtual T measure_norm(Normalization normalization) = 0;
  /// After measure_norm(), where the map will be shrunk: what add_norm_gradient() needs.
  virtual void prepare_norm_gradient(Normalization normalization) = 0;
  /// w_bar ← w_bar + factor · G.
  virtual void add_norm_gradient(T factor, MatrixView<T> w_bar) const = 0;

 private:
  LayerSize size_;
  T bound_;
  Index weight_offset_, bias_offset_;
  Matrix<T> effective_;
  std::vector<T> bias_;
  T sigma_ = 0;  // of W
  T norm_ = 0;   // of the map
  bool shrunk_ = false;
};

extern template class Layer<float>;
extern template class Layer<double>;

}  // namespace pushforward::nn
