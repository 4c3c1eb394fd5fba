#pragma once

// Sealed files: HDF5 files with a digest of their bytes in front. HDF5 1.10 does not survive every damaged file, so the
// digest is compared before HDF5 sees a byte. The seal is a user block of HDF5, which every reader of HDF5 skips:
//
//     bytes 0 to 511   "pushforward seal 1\nbytes <their number>\nsha256 <their digest>\n", then zeros
//     bytes 512 to     the HDF5 file; `tail -c +513 FILE | sha256sum` prints its digest
//
// Every byte of a sealed file is either compared with what the seal must be, or goes into the digest.

#include <pushforward/h5/reader.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace pushforward::h5 {

/// The bytes in front of the HDF5 file.
inline constexpr std::size_t seal_bytes = 512;

/// Puts the seal into the first `seal_bytes` bytes of a file, which are its user block.
void seal(std::span<std::byte> file);

/// The digest that the seal of these bytes states: of all bytes after the seal.
std::string digest_of(std::span<const std::byte> sealed_file);

/// A file that was opened, and the digest that it agrees with.
struct Sealed {
  Group root;
  std::string digest;  ///< "" for a file without a seal, which begins with the signature of HDF5
};

/// Opens a sealed file or one without a seal, for reading. A sealed file is read as a whole, and its root stands in
/// memory. Throws IoError as open_file() does, and for a file that does not agree with its seal. Not collective.
Sealed open_sealed(const std::string& path);

/// Reads a sealed file and compares it with its seal, without HDF5. Returns the digest. Throws IoError as open_sealed()
/// does, also for a file without a seal. Not collective.
std::string checked_digest(const std::string& path);

}  // namespace pushforward::h5
