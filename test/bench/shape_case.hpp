#pragma once

// A training step of a shape that the command line gives: what exponents and the model of many ranks are measured on.

#include "flow_case.hpp"

namespace pushforward::bench {

/// "43-128-128-43": dimension, widths of a block's hidden layers, dimension. Throws OptionError.
FlowShape parse_shape(const std::string& text, Index blocks);

/// c, a step, as a case: its result's label has shape, blocks and method. Throws OptionError for a method whose
/// products are not counted, or whose lengths differ from sample to sample, and for less than two
/// rows.
Case shape_case(FlowCase c);

}  // namespace pushforward::bench
