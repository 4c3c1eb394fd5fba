#pragma once

// Looks at an HDF5 file in a child process. HDF5 1.10 does not survive every damaged file: some of them end the process
// that opens them, and some keep it busy forever. So a child does first what a reader will do.

#include <pushforward/h5/handle.hpp>

#include <functional>
#include <string>

namespace pushforward::h5::detail {

/// Opens a file and gives its identifier, or a negative number.
using OpenFile = std::function<Id()>;

/// Has a child process open a file and read what is in it: all objects, all attributes, and the first 64 MB of the
/// arrays. Of arrays with other filters than deflate, shuffle and fletcher32, all is read. The child touches neither
/// MPI nor files other than this one. It has a limit of time, which grows with the size of the file.
///
/// Throws IoError "FILE: is damaged" if the child is ended by a signal or by this limit. Other errors are none here:
/// they come up again, with a message, when this process reads the file. If there cannot be a child, nothing is looked
/// at. Nor is anything looked at if PUSHFORWARD_TRUST_HDF5 is set in the environment, which is for systems where
/// children of a program with MPI do not work. Not collective.
///
/// Not covered: arrays beyond the first 64 MB, files that this file links to, and what HDF5 reads wrongly without an
/// end. Cost: one fork, and the time of reading at most 64 MB and the structure of the file.
void require_survivable(const OpenFile& open, const std::string& name, double file_bytes);

}  // namespace pushforward::h5::detail
