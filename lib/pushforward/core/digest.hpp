#pragma once

// SHA-256 digests, in hexadecimal as sha256sum prints them.

#include <cstddef>
#include <span>
#include <string>

namespace pushforward {

/// The digest of these bytes.
std::string digest(std::span<const std::byte> bytes);

/// The digest of a file's bytes. Throws IoError. Not collective.
std::string file_digest(const std::string& path);

}  // namespace pushforward
