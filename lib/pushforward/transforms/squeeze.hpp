#pragma once

// The squeeze (H, W, C) → (H/2, W/2, 4C) [Dinh et al. 2017]: each block of 2 × 2 pixels becomes one pixel. Its channels
// are those of the upper left, the upper right, the lower left and the lower right pixel, C each:
//
//     z(h, w, (2a + b)·C + c) = x(2h + a, 2w + b, c),   a, b ∈ {0, 1}
//
// This is a permutation of the values, so the log-det is 0.

#include <pushforward/core/option_set.hpp>
#include <pushforward/transforms/domain.hpp>
#include <pushforward/transforms/row_order.hpp>
#include <pushforward/transforms/transform_facts.hpp>

namespace pushforward::flow {

struct SqueezeOptions {
  static constexpr const char* kind = "squeeze";
  static constexpr const char* help = "2 × 2 pixels become one pixel of four times the channels";
  static constexpr TransformFacts facts{.is_fixed = true};
  OptionSet declare() { return {}; }
  Domain output(const Domain& at) const;
};

template <class T>
class Squeeze final : public RowOrder<T> {
 public:
  /// No parameters. Throws ShapeError if height or width is odd.
  Squeeze(nn::ParameterLayout& layout, const std::string& name, const Shape& shape, const SqueezeOptions& options = {});

  std::string_view kind() const override { return "squeeze"; }
  Shape output_shape() const override { return output_; }
  const SqueezeOptions& options() const { return options_; }

 private:
  SqueezeOptions options_;
  Shape output_;
};

extern template class Squeeze<float>;
extern template class Squeeze<double>;

}  // namespace pushforward::flow
