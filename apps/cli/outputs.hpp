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

/// Throws OptionError if the ending of the name promises another format than the file has: it is HDF5, and with
/// `tables` also CSV or NPY by the endings .csv and .npy.
void require_result_name(const NamedFile& output, bool tables = false);

}  // namespace pushforward::apps
