#pragma once

#include <pushforward/table/table.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace pushforward::data {

/// Numbers from the bytes of a NumPy .npy file, format versions 1 to 3: floating point of 2, 4 and 8 bytes, signed and
/// unsigned integers of 1 to 8 bytes, booleans, in either byte order, C or Fortran order. (N) becomes one column, and
/// (N, a, b, …) N rows of a·b·… numbers in C order. Records in shape (N) become columns with the names of their
/// members, "a.b" for a record in a record and "a[0]" for a list. Members without numbers are left out. `source` names
/// the bytes in messages. Throws DataError for other types and shapes, and IoError if the bytes are no .npy file or a
/// truncated one.
Table parse_npy(std::span<const std::byte> bytes, const std::string& source);

}  // namespace pushforward::data
