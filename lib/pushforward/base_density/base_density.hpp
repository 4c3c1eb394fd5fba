#pragma once

// Base densities p₀ of latents z in ℝᵈ, with parameters in the flow's flat buffer.
//
//   standard_normal  N(0, I)
//   normal           N(mean, diag exp(2·log_scale)), trained
//   mixture          Σₖ πₖ N(meanₖ, diag exp(2·log_scaleₖ)), π = softmax(logits), all trained
//   uniform          on the box [low, high]ᵈ
//   student_t        Student's t in each dimension, its degrees of freedom ν = exp(log_degrees_of_freedom) trained
//                    [Laszkiewicz et al. 2022]: tails that no Lipschitz map of a normal has
//   logistic         e^{−z}/(1 + e^{−z})² in each dimension
//
// Rows that are angles are uniform on [−π, π] whatever the kind, which is that of the remaining rows. Location and
// scale where a kind has none are left to the flow's transforms.

#include <pushforward/core/option_set.hpp>
#include <pushforward/nn/parameters.hpp>
#include <pushforward/random/stream.hpp>

#include <limits>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace pushforward::flow {

/// What a base density is built from.
struct BaseOptions {
  std::string kind = "standard_normal";  ///< one of base_kinds()
  Index components = 10;                 ///< of mixture, 1 to 1024
  double low = -1;                       ///< of uniform, below `high`
  double high = 1;                       ///< of uniform
  double degrees_of_freedom = 5;         ///< of student_t, positive: those that training begins with
  std::vector<Index> periodic{};         ///< rows that are angles, in [−π, π]

  /// All keys but `periodic`, which follows from the chain.
  OptionSet declare();
};

template <class T>
class BaseDensity {
 public:
  /// Throws ShapeError for a dimension below 1, OptionError for periodic rows that are not rows, each once.
  BaseDensity(Index dimension, const BaseOptions& options);
  virtual ~BaseDensity() = default;

  std::string_view kind() const { return options_.kind; }
  Index dimension() const { return dimension_; }
  const BaseOptions& options() const { return options_; }

  /// The closed interval outside of which p₀ is 0, of the rows that are no angles.
  virtual std::pair<double, double> support() const {
    return {-std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity()};
  }
  /// The rows that are no angles: what the kind is of, and the numbers of the functions below.
  const std::vector<Index>& rows() const { return rows_; }

  /// Initial parameters, in the flow's flat buffer.
  virtual void initialize(std::span<T> /*parameters*/) const {}
  /// To be called whenever the parameters have changed.
  virtual void prepare(std::span<const T> /*parameters*/) {}

  /// z: (d × n) in. log_prob: (n), log p₀(zᵢ) is added, nats: −∞ outside of the support, NaN where zᵢ has one. The
  /// support's boundary, rounded to T, belongs to it. No allocation.
  void log_prob(ConstMatrixView<T> z, std::span<double> log_prob) const;

  /// Gradient of Σᵢ wᵢ log p₀(zᵢ). z: (d × n) in. weight: (n) in, or empty when all are 1. z_bar: (d × n) out, may be
  /// z. gradient: the flow's flat buffer, added to. Where log p₀ is not finite the gradient means nothing. No
  /// allocation.
  void reverse(ConstMatrixView<T> z, std::span<const T> weight, MatrixView<T> z_bar, std::span<T> gradient) const;

  /// z: (d) out, one draw, a function of the stream only.
  void draw(random::Stream& stream, std::span<double> z) const;

 protected:
  /// Throws OptionError when there are none: for kinds with parameters.
  void require_rows() const;

 private:
  // The same of the kind's rows of one sample, which is a column of d values. reverse_one writes those rows of z_bar,
  // which may be z.
  virtual double log_prob_one(const T* z) const = 0;
  virtual void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const = 0;
  virtual void draw_one(random::Stream& stream, std::span<double> z) const = 0;

  Index dimension_;
  BaseOptions options_;
  std::vector<Index> rows_;
};

const std::vector<std::string>& base_kinds();

/// Adds the kind's parameters below `base/` to the layout. seed: of initial parameters. Throws OptionError with a
/// suggestion when there is no such kind, and for values out of range.
template <class T>
std::unique_ptr<BaseDensity<T>> make_base(nn::ParameterLayout& layout, const BaseOptions& options, Index dimension,
                                          std::uint64_t seed);

extern template class BaseDensity<float>;
extern template class BaseDensity<double>;
extern template std::unique_ptr<BaseDensity<float>> make_base(nn::ParameterLayout&, const BaseOptions&, Index,
                                                              std::uint64_t);
extern template std::unique_ptr<BaseDensity<double>> make_base(nn::ParameterLayout&, const BaseOptions&, Index,
                                                               std::uint64_t);

}  // namespace pushforward::flow
