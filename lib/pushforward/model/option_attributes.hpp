#pragma once

// Options as attributes of a group in a model file, each under its key.

#include <pushforward/core/option_set.hpp>
#include <pushforward/h5/reader.hpp>
#include <pushforward/h5/writer.hpp>

namespace pushforward::flow {

/// Text, numbers and lists of numbers.
void write_options(const h5::GroupWriter& group, const OptionSet& options);

/// An option without effect may be missing. Throws DataError if another one is missing or if one has another type, and
/// OptionError for a value against its rule.
void read_options(const h5::Group& group, OptionSet& options);

}  // namespace pushforward::flow
