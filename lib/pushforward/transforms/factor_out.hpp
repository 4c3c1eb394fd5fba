#pragma once

// The factor-out of a multi-scale flow [Dinh et al. 2017], `split` in model files: at every pixel the first `keep`
// channels go on to the next transform, and the others are latents already. z holds the channels that go on as a
// contiguous (H, W, keep) image, and below it the others as a contiguous (H, W, C − keep) image. This is a permutation
// of the values, so the log-det is 0.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/row_order.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct FactorOutOptions {
  static constexpr const char* kind = "split";
  static constexpr const char* help = "the first channels go on to the next transform, the others are latents";
  static constexpr TransformFacts facts{.is_fixed = true};
  Index keep = 0;  ///< channels that go on; 0: half of them, rounded up

  OptionSet declare();
  Domain output(const Domain& at) const;
};

template <class T>
class FactorOut final : public RowOrder<T> {
 public:
  /// No parameters. Throws ShapeError for fewer than two channels, and OptionError if all channels would go on.
  FactorOut(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const FactorOutOptions& options);

  std::string_view kind() const override { return "split"; }
  /// (H, W, keep).
  Shape output_shape() const override { return output_; }
  /// The options as resolved: keep ≥ 1.
  const FactorOutOptions& options() const { return options_; }

 private:
  FactorOut(const Shape& shape, Index keep);

  FactorOutOptions options_;
  Shape output_;
};

extern template class FactorOut<float>;
extern template class FactorOut<double>;

}  // namespace pushforward::flow
