#include <pushforward/transforms/actnorm.hpp>
#include <pushforward/transforms/autoregressive.hpp>
#include <pushforward/transforms/coupling.hpp>
#include <pushforward/transforms/dequantize.hpp>
#include <pushforward/transforms/elementwise.hpp>
#include <pushforward/transforms/linear.hpp>
#include <pushforward/transforms/permutation.hpp>
#include <pushforward/transforms/planar.hpp>
#include <pushforward/transforms/radial.hpp>
#include <pushforward/transforms/residual.hpp>
#include <pushforward/transforms/scaling.hpp>
#include <pushforward/transforms/split.hpp>
#include <pushforward/transforms/squeeze.hpp>
#include <pushforward/transforms/transform_kind.hpp>

namespace pushforward::flow {

Registry<TransformKind>& TransformKind::registry() {
  static Registry<TransformKind> kinds(
      "transform",
      {transform_kind<ActNormOptions, ActNorm>(), transform_kind<ResidualOptions, ResidualBlock>(),
       transform_kind<CouplingOptions, Coupling>(), transform_kind<AutoregressiveOptions, Autoregressive>(),
       transform_kind<ElementwiseOptions, Elementwise>(), transform_kind<DequantizeOptions, Dequantize>(),
       transform_kind<ScalingOptions, Scaling>(), transform_kind<PermutationOptions, Permutation>(),
       transform_kind<LinearOptions, Linear>(), transform_kind<PlanarOptions, Planar>(),
       transform_kind<RadialOptions, Radial>(), transform_kind<SqueezeOptions, Squeeze>(),
       transform_kind<SplitOptions, Split>()});
  return kinds;
}

}  // namespace pushforward::flow
