#include <pushforward/data/split.hpp>

#include <pushforward/base/error.hpp>
#include <pushforward/random/stream.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace pushforward::data {

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

std::vector<Split> divide(Index rows, const Fractions& fractions, std::uint64_t seed) {
  const auto wanted = std::ranges::count_if(fractions, [](double f) { return f > 0; });
  require<DataError>(rows >= wanted, "{} rows cannot be divided into {} parts", rows, wanted);
  const auto share = [&](Split split) {
    const double f = fractions[index_of(split)];
    return f > 0 ? std::max<Index>(std::llround(f * static_cast<double>(rows)), 1) : 0;
  };
  const Split rest = *std::ranges::find_if(splits, [&](Split s) { return fractions[index_of(s)] > 0; });
  std::vector<Split> assigned(static_cast<std::size_t>(rows), rest);
  if (rows == 0) return assigned;
  const random::Permutation order(seed, random::Purpose::split, 0, rows);
  Index at = 0;
  for (const Split split : splits) {
    if (split == rest) continue;
    const Index most = rows - 1 - at;  // one is left for the first
    for (Index i = std::min(share(split), most); i > 0; --i) assigned[static_cast<std::size_t>(order(at++))] = split;
  }
  return assigned;
}

}  // namespace pushforward::data
