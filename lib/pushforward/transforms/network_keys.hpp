#pragma once

// The keys that transforms with a network have in common.

#include <pushforward/core/option_set.hpp>

namespace pushforward::flow {

/// Declares `hidden` and `activation`.
void declare_network(OptionSet& set, std::vector<Index>& hidden, std::string& activation);
/// Declares `time`, of vector fields.
void declare_time(OptionSet& set, std::string& time);
/// Declares `kernels`.
void declare_kernels(OptionSet& set, std::vector<Index>& kernels);

}  // namespace pushforward::flow
