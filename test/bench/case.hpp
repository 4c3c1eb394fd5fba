#pragma once

// A benchmark has a name, a run that checks before it times, and results that it reports.

#include "compare.hpp"
#include "measure.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace pushforward::bench {

/// One line of the report. Times are those of the slowest rank, sizes and operations those of all ranks together.
struct Result {
  std::string label{};      ///< which of the case's results, where it has several
  std::string precision{};  ///< float, double, or "" where there is none
  Index rows = 0;           ///< samples that were worked in a run, on all ranks together
  Timing timing{};          ///< seconds
  double flops = 0;         ///< of the best algorithm that we know: products and LU alone
  double bound = 0;         ///< seconds that these take at the rates of gemm at their shapes; 0: no products
  double bytes = 0;         ///< moved, where that is what limits; else 0
  double workspace = 0;     ///< bytes
  double peak_memory = 0;   ///< bytes of memory that the processes had at most while they were timed
  Comparison check{};       ///< the comparison with a reference that came nearest to its tolerance
  std::optional<double> gradient_error{};  ///< relative RMS distance of a stochastic gradient from the exact one
};

struct Case {
  std::string name{};     ///< dotted: `bench train` runs all that begin with "train."
  std::string summary{};  ///< a line for people
  /// Builds, checks, times. Collective; throws NumericalError where a result is off.
  std::function<std::vector<Result>(const Session&)> run{};
  /// Writes inputs, weights and our results for the PyTorch baseline; empty where that has no counterpart. One rank.
  std::function<void(const Session&, const std::string& path)> save{};
};

/// All cases, in the order in which they are listed.
std::vector<Case> flow_cases();
std::vector<Case> kernel_cases();
std::vector<Case> coupling_cases();
std::vector<Case> system_cases();
std::vector<Case> overlap_cases();

/// The cases that the names stand for, each a case or the beginning of some before a dot; all for no names. Throws
/// OptionError with a suggestion.
std::vector<Case> select_cases(std::vector<Case> cases, const std::vector<std::string>& names);

}  // namespace pushforward::bench
