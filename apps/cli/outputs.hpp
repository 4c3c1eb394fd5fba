#pragma once

// What a program that writes files makes sure of before it computes.

#include <string>
#include <vector>

namespace pushforward::apps {

/// A file of a run, and the flag or argument that names it.
struct NamedFile {
  std::string flag;
  std::string path;
};

/// Refuses outputs that cannot be made: throws IoError as h5::require_writable does, and OptionError where an output
/// would replace another file of the same run, whatever it is called there. Inputs may be FILE:PATH; empty names are no
/// files. Not collective.
void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

}  // namespace pushforward::apps
