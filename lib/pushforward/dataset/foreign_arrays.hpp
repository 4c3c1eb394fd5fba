#pragma once

#include <pushforward/h5/reader.hpp>

#include <string>
#include <string_view>

namespace pushforward::data {

/// MATLAB and Octave write the axes of an array in reverse order. Returns the name of the program if one of them wrote
/// the array at `path` below `root`, and "" otherwise. Octave keeps a variable X in /X/value.
std::string_view writer_of_reversed_axes(const h5::Group& root, const std::string& path);

}  // namespace pushforward::data
