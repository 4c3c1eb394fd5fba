#pragma once

// Files of pictures and their classes as they are published: IDX (MNIST and its kin) and the binary batches of CIFAR.

#include <pushforward/table/table.hpp>

#include <cstddef>
#include <span>
#include <string>

namespace pushforward::data {

/// Returns true if a file begins as IDX files do: two zero bytes, a known element type, a number of dimensions.
bool begins_as_idx(std::span<const std::byte> bytes);

/// Numbers from an IDX file: big-endian extents and elements, unsigned and signed bytes, integers of 2 and 4 bytes,
/// floating point of 4 and 8. (N) becomes one column, (N, a, b, …) N rows of a·b·… numbers in C order, and (N, a, b)
/// images of a × b pixels. `source` names the bytes in messages.
/// Throws IoError if the bytes are no IDX file or do not have the size of its extents, and DataError if it is empty.
Table parse_idx(std::span<const std::byte> bytes, const std::string& source);

/// A binary batch of CIFAR-10 or CIFAR-100: records of 3073 or 3074 bytes, which are the label, or the coarse label and
/// the label, and the planes red, green and blue of 32 × 32 pixels. Columns: `label`, or `coarse_label` and `label`,
/// then the pixels, channels fastest: images of 32 × 32 × 3.
/// Throws IoError if the size is no multiple of a record, and DataError for labels beyond the number of classes.
Table parse_cifar(std::span<const std::byte> bytes, const std::string& source);

}  // namespace pushforward::data
