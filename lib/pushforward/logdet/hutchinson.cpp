#include <pushforward/logdet/hutchinson.hpp>

namespace pushforward::logdet {

OptionSet HutchinsonOptions::declare() {
  OptionSet set;
  set.add("per", per, "how long a sample keeps its probes: for the whole path, for a step or for a stage",
          one_of({"solve", "step", "stage"}));
  add_to(set);
  return set;
}

}  // namespace pushforward::logdet
