#include "mutate.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

namespace pushforward::fuzz {

namespace {

// SplitMix64 [Steele, Lea, Flood 2014].
class Random {
 public:
  explicit Random(std::uint64_t state) : state_(state) {}

  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15U;
    z = (z ^ z >> 30U) * 0xbf58476d1ce4e5b9U;
    z = (z ^ z >> 27U) * 0x94d049bb133111ebU;
    return z ^ z >> 31U;
  }
  // 0 … count − 1.
  std::size_t below(std::size_t count) { return next() % count; }
  bool one_in(std::size_t count) { return below(count) == 0; }
  char byte() { return static_cast<char>(next()); }

 private:
  std::uint64_t state_;
};

constexpr std::array<std::uint64_t, 22> integers{0,
                                                 1,
                                                 2,
                                                 3,
                                                 8,
                                                 0x7f,
                                                 0x80,
                                                 0xff,
                                                 0x100,
                                                 0x7fff,
                                                 0x8000,
                                                 0xffff,
                                                 0x10000,
                                                 0x7fffffff,
                                                 0x80000000,
                                                 0xffffffff,
                                                 0x100000000,
                                                 0x2000000000000000,
                                                 0x7fffffffffffffff,
                                                 0x8000000000000000,
                                                 0xfffffffffffffffe,
                                                 0xffffffffffffffff};

constexpr std::array<std::string_view, 48> words{",",
                                                 ";",
                                                 "\t",
                                                 "|",
                                                 " ",
                                                 ":",
                                                 "\n",
                                                 "\r\n",
                                                 "\r",
                                                 "\"",
                                                 "\"\"",
                                                 "'",
                                                 "#",
                                                 "=",
                                                 "[",
                                                 "]",
                                                 "[[",
                                                 "]]",
                                                 "{",
                                                 "}",
                                                 "(",
                                                 ")",
                                                 ".",
                                                 "..",
                                                 "-",
                                                 "+",
                                                 "1e999",
                                                 "-1e999",
                                                 "0x1p",
                                                 "nan",
                                                 "inf",
                                                 "NA",
                                                 "true",
                                                 "sep=;\n",
                                                 "1,234,567",
                                                 "1.234,5",
                                                 "\xef\xbb\xbf",
                                                 "\xff\xfe",
                                                 "\xc3\xa9",
                                                 "\xe2\x88\x92",
                                                 "\xc2\xa0",
                                                 "\x1a",
                                                 "9223372036854775808",
                                                 "-9223372036854775808",
                                                 "1e308",
                                                 "'''",
                                                 "\"\"\"",
                                                 "2020-01-01"};

struct Range {
  std::size_t first, count;
};

// A range that is short more often than long.
Range range_in(Random& random, std::size_t size) {
  if (size == 0) return {0, 0};
  const std::size_t most = std::max<std::size_t>(1, size >> random.below(8));
  const std::size_t count = 1 + random.below(most);
  return {random.below(size - std::min(size, count) + 1), std::min(size, count)};
}

void put_integer(std::string& file, Random& random) {
  std::uint64_t value = random.one_in(8) ? file.size() : integers[random.below(integers.size())];
  const std::size_t width = std::size_t{1} << random.below(4);
  if (file.size() < width) return;
  const std::size_t at = random.below(file.size() - width + 1);
  const bool is_big = random.one_in(3);
  for (std::size_t i = 0; i < width; ++i) {
    file[at + (is_big ? width - 1 - i : i)] = static_cast<char>(value);
    value >>= 8U;
  }
}

void insert(std::string& file, Random& random, std::string_view part) {
  file.insert(random.below(file.size() + 1), part);
}

// Words go into the text, or in the place of what is between two other separators.
void put_word(std::string& file, Random& random) {
  const auto word = words[random.below(words.size())];
  if (random.one_in(2) || file.empty()) {
    insert(file, random, word);
    return;
  }
  constexpr std::string_view ends = ",;\t\n= \"";
  const std::size_t at = random.below(file.size());
  const auto end = std::min(file.find_first_of(ends, at), file.size());
  const auto begin = file.find_last_of(ends, at);
  const std::size_t first = begin == std::string::npos ? 0 : std::min(begin + 1, end);
  file.replace(first, end - first, word);
}

void change(std::string& file, std::span<const std::string> files, bool is_text, Random& random) {
  enum { flip, byte, integer, add, cut, extend, repeat, move, remove, splice, fill, kinds };
  if (is_text && random.one_in(2)) {
    put_word(file, random);
    return;
  }
  const Range range = range_in(random, file.size());
  switch (random.below(kinds)) {
    case flip:
      if (!file.empty()) file[range.first] = static_cast<char>(file[range.first] ^ (1U << random.below(8)));
      break;
    case byte:
      if (!file.empty()) file[range.first] = random.byte();
      break;
    case integer: put_integer(file, random); break;
    case add:
      if (!file.empty())
        file[range.first] = static_cast<char>(file[range.first] + static_cast<char>(random.below(9)) - 4);
      break;
    case cut: file.resize(file.size() - range.count); break;
    case extend: file.append(range.count, random.one_in(2) ? '\0' : random.byte()); break;
    case repeat: insert(file, random, file.substr(range.first, range.count)); break;
    case move: {
      const auto part = file.substr(range.first, range.count);
      file.erase(range.first, range.count);
      insert(file, random, part);
      break;
    }
    case remove: file.erase(range.first, range.count); break;
    case splice: {
      const auto& other = files[random.below(files.size())];
      const Range from = range_in(random, other.size());
      const auto part = std::string_view(other).substr(from.first, from.count);
      const std::size_t at = random.one_in(2) ? from.first : random.below(file.size() + 1);
      const std::size_t first = std::min(at, file.size());
      file.replace(first, std::min(from.count, file.size() - first), part);
      break;
    }
    case fill:
    default: file.replace(range.first, range.count, range.count, random.one_in(2) ? '\0' : '\xff'); break;
  }
}

}  // namespace

std::string damaged(std::span<const std::string> files, bool is_text, std::uint64_t seed, std::uint64_t number) {
  constexpr std::uint64_t stride = 0x2545f4914f6cdd1dU;
  constexpr std::size_t more = 4096, most_changes = 8;
  Random random((seed + 1) * stride + number);
  const auto longest = std::ranges::max_element(files, {}, &std::string::size)->size();
  const std::string& original = files[random.below(files.size())];
  std::string file = original;
  std::size_t changes = 1;
  while (changes < most_changes && random.one_in(2)) ++changes;
  for (std::size_t done = 0; done < changes || file == original; ++done) {
    change(file, files, is_text, random);
    if (file.size() > 2 * longest + more) file.resize(2 * longest + more);
  }
  return file;
}

}  // namespace pushforward::fuzz
