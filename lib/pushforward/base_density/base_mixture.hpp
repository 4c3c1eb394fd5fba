#pragma once

// A mixture of K normal densities with diagonal covariances,
//
//     log p₀(z) = log Σₖ exp lₖ,   lₖ = log πₖ + log N(z; meanₖ, diag exp(2·log_scaleₖ)),   π = softmax(logits).
//
// Its gradients are those of the components weighted by their responsibilities rₖ = exp(lₖ − log p₀).

#include <pushforward/base_density/base_density.hpp>

namespace pushforward::flow {

struct MixtureOptions {
  static constexpr const char* kind = "mixture";
  static constexpr const char* help = "Σₖ πₖ N(meanₖ, diag exp(2·log_scaleₖ)), π = softmax(logits), all trained";
  Index components = 10;  ///< 1 to 1024

  OptionSet declare();
};

/// With r rows, `base/logits` (K), `base/mean` (r × K) and `base/log_scale` (r × K). At first all weights are equal,
/// scales² are ½ and means drawn with variance ½, so that the whole has variance 1 on average.
template <class T>
class NormalMixture final : public BaseDensity<T> {
 public:
  static constexpr Index max_components = 1024;

  /// Throws OptionError for a number of components out of range.
  NormalMixture(const BasePlace& place, const MixtureOptions& options);
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters) override;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;
  /// lₖ of one sample.
  double component(const T* z, Index k) const;

  std::uint64_t seed_;
  Index logits_offset_, mean_offset_, log_scale_offset_;
  std::vector<double> weight_, log_constant_;  // (K): πₖ, and lₖ at the mean
  Matrix<double> mean_, scale_;                // (r × K)
};

extern template class NormalMixture<float>;
extern template class NormalMixture<double>;

}  // namespace pushforward::flow
