#pragma once

// flow_logdet for continuous flows: the comparison of divergences, its table and its result file.

#include <models/context.hpp>
#include <models/model_file.hpp>
#include <pushforward/analysis/divergence_comparison.hpp>
#include <pushforward/h5/results.hpp>

namespace pushforward::apps {

struct DivergenceRunOptions {
  std::string output, model, data;
  Index rows = 0;  ///< that are examined
  flow::DivergenceComparisonOptions comparison;
};

/// Makes a table that is at most 100 columns wide.
std::string divergence_table(const std::vector<std::string>& names,
                             const std::vector<flow::DivergenceSummary>& summaries);

/// Compares, prints the table and writes the result file. Collective.
template <class T>
void run_divergences(Program& program, flow::Model<T>& model, const data::Rows& rows, const ContextSource& context,
                     const DivergenceRunOptions& options);

extern template void run_divergences(Program&, flow::Model<float>&, const data::Rows&, const ContextSource&,
                                     const DivergenceRunOptions&);
extern template void run_divergences(Program&, flow::Model<double>&, const data::Rows&, const ContextSource&,
                                     const DivergenceRunOptions&);

}  // namespace pushforward::apps
