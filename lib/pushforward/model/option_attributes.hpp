#pragma once

// Writes and reads options as attributes of a group in a model file. The name of an attribute is the option's key.

#include <pushforward/core/option_set.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

namespace pushforward::flow {

/// Writes every option. An option may be a text, a number or a list of numbers.
void write_options(const h5::GroupWriter& group, const OptionSet& options);

/// Reads every option. An option without effect may be missing, and a list that is missing is empty. Throws DataError
/// if another option is missing or if an attribute has the wrong type, and OptionError if a value breaks its rule.
void read_options(const h5::Group& group, OptionSet& options);

}  // namespace pushforward::flow
