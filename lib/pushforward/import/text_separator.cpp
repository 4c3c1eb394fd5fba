#include <pushforward/import/text_separator.hpp>

#include <pushforward/import/text_numbers.hpp>
#include <pushforward/import/text_records.hpp>

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

namespace pushforward::data {

namespace {

constexpr std::string_view candidates = "\t;,| ";
constexpr std::size_t sample = 64;

using Record = std::vector<std::string>;

std::vector<Record> first_records(std::string_view text, char separator) {
  std::vector<Record> records;
  TextRecords all(text, separator);
  for (std::vector<std::string_view> fields; records.size() < sample && all.next(fields);) {
    records.emplace_back(fields.begin(), fields.end());
  }
  return records;
}

bool is_value(const std::string& field) {
  return number_in(field) || is_missing(field) || comma_use(field) != CommaUse::none;
}

bool has_blanks(const Record& record) {
  return std::ranges::any_of(record, [](const std::string& field) { return marks_in(field) == Marks::blanks; });
}

struct Division {
  double values = -1;  // the share of fields that are values
  bool whole = false;  // the separator divides the first record as well

  bool better_than(const Division& other) const {
    return values > other.values || (values == other.values && whole && !other.whole);
  }
};

// Returns how a separator divides the records, or nothing if they have not equally many fields, two or more. The first
// record may have one name fewer, or one field more or fewer that is empty.
std::optional<Division> divide_by(const std::vector<Record>& records) {
  if (records.empty()) return {};
  const std::size_t count = records.back().size(), first = records.front().size();
  const auto fits = [&](const Record& record) { return record.size() == count; };
  const auto rest = std::span(records).subspan(1);
  if (count < 2 || !std::ranges::all_of(rest, fits) || (first != count && first + 1 != count)) return {};
  std::size_t values = 0, fields = 0;
  for (const auto& record : rest.empty() ? std::span(records) : rest) {
    values += static_cast<std::size_t>(std::ranges::count_if(record, is_value));
    fields += record.size();
  }
  return Division{static_cast<double>(values) / static_cast<double>(fields), first > 1};
}

// The first candidate that stands in the first line and in at least half of the first lines.
std::optional<char> most_frequent(std::string_view text, bool decimal_commas) {
  std::vector<std::string> lines;
  for (const auto& record : first_records(text, '\n')) lines.push_back(record.front());
  for (const char candidate : candidates) {
    if (candidate == ' ' || (candidate == ',' && decimal_commas)) continue;
    const auto has = [&](const std::string& line) { return line.find(candidate) != std::string::npos; };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(lines, has));
    if (count > 0 && has(lines.front()) && 2 * count >= lines.size()) return candidate;
  }
  return {};
}

}  // namespace

char take_declared_separator(std::string_view& text) {
  constexpr std::string_view begin = "sep=";
  const auto line = text.substr(0, text.find_first_of("\r\n"));
  auto content = line;
  if (content.size() >= 2 && content.front() == '"' && content.back() == '"') {
    content = content.substr(1, content.size() - 2);
  }
  const bool named = std::ranges::equal(content.substr(0, begin.size()), begin, {},
                                        [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (!named || content.size() != begin.size() + 1) return '\0';
  const char separator = content.back();
  text.remove_prefix(line.size());
  if (text.starts_with("\r\n")) text.remove_prefix(1);
  if (!text.empty()) text.remove_prefix(1);
  return separator;
}

char find_separator(std::string_view text, bool decimal_commas) {
  std::optional<char> best;
  Division found;
  bool comma_leaves_blanks = false;
  for (const char candidate : candidates) {
    if (candidate == ',' && decimal_commas) continue;
    const auto records = first_records(text, candidate);
    const auto division = divide_by(records);
    // In "1 234,5", the blank is a separator and the comma is decimal, unless other fields speak against it.
    const bool replaces_comma =
        division && candidate == ' ' && best == ',' && comma_leaves_blanks && division->values == found.values;
    if (division && (division->better_than(found) || replaces_comma)) {
      best = candidate;
      found = *division;
    }
    if (candidate == ',') comma_leaves_blanks = std::ranges::any_of(records, has_blanks);
  }
  if (best) return *best;
  if (const auto frequent = most_frequent(text, decimal_commas)) return *frequent;
  // If every line is one field but for a name with blanks, there is one column.
  const auto records = first_records(text, ' ');
  const bool single =
      records.size() > 1 &&
      std::ranges::all_of(std::span(records).subspan(1), [](const Record& record) { return record.size() == 1; });
  const bool has_name = single && std::ranges::none_of(records.front(), is_value);
  return has_name && records.front().size() > 1 ? (decimal_commas ? ';' : ',') : ' ';
}

std::string describe_separator(char separator) {
  switch (separator) {
    case '\t': return "tab";
    case ' ': return "blanks";
    default: return {'\'', separator, '\''};
  }
}

}  // namespace pushforward::data
