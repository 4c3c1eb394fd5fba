#include <pushforward/dataset/split.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/name_table.hpp>
#include <pushforward/random/stream.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pushforward::data {

namespace {

const NameTable<Split>& names() {
  static const NameTable<Split> table("split", {"train", "validation", "test"});
  return table;
}

}  // namespace

Split parse_split(std::string_view name) {
  return names().value(name);
}

std::string_view split_name(Split split) {
  return names().name(split);
}

Fractions parse_fractions(std::string_view text) {
  Fractions fractions{};
  const auto parts = parts_of(text, ',');
  bool valid = parts.size() == 2 || parts.size() == 3;
  for (std::size_t i = 0; valid && i < parts.size(); ++i) {
    fractions[i] = parse_number<double>(parts[i]).value_or(-1);
    valid = fractions[i] >= 0 && fractions[i] <= 1;
  }
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  require<OptionError>(valid && std::abs(sum - 1) < 1e-9,
                       "fractions '{}': wanted are two or three numbers in [0, 1] that add up to 1, for train, "
                       "validation and test, as 0.8,0.1,0.1",
                       text);
  return fractions;
}

BySplit<Index> split_counts(Index rows, const Fractions& fractions) {
  const auto is_positive = [](double f) { return f > 0; };
  Index wanted = std::ranges::count_if(fractions, is_positive);
  require<DataError>(rows >= wanted && wanted > 0, "{} rows cannot be divided into {} parts", rows, wanted);
  const auto first = static_cast<std::size_t>(std::ranges::find_if(fractions, is_positive) - fractions.begin());
  BySplit<Index> counts{};
  Index left = rows;
  for (std::size_t i = first + 1; i < counts.size(); ++i) {
    if (fractions[i] <= 0) continue;
    --wanted;  // of what is left, one row is kept for each of the others
    counts[i] = std::clamp<Index>(std::llround(fractions[i] * static_cast<double>(rows)), 1, left - wanted);
    left -= counts[i];
  }
  counts[first] = left;
  return counts;
}

std::vector<Split> divide(Index rows, const Fractions& fractions, std::uint64_t seed) {
  const auto counts = split_counts(rows, fractions);
  std::vector<Split> assigned(rows, Split::train);
  const random::Permutation order(seed, random::Purpose::split, 0, rows);
  Index at = counts[index_of(Split::train)];
  for (const Split split : {Split::validation, Split::test}) {
    for (Index i = 0; i < counts[index_of(split)]; ++i) assigned[order(at++)] = split;
  }
  return assigned;
}

}  // namespace pushforward::data
