#pragma once

#include <string>

namespace pushforward::data {

/// SHA-256 of a file's bytes, in hexadecimal as sha256sum prints it. Throws IoError. Not collective.
std::string file_digest(const std::string& path);

}  // namespace pushforward::data
