#pragma once

// Configuration files in TOML.

#include <pushforward/core/option_set.hpp>

#include <string>
#include <string_view>

namespace pushforward::apps {

/// The text of a file. Throws IoError naming it and the cause. Not collective.
std::string read_text_file(const std::string& path);

/// Gives the fields of `options` the values in a TOML document; `path` names it in messages. Throws OptionError with
/// file and line for wrong syntax, an unknown key or table (naming the nearest key), a value of another type or one
/// against its rule. Not collective.
void read_config(OptionSet& options, std::string_view text, const std::string& path);

}  // namespace pushforward::apps
