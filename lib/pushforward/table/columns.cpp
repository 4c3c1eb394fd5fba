#include <pushforward/table/columns.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pushforward::data {

std::vector<Index> select_columns(std::string_view selector, std::span<const std::string> names) {
  const auto d = static_cast<Index>(names.size());
  if (const auto named = std::ranges::find(names, selector); named != names.end()) return {named - names.begin()};
  Index first = 1, last = d;
  if (selector != "*") {
    const auto ends = parts_of(selector, '-');
    const auto from = parse_number<Index>(ends.front()), to = parse_number<Index>(ends.back());
    if (from && to && ends.size() <= 2) {
      first = *from;
      last = *to;
    } else {
      throw OptionError(fmt::format("no column '{}'{}; there are {}, which may also be given by number from 1 to {}",
                                    selector, suggestion(selector, names), join(names), d));
    }
  }
  require<OptionError>(1 <= first && first <= last && last <= d, "columns '{}': numbers go from 1 to {}", selector, d);
  std::vector<Index> columns(last - first + 1);
  std::iota(columns.begin(), columns.end(), first - 1);
  return columns;
}

std::vector<Index> select_columns(std::span<const std::string> selectors, std::span<const std::string> names) {
  std::vector<Index> columns;
  for (const auto& selector : selectors) {
    for (const Index column : select_columns(std::string_view(selector), names)) {
      if (std::ranges::find(columns, column) == columns.end()) columns.push_back(column);
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
