#pragma once

// Student's t with ν degrees of freedom in each row,
//
//     log p₀(z) = D(ν/2) − ½ log(νπ) − (ν + 1)/2 · log(1 + z²/ν),   D(a) = log Γ(a + ½) − log Γ(a),
//
// ν trained through its logarithm: how heavy each tail is, is learned [Laszkiewicz et al. 2022]. For ν → ∞ it is the
// normal density.

#include <pushforward/base_density/base_density.hpp>

namespace pushforward::flow {

struct StudentTOptions {
  static constexpr const char* kind = "student_t";
  static constexpr const char* help =
      "Student's t in each dimension, its degrees of freedom trained: heavy tails [Laszkiewicz et al. 2022]";
  double degrees_of_freedom = 5;  ///< positive: those that training begins with

  OptionSet declare();
};

/// With r rows, `base/log_degrees_of_freedom` (r), at first that of the options.
template <class T>
class StudentT final : public BaseDensity<T> {
 public:
  /// Throws OptionError unless degrees_of_freedom is positive and finite.
  StudentT(const BasePlace& place, const StudentTOptions& options);
  void initialize(std::span<T> parameters) const override;
  void prepare(std::span<const T> parameters) override;

 private:
  double log_prob_one(const T* z) const override;
  void reverse_one(const T* z, double weight, T* z_bar, std::span<T> gradient) const override;
  void draw_one(random::Stream& stream, std::span<double> z) const override;

  StudentTOptions options_;
  Index offset_;
  std::vector<double> nu_, slope_;  // (r): ν, and ∂/∂ log ν of log p₀ at z = 0
  double log_constant_ = 0;         // log p₀ at z = 0
};

/// D(a) = log Γ(a + ½) − log Γ(a) and its derivative, a > 0, both to a few units of rounding in absolute terms, or
/// relative ones where they are large. By D(a) = D(a + 1) + log(a/(a + ½)) up to a ≥ 20, where
///     D(a) ≈ ½ log a − 1/(8a) + 1/(192a³) − 1/(640a⁵) + 17/(14336a⁷)
/// with an error below 4e-15. The difference of two log Γ would cancel for large a.
struct GammaRatio {
  double log_value;
  double derivative;
};
GammaRatio gamma_ratio(double a);

extern template class StudentT<float>;
extern template class StudentT<double>;

}  // namespace pushforward::flow
