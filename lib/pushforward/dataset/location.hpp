#pragma once

// How users name data: FILE, or FILE:PATH for one array in a file; for import also A+B, B being the labels of A's rows.

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

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

/// The source of one imported table.
struct Labelled {
  std::string rows;    ///< FILE[:PATH]
  std::string labels;  ///< FILE[:PATH], or "" when none was given
};

/// ROWS+LABELS is split at the last plus that is followed by an existing file; a file whose own name has a plus is
/// found when it exists.
inline Labelled parse_labelled(const std::string& text) {
  std::error_code error;
  const auto plus = text.rfind('+');
  if (plus == std::string::npos || std::filesystem::exists(text, error)) return {text, ""};
  std::string labels = text.substr(plus + 1);
  if (!std::filesystem::exists(parse_location(labels).file, error)) return {text, ""};
  return {text.substr(0, plus), std::move(labels)};
}

}  // namespace pushforward::data
