#include <pushforward/train/likelihood.hpp>
#include <pushforward/train/objective_kind.hpp>

namespace pushforward::train {

Registry<ObjectiveKind>& ObjectiveKind::registry() {
  static Registry<ObjectiveKind> kinds("objective", {objective_kind<LikelihoodOptions, Likelihood>()});
  return kinds;
}

}  // namespace pushforward::train
