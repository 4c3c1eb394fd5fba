#pragma once

// Checks of output files that a program makes before it computes.

#include <string>
#include <vector>

namespace pushforward::apps {

/// A file of a run, and the flag or argument that names it.
struct NamedFile {
  std::string flag;
  std::string path;
};

/// Throws IoError if an output cannot be written, as h5::require_writable does, and OptionError if an output would
/// replace another file of the same run, by whatever name. Inputs may be FILE:PATH. Empty names are ignored. Not
/// collective.
void check_outputs(const std::vector<NamedFile>& outputs, const std::vector<NamedFile>& inputs);

}  // namespace pushforward::apps
