#pragma once

// Whether rows have a density at all, before a flow is trained on them.

#include <pushforward/transforms/batch.hpp>

#include <string>
#include <vector>

namespace pushforward::train {

/// Reasons against a density of some rows, for people, each with a remedy.
struct DensityFindings {
  std::vector<std::string> doubts;    ///< the log-likelihood may mislead
  std::vector<std::string> refusals;  ///< the likelihood has no bound, so there is nothing to train
};

/// Looks at columns that hold few distinct values, at single values that many rows have, and at columns that are linear
/// combinations of others or nearly so. periodic: the columns that are angles, which are left out of
/// the last. names: (d). Cost: O(N d), and O(d³) up to a dimension of 512, beyond which combinations are not looked
/// for.
template <class T>
DensityFindings check_density(const flow::Batch<T>& rows, const std::vector<std::string>& names,
                              const std::vector<Index>& periodic);

extern template DensityFindings check_density(const flow::Batch<float>&, const std::vector<std::string>&,
                                              const std::vector<Index>&);
extern template DensityFindings check_density(const flow::Batch<double>&, const std::vector<std::string>&,
                                              const std::vector<Index>&);

}  // namespace pushforward::train
