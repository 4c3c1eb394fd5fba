#include <pushforward/import/text_header.hpp>

#include <algorithm>
#include <limits>
#include <vector>

namespace pushforward::data {

namespace {

// The numbers of the first line, and how they stand to the columns under them.
struct Numbers {
  std::vector<double> values;
  bool plain = true;       // nonnegative integers without a sign, a point or an exponent
  bool outside = true;     // each is outside the range of its column
  bool increasing = true;  // strictly
  bool fractions = false;  // some column has numbers that are not written as integers
  bool all_fractions = true;

  void add(const std::string& field, double value, const ColumnFacts& column) {
    increasing = increasing && (values.empty() || values.back() < value);
    plain = plain && is_plain_integer(field);
    outside = outside && !(value >= column.least && value <= column.greatest);
    if (column.numbers > column.plain_integers) fractions = true;
    if (column.plain_integers > 0 || column.numbers == 0) all_fractions = false;
    values.push_back(value);
  }
  bool named_like(double begin) const {
    double next = begin;
    return plain && std::ranges::all_of(values, [&](double value) { return value == next++; });
  }
  bool consecutive() const { return !values.empty() && named_like(values.front()); }
  bool years() const {
    return plain && increasing && values.size() >= 2 && values.front() >= 1500 && values.back() <= 2200;
  }
  bool distinct() const {
    auto sorted = values;
    std::ranges::sort(sorted);
    return std::ranges::adjacent_find(sorted) == sorted.end();
  }
};

FirstLine judge_numbers(const Numbers& numbers, std::size_t fields, bool same_line) {
  if (!numbers.plain || !numbers.distinct() || same_line) return FirstLine::row;
  if (numbers.named_like(0) && fields >= 2) {
    return numbers.all_fractions ? FirstLine::header : FirstLine::doubtful;
  }
  if (numbers.years() && numbers.outside) return numbers.fractions ? FirstLine::header : FirstLine::doubtful;
  return numbers.all_fractions ? FirstLine::doubtful : FirstLine::row;
}

// For a line with text over columns of text only.
FirstLine judge_mixed(const Numbers& numbers) {
  if (numbers.plain && numbers.distinct()) {
    const bool like_names = numbers.years() || (numbers.values.size() >= 2 && numbers.consecutive());
    if (numbers.all_fractions) return like_names ? FirstLine::header : FirstLine::doubtful;
    if (like_names && numbers.outside) return numbers.fractions ? FirstLine::header : FirstLine::doubtful;
    return FirstLine::row;
  }
  // Wavelengths are names as well, and nothing but their order tells them from values.
  return numbers.values.size() >= 3 && numbers.increasing && numbers.outside ? FirstLine::doubtful : FirstLine::row;
}

}  // namespace

FirstLine judge_first_line(std::span<const std::string> first, std::span<const ColumnFacts> rest, bool same_line,
                           Commas commas) {
  Numbers numbers;
  std::size_t texts = 0;
  bool over_numbers = false, repeats = false, has_numbers = false, has_rest = false;
  for (std::size_t i = 0; i < first.size(); ++i) {
    has_numbers = has_numbers || rest[i].numbers > 0;
    has_rest = has_rest || rest[i].numbers + rest[i].texts + rest[i].empty > 0;
    auto value = number_in(first[i], commas);
    if (!value) value = number_in(first[i]);
    if (value || comma_use(first[i]) != CommaUse::none) {
      numbers.add(first[i], value.value_or(std::numeric_limits<double>::quiet_NaN()), rest[i]);
    } else if (!is_missing(first[i])) {
      ++texts;
      over_numbers = over_numbers || (rest[i].numbers > 0 && rest[i].texts == 0);
      repeats = repeats || rest[i].repeats;
    }
  }
  // Without a number anywhere, a word that occurs again is a class.
  if (texts == first.size()) return repeats && !has_numbers ? FirstLine::row : FirstLine::header;
  if (!has_rest) return FirstLine::row;
  if (texts == 0) return numbers.values.empty() ? FirstLine::row : judge_numbers(numbers, first.size(), same_line);
  if (over_numbers) return numbers.plain && numbers.distinct() ? FirstLine::header : FirstLine::doubtful;
  if (repeats) return FirstLine::row;
  // R and pandas leave the name of the first column empty.
  if (texts + 1 == first.size() && first.front().empty()) return FirstLine::header;
  return numbers.values.empty() ? FirstLine::doubtful : judge_mixed(numbers);
}

}  // namespace pushforward::data
