#include <pushforward/train/flow_matching.hpp>
#include <pushforward/train/objective_kind.hpp>

namespace pushforward::train {

Registry<ObjectiveKind>& ObjectiveKind::registry() {
  static Registry<ObjectiveKind> kinds("objective", {objective_kind<LikelihoodOptions, Likelihood>(),
                                                     objective_kind<FlowMatchingOptions, FlowMatching>()});
  return kinds;
}

}  // namespace pushforward::train
