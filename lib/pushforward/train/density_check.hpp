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
/// combinations of other columns and of contexts, or nearly so. Given a context that determines a column, the rows have
/// no density. Contexts may depend on each other. curved: the columns that are angles or of unit vectors,
/// which have no part in combinations. names: (d). Cost: O(N d), and O((d + c)³) if d + c, the number of columns and
/// contexts, is at most 512. Beyond that, combinations are not looked for.
template <class T>
DensityFindings check_density(const flow::Batch<T>& rows, const std::vector<std::string>& names,
                              const std::vector<Index>& curved);

extern template DensityFindings check_density(const flow::Batch<float>&, const std::vector<std::string>&,
                                              const std::vector<Index>&);
extern template DensityFindings check_density(const flow::Batch<double>&, const std::vector<std::string>&,
                                              const std::vector<Index>&);

}  // namespace pushforward::train
