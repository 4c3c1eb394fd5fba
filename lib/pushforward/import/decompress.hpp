#pragma once

#include <string>
#include <string_view>

namespace pushforward::data {

/// The name of the compression whose signature the bytes begin with: "gzip", "xz", "bzip2" or "zstd"; "" otherwise.
std::string_view compression_of(std::string_view bytes);

/// Unpacks bytes that compression_of() knows. Several streams, one after the other, are one content. Bytes after the
/// last stream of gzip are passed over if they begin no other stream. `source` names the bytes in messages. Throws
/// IoError if a stream is truncated or damaged. The content takes memory in steps as it is unpacked; DataError if there
/// is none for the next step, or if the dictionary of a stream needs more than 130 MB.
std::string decompress(std::string_view bytes, const std::string& source);

}  // namespace pushforward::data
