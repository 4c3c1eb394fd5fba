#pragma once

// Configuration files in TOML.

#include <pushforward/core/option_set.hpp>

#include <string>
#include <string_view>

namespace pushforward::apps {

/// Reads the text of a file. Throws IoError that names the file and the cause. Not collective.
std::string read_text_file(const std::string& path);

/// Sets the fields of `options` from a TOML document; `path` names the document in messages. Throws OptionError with
/// file and line for wrong syntax, for an unknown key or table (naming the nearest key), and for a value of another
/// type or against the key's rule. Not collective.
void read_config(OptionSet& options, std::string_view text, const std::string& path);

}  // namespace pushforward::apps
