#include <pushforward/table/columns.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

namespace pushforward::data {

namespace {

constexpr std::string_view by_name = "name:", by_number = "number:";

std::vector<Index> named(std::string_view name, std::span<const std::string> names) {
  std::vector<Index> columns;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) columns.push_back(static_cast<Index>(i));
  }
  return columns;
}

// First and last number of "3", "2-5" or "*", or nothing if the text has another form.
std::optional<std::pair<Index, Index>> range_of(std::string_view text, Index d) {
  if (text == "*") return std::pair{Index{1}, d};
  const auto ends = parts_of(text, '-');
  const auto from = parse_number<Index>(ends.front()), to = parse_number<Index>(ends.back());
  if (!from || !to || ends.size() > 2) return {};
  return std::pair{*from, *to};
}

bool is_within(const std::pair<Index, Index>& range, Index d) {
  return 1 <= range.first && range.first <= range.second && range.second <= d;
}

std::vector<Index> columns_in(const std::pair<Index, Index>& range) {
  std::vector<Index> columns(range.second - range.first + 1);
  std::iota(columns.begin(), columns.end(), range.first - 1);
  return columns;
}

[[noreturn]] void refuse_twice(std::string_view selector, std::span<const Index> columns) {
  throw OptionError(
      fmt::format("column '{}' is ambiguous: columns {} and {} have this name; choose one as {}{} or {}{}", selector,
                  columns[0] + 1, columns[1] + 1, by_number, columns[0] + 1, by_number, columns[1] + 1));
}

}  // namespace

std::vector<Index> select_columns(std::string_view selector, std::span<const std::string> names) {
  const auto d = static_cast<Index>(names.size());
  auto with_name = named(selector, names);
  const bool numbered = selector.starts_with(by_number);
  if (with_name.empty() && selector.starts_with(by_name)) {
    const auto name = selector.substr(by_name.size());
    auto columns = named(name, names);
    require<OptionError>(!columns.empty(), "no column '{}'{}; there are {}", name, suggestion(name, names),
                         join_some(names));
    if (columns.size() > 1) refuse_twice(name, columns);
    return columns;
  }
  const auto text = numbered ? selector.substr(by_number.size()) : selector;
  const auto range = range_of(text, d);
  if (!with_name.empty()) {
    const bool other = range && is_within(*range, d) && columns_in(*range) != with_name;
    require<OptionError>(
        !other,
        "column '{0}' is ambiguous: it is the name of column {1}, and it stands for columns by number; "
        "write {2}{0} for the name or {3}{4} for the numbers",
        selector, with_name.front() + 1, by_name, by_number, text == "*" ? fmt::format("1-{}", d) : text);
    if (with_name.size() > 1) refuse_twice(selector, with_name);
    return with_name;
  }
  require<OptionError>(range.has_value(),
                       "no column '{}'{}; there are {}, which may also be given by number from 1 to {}", selector,
                       suggestion(selector, names), join_some(names), d);
  require<OptionError>(is_within(*range, d), "columns '{}': numbers go from 1 to {}", selector, d);
  return columns_in(*range);
}

std::string selector_of(Index column, std::span<const std::string> names) {
  auto number = fmt::format("{}", column + 1);
  const auto same = named(number, names);
  const bool clear = same.empty() || (same.size() == 1 && same.front() == column);
  return clear ? number : fmt::format("{}{}", by_number, number);
}

std::vector<Index> select_columns(std::span<const std::string> selectors, std::span<const std::string> names) {
  std::vector<Index> columns;
  std::vector<bool> chosen(names.size());
  for (const auto& selector : selectors) {
    for (const Index column : select_columns(std::string_view(selector), names)) {
      if (!chosen[column]) columns.push_back(column);
      chosen[column] = true;
    }
  }
  return columns;
}

ColumnNumber parse_column_number(std::string_view text, std::string_view option) {
  const auto equals = text.rfind('=');
  const bool chosen = equals != std::string_view::npos;
  ColumnNumber result{std::string(chosen ? text.substr(0, equals) : "*"), 0};
  const auto number = parse_number<double>(text.substr(chosen ? equals + 1 : 0));
  require<OptionError>(number && std::isfinite(*number) && !result.selector.empty(),
                       "{} '{}': wanted is COLUMNS=NUMBER, or NUMBER for all columns", option, text);
  result.number = *number;
  return result;
}

}  // namespace pushforward::data
