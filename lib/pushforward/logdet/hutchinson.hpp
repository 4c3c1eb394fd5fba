#pragma once

// Hutchinson's estimator of the divergence of a vector field: vᵀJv in the place of tr J, with E[vvᵀ] = I [Hutchinson
// 1990; Grathwohl et al. 2019]. It is for continuous flows; residual blocks have the other kinds.
//
// The integral of the divergence along a grid sums up the stages of all steps. One probe for all of them keeps its
// error through the whole sum. Fresh probes average it, at the same cost. Probes that are the columns of a Hadamard
// matrix in turn also cancel: if J did not change, d stages would give the exact trace.

#include <pushforward/logdet/draws.hpp>

namespace pushforward::logdet {

struct HutchinsonOptions : ProbeOptions {
  static constexpr const char* kind = "hutchinson";
  static constexpr const char* help = "continuous flows: v'Jv in the place of the divergence";
  static constexpr const char* bare = "per";

  std::string per = "stage";  ///< solve, step or stage: how long a sample keeps its probes

  HutchinsonOptions() { probe = "hadamard"; }

  OptionSet declare();
  bool stochastic() const { return true; }
  bool shows(std::string_view key) const { return key == "per"; }
};

}  // namespace pushforward::logdet
