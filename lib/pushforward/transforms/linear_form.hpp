#pragma once

// The forms of the matrix W (c × c) inside a Linear. W is applied to m columns, the pixels of all samples.

#include <pushforward/core/option_set.hpp>
#include <pushforward/linalg/workspace.hpp>
#include <pushforward/nn/parameters.hpp>

#include <memory>

namespace pushforward::flow {

struct LinearOptions {
  static constexpr const char* kind = "linear";
  static constexpr const char* help = "a matrix on the channels of each pixel: dense, PLU or Householder";
  std::string form = "plu";      ///< dense, plu or householder
  bool bias = true;              ///< whether b is added
  Index reflections = 0;         ///< K of householder; 0: as many as channels
  std::vector<Index> indices{};  ///< P of plu: row i of z is row indices[i] of L (U + diag(s)) x; empty: see signs
  /// Signs of s in plu, each −1 or 1. If there are indices but no signs, all signs are 1. If there are neither, both
  /// are those of the LU of a random orthogonal matrix, which is the initial W.
  std::vector<Index> signs{};

  OptionSet declare();
};

/// Scratch of one pass; a form takes what it needs.
template <class T>
struct LinearScratch {
  MatrixView<T> columns;       // (c × m)
  MatrixView<T> square;        // (c × c)
  std::span<T> along, across;  // (m)
  std::span<T> direction;      // (c)
};

template <class T>
class LinearForm {
 public:
  explicit LinearForm(LinearOptions resolved) : options_(std::move(resolved)) {}
  virtual ~LinearForm() = default;

  const LinearOptions& options() const { return options_; }

  virtual void initialize(std::span<T> parameters) const = 0;
  virtual void prepare(std::span<const T> parameters) = 0;
  virtual LinearScratch<T> plan(linalg::Workspace& scratch, Index m) const = 0;

  /// z = W x. x: (c × m) in. z: (c × m) out, must not alias x.
  virtual void multiply(const LinearScratch<T>& scratch, ConstMatrixView<T> x, MatrixView<T> z) const = 0;
  /// x ← W⁻¹ x. x: (c × m).
  virtual void solve(const LinearScratch<T>& scratch, MatrixView<T> x) const = 0;
  /// Solves Wᵀλ = b. b: (c × m) in. lambda: (c × m) out, must not alias b.
  virtual void solve_transposed(const LinearScratch<T>& scratch, ConstMatrixView<T> b, MatrixView<T> lambda) const = 0;
  /// x̄ = Wᵀ z̄. Adds the gradient of Σ z̄·(W x) + log_det_bar·log|det W|. x, z_bar: (c × m) in. x_bar: (c × m) out, must
  /// not alias them. gradient: the flow's flat buffer; if it is empty, that part is left out.
  virtual void reverse(const LinearScratch<T>& scratch, ConstMatrixView<T> x, ConstMatrixView<T> z_bar, T log_det_bar,
                       MatrixView<T> x_bar, std::span<T> gradient) const = 0;

  /// log|det W|, nats.
  virtual double log_det() const { return 0; }
  /// Whether W has an inverse.
  virtual bool regular() const = 0;

 private:
  LinearOptions options_;
};

/// Makes the form that the options ask for, with its parameters below `<name>/`. Throws OptionError, whose message
/// begins with "linear <name>".
template <class T>
std::unique_ptr<LinearForm<T>> make_linear_form(nn::ParameterLayout& layout, const std::string& name, Index channels,
                                                const LinearOptions& options, std::uint64_t seed, std::uint64_t key);

extern template std::unique_ptr<LinearForm<float>> make_linear_form(nn::ParameterLayout&, const std::string&, Index,
                                                                    const LinearOptions&, std::uint64_t, std::uint64_t);
extern template std::unique_ptr<LinearForm<double>> make_linear_form(nn::ParameterLayout&, const std::string&, Index,
                                                                     const LinearOptions&, std::uint64_t,
                                                                     std::uint64_t);

}  // namespace pushforward::flow
