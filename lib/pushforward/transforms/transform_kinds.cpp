#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/continuous.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/factor_out.hpp>
#include <pushforward/transforms/inverse.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/residual.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/squeeze.hpp>
#include <pushforward/transforms/transform_kind.hpp>

namespace pushforward::flow {

namespace {

// With the option `inverse`, the kind makes the inverse of the class's transform.
TransformKind autoregressive_kind() {
  auto kind = transform_kind<AutoregressiveOptions, Autoregressive>();
  kind.maker = [maker = kind.maker]<class T>(const TransformPlace& place,
                                             KindOptions& options) -> std::unique_ptr<Transform<T>> {
    auto made = maker.template make<T>(place, options);
    if (!options.as<AutoregressiveOptions>().inverse) return made;
    return std::make_unique<Inverse<T>>(std::move(made));
  };
  return kind;
}

}  // namespace

Registry<TransformKind>& TransformKind::registry() {
  static Registry<TransformKind> kinds(
      "transform", {transform_kind<ActNormOptions, ActNorm>(), transform_kind<ResidualOptions, ResidualBlock>(),
                    transform_kind<CouplingOptions, Coupling>(), autoregressive_kind(),
                    transform_kind<ElementwiseOptions, Elementwise>(), transform_kind<DequantizeOptions, Dequantize>(),
                    transform_kind<ScalingOptions, Scaling>(), transform_kind<PermutationOptions, Permutation>(),
                    transform_kind<LinearOptions, Linear>(), transform_kind<PlanarOptions, Planar>(),
                    transform_kind<RadialOptions, Radial>(), transform_kind<SqueezeOptions, Squeeze>(),
                    transform_kind<FactorOutOptions, FactorOut>(), transform_kind<ContinuousOptions, Continuous>()});
  return kinds;
}

}  // namespace pushforward::flow
