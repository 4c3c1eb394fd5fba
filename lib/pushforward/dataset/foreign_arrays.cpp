#include <pushforward/dataset/foreign_arrays.hpp>

namespace pushforward::data {

std::string_view writer_of_reversed_axes(const h5::Group& root, const std::string& path) {
  if (root.dataset(path).has_text("MATLAB_class")) return "MATLAB";
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos || slash == 0) return "";
  return root.group(path.substr(0, slash)).has_attribute("OCTAVE_NEW_FORMAT") ? "Octave" : "";
}

}  // namespace pushforward::data
