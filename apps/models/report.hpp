#pragma once

// Figures that more than one program prints.

#include <cli/console.hpp>
#include <pushforward/analysis/evaluation.hpp>
#include <pushforward/core/timer.hpp>

#include <optional>
#include <string_view>

namespace pushforward::apps {

/// "<label>  3.5321 ± 0.0021 nats (100000 rows), 2.548 bits/dim, 0.0664 above the entropy": a mean NLL of d columns in
/// the data's units. Rows that do not count in it stand beside it: "(the mean of 97 rows; 3 of 100 rows outside the
/// support)".
void print_nll(Console& console, std::string_view label, const flow::Evaluation& nll, Index d,
               std::optional<double> entropy);

/// Where `seconds` of rank 0 went, by phase, with GFLOP/s and their share of `gemm_rate` (GFLOP/s, measured in this
/// process).
void print_profile(Console& console, const Profile& profile, double seconds, double gemm_rate);

}  // namespace pushforward::apps
