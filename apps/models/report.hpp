#pragma once

// Results that more than one program prints.

#include <cli/console.hpp>
#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/core/timer.hpp>
#include <pushforward/transforms/domain.hpp>

#include <optional>
#include <string_view>

namespace pushforward::apps {

/// Prints the mean NLL of d columns, in the data's units: "<label>  3.5321 ± 0.0021 nats (100000 rows), 2.548 bits/dim,
/// +0.0664 from the entropy 3.4657". If some rows are not in the mean, the line says so: "(the mean of 97 rows; 3 of
/// 100 rows outside the support)".
void print_nll(Console& console, std::string_view label, const flow::Evaluation& nll, Index d,
               std::optional<double> entropy);

/// Returns the description of log-densities in result files: "log p of each row". If columns are unit vectors, it says
/// that densities are per unit of area.
std::string log_prob_name(std::string_view of, const flow::Domain& data);

/// Prints how `seconds` of rank 0 are divided among the phases, with GFLOP/s and their share of `gemm_rate` (GFLOP/s,
/// measured in this process).
void print_profile(Console& console, const Profile& profile, double seconds, double gemm_rate);

}  // namespace pushforward::apps
