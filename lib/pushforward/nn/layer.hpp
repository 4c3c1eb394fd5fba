#pragma once

// A layer a = Ŵ h + b of a network. Ŵ = W·min(1, c/σ(W)), so the spectral norm of the linear map never exceeds the
// bound c. For a dense layer W is the matrix of the map. For a convolution W holds the kernels from which the map is
// made. b has one value for each row of W (each channel), which is the same at every pixel.
//
// Let σ = σ(W) and G = ∂σ/∂W. The gradient with respect to Ŵ = cW/σ becomes the gradient with respect to W by
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

  /// Draws W and b of a fresh network. A row of W that multiplies m values is normal with variance 1/m, and its b is
  /// uniform on ±1/√m. If `zero`, all values are zero.
  void initialize(std::span<T> parameters, random::Stream& stream, bool zero) const;
  /// Computes the linear map from the parameters. A power iteration stops when the relative change of σ is below 1e-4.
  void prepare(std::span<const T> parameters, Normalization normalization);
  /// Turns the gradient with respect to Ŵ into the gradient with respect to W, in place. G comes from the vectors of
  /// the power iteration. After an SVD the iteration goes on until σ no longer changes.
  void gradient_of_raw_parameters(std::span<T> gradient) const;
  /// Overwrites W with Ŵ in the parameter buffer. A model file holds Ŵ.
  void bake_normalization(std::span<T> parameters) const;

  /// What prepare() keeps for its next call: the vectors of power iterations.
  virtual void add_state(StateSet& /*state*/, const std::string& /*name*/) {}

  /// b (channels), valid after prepare().
  std::span<const T> bias() const { return bias_; }
  /// The norm of the linear map. After a power iteration it is a lower bound, else an upper bound up to rounding. It is
  /// infinite if the norm is free.
  T norm() const { return norm_; }

  /// Elements of scratch memory that the following need for any number of columns.
  virtual Index scratch() const { return 0; }
  /// y ← Ŵ x. x: (in × m) in. y: (out × m) out, must not alias x. No allocation.
  virtual void apply(ConstMatrixView<T> x, MatrixView<T> y, std::span<T> scratch) const = 0;
  /// x ← Ŵᵀ y. y: (out × m) in. x: (in × m) out, must not alias y. No allocation.
  virtual void apply_transpose(ConstMatrixView<T> y, MatrixView<T> x, std::span<T> scratch) const = 0;
  /// Adds the gradient of Σⱼ barⱼ·Ŵxⱼ with respect to Ŵ. bar: (out × m), x: (in × m). gradient: the flat buffer.
  virtual void add_weight_gradient(ConstMatrixView<T> bar, ConstMatrixView<T> x, std::span<T> gradient,
                                   std::span<T> scratch) const = 0;
  /// Adds the sum of bar (out × m) over columns and pixels to the part of the flat buffer that belongs to b.
  void add_bias_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const;
  /// Floating-point operations of one call of apply(), apply_transpose() or add_weight_gradient() with `columns`
  /// columns.
  virtual double flops(Index columns) const = 0;

  /// Writes the linear map as a matrix (out × in), or adds a gradient with respect to that matrix to the flat buffer.
  virtual void to_matrix(MatrixView<T> matrix) const = 0;
  virtual void add_matrix_gradient(ConstMatrixView<T> bar, std::span<T> gradient) const = 0;

  /// Ŵ of a dense layer (out × in), and its part of the gradient buffer. Other layers throw BugError.
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

  /// Number of values that a row of W multiplies.
  virtual Index fan_in(Index row) const = 0;
  /// Sets the entries of w that do not belong to W to zero.
  virtual void mask(MatrixView<T> /*w*/) const {}
  /// Returns σ of the map as effective() has it.
  virtual T measure_norm(Normalization normalization) = 0;
  /// Prepares add_norm_gradient(). It is called after measure_norm() if the map will be shrunk.
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
