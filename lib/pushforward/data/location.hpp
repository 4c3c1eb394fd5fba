#pragma once

// How users name data: FILE, or FILE:PATH for one array in a file.

#include <filesystem>
#include <string>
#include <system_error>

namespace pushforward::data {

struct Location {
  std::string file;
  std::string path;  ///< "" when none was given
};

/// FILE:PATH is split at the last colon; a file whose own name has a colon is found when it exists.
inline Location parse_location(const std::string& text) {
  std::error_code error;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || std::filesystem::exists(text, error)) return {text, ""};
  return {text.substr(0, colon), text.substr(colon + 1)};
}

}  // namespace pushforward::data
