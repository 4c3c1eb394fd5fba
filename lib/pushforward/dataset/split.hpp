#pragma once

// The three parts of a dataset, and the seeded division of rows among them.

#include <pushforward/core/index.hpp>

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace pushforward::data {

enum class Split : int { train, validation, test };

inline constexpr std::array splits{Split::train, Split::validation, Split::test};

/// "train", "validation", "test": also the names of the datasets.
std::string_view split_name(Split split);
/// The split of that name. Throws OptionError for another word.
Split parse_split(std::string_view name);

/// Something for each split: by_split[index_of(Split::test)].
template <class V>
using BySplit = std::array<V, splits.size()>;
constexpr std::size_t index_of(Split split) {
  return static_cast<std::size_t>(split);
}

/// Shares of the rows, each in [0, 1], which add up to 1.
using Fractions = BySplit<double>;

/// From "0.8,0.1,0.1", or "0.9,0.1" without a test split. Throws OptionError naming the text and the rule it breaks.
Fractions parse_fractions(std::string_view text);

/// How many of `rows` rows each split gets: the nearest whole number, at least one where the fraction is positive, the
/// rest to the first of those. Throws DataError where there are fewer rows than such splits.
BySplit<Index> split_counts(Index rows, const Fractions& fractions);

/// The split of each of `rows` rows: split_counts of them, drawn without replacement by `seed`.
std::vector<Split> divide(Index rows, const Fractions& fractions, std::uint64_t seed);

}  // namespace pushforward::data
