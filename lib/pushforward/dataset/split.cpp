#include <pushforward/dataset/split.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/random/stream.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace pushforward::data {

Split parse_split(std::string_view name) {
  const auto found = std::ranges::find(splits, name, split_name);
  require<OptionError>(found != splits.end(), "split '{}' is unknown; there are train, validation, test", name);
  return *found;
}

std::string_view split_name(Split split) {
  switch (split) {
    case Split::train: return "train";
    case Split::validation: return "validation";
    case Split::test: break;
  }
  return "test";
}

Fractions parse_fractions(std::string_view text) {
  Fractions fractions{};
  std::size_t count = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  bool valid = at != end;
  while (valid && at != end) {
    valid = count < fractions.size();
    if (!valid) break;
    const auto [after, error] = std::from_chars(at, end, fractions[count]);
    valid = error == std::errc() && fractions[count] >= 0 && fractions[count] <= 1 &&
            (after == end || (*after == ',' && after + 1 != end));
    ++count;
    at = after == end ? end : after + 1;
  }
  const double sum = std::accumulate(fractions.begin(), fractions.end(), 0.0);
  require<OptionError>(valid && count >= 2 && std::abs(sum - 1) < 1e-9,
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
