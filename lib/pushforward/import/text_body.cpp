#include <pushforward/import/text_body.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/import/samples.hpp>
#include <pushforward/import/text_separator.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace pushforward::data {

namespace {

using Fields = std::vector<std::string_view>;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

void TextReader::check_quote(const TextRecords& records) const {
  require<DataError>(records.open_quote() == 0, "{}:{}: a double quote opens here and is never closed", source,
                     records.open_quote());
}

void TextReader::check_count(const TextRecords& records, const Fields& fields, std::size_t wanted,
                             Index first_line) const {
  if (fields.size() == wanted) return;
  std::string hint;
  if (records.last_line() > records.line()) {
    hint = fmt::format("; quotes join the lines {} to {}", records.line(), records.last_line());
  } else if (std::ranges::any_of(fields, [](std::string_view field) { return field.starts_with('\''); })) {
    hint = "; single quotes do not protect separators, double quotes do";
  } else if (fields.size() == wanted + 1 && fields.back().empty()) {
    hint = "; it ends with a separator";
  }
  throw DataError(fmt::format("{}:{}: {} fields, where line {} has {}{} (separator {})", source, records.line(),
                              fields.size(), first_line, wanted, hint, describe_separator(separator)));
}

void TextReader::note(TextColumn& column, std::string_view field, Index line, bool is_first) const {
  const auto use = comma_use(field);
  if (use == CommaUse::decimals) column.decimals.note(line, field);
  if (use == CommaUse::separation) column.separation.note(line, field);
  if (use == CommaUse::either) column.either.note(line, field);
  if (is_first || commas != Commas::decimal || field.find('.') == std::string_view::npos) return;
  if (has_point_groups(field)) {
    column.point_groups = true;
  } else if (is_doubtful_point(field)) {
    column.doubtful_points.note(line, field);
  } else if (number_in(field)) {
    column.points.note(line, field);
  }
}

// Reads one field, and adds what it is to the facts of its column unless it is in the first record.
double TextReader::read(TextColumn& column, std::string_view field, Index line, bool is_first) const {
  const auto value = number_in(field, commas);
  auto& facts = column.facts;
  if (value) {
    const auto marks = marks_in(field);
    column.blanks = column.blanks || marks == Marks::blanks;
    column.apostrophes = column.apostrophes || marks == Marks::apostrophes;
    if (commas != Commas::undecided) note(column, field, line, is_first);
    if (is_first || std::isnan(*value)) return *value;
    ++facts.numbers;
    if (is_plain_integer(field)) ++facts.plain_integers;
    facts.least = std::min(facts.least, *value);
    facts.greatest = std::max(facts.greatest, *value);
    return *value;
  }
  if (is_missing(field)) {
    if (!is_first && field.empty()) ++facts.empty;
    return missing;
  }
  const bool has_comma = comma_use(field) != CommaUse::none;
  if (has_comma || commas == Commas::decimal) note(column, field, line, is_first);
  if (has_comma && commas == Commas::undecided) {
    if (!is_first) ++facts.numbers;
  } else if (!is_first) {
    ++facts.texts;
    column.text.note(line, field);
  }
  return missing;
}

TextBody TextReader::read() const {
  TextBody body;
  auto records = this->records();
  Fields fields;
  const bool found = records.next(fields);
  check_quote(records);
  require<DataError>(found, "{}: has no rows", source);
  body.first.assign(fields.begin(), fields.end());
  body.first_line = records.line();
  std::size_t wanted = fields.size();
  if (short_header) {
    ++wanted;
    body.columns.resize(wanted);
  } else {
    body.columns.resize(wanted);
    add(body, fields, records.line());
  }
  while (records.next(fields)) {
    check_quote(records);
    if (short_header && body.records == 0) body.first_line = records.line();
    check_count(records, fields, wanted, body.first_line);
    const bool same = !short_header && std::ranges::equal(fields, body.first);
    if (same && !body.same_line) body.repeated_line = records.line();
    body.same_line = body.same_line || same;
    add(body, fields, records.line());
  }
  body.comments = records.comments();
  return body;
}

void TextReader::add(TextBody& body, const Fields& fields, Index line) const {
  const bool is_first = !short_header && body.records == 0;
  for (std::size_t i = 0; i < fields.size(); ++i) {
    auto& column = body.columns[i];
    if (!is_first && i < body.first.size() && fields[i] == body.first[i]) column.facts.repeats = true;
    body.values.push_back(read(column, fields[i], line, is_first));
  }
  ++body.records;
}

std::vector<Labels> TextReader::labels(const std::vector<bool>& wanted, bool skip_first) const {
  constexpr Index none = -1;
  std::vector<Labels> all(wanted.size());
  std::vector<std::map<std::string, Index, std::less<>>> classes(wanted.size());
  std::vector<bool> few = wanted;
  auto records = this->records();
  Fields fields;
  if (skip_first) records.next(fields);
  while (records.next(fields)) {
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (!few[i]) continue;
      const bool absent = is_missing(fields[i]) || std::isnan(number_in(fields[i]).value_or(0));
      auto found = absent ? classes[i].end() : classes[i].find(fields[i]);
      if (!absent && found == classes[i].end()) {
        found = classes[i].emplace(fields[i], static_cast<Index>(classes[i].size())).first;
      }
      all[i].rows.push_back(absent ? none : found->second);
      few[i] = static_cast<Index>(classes[i].size()) <= most_classes;
    }
  }
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!few[i]) {
      all[i] = {};
      continue;
    }
    std::vector<Index> sorted(classes[i].size());
    for (const auto& [name, number] : classes[i]) {
      sorted[number] = std::ssize(all[i].classes);
      all[i].classes.push_back(name);
    }
    for (Index& row : all[i].rows) row = row == none ? none : sorted[row];
  }
  return all;
}

void TextReader::first_is_header(TextBody& body) const {
  if (short_header) return;
  body.values.erase(body.values.begin(), body.values.begin() + std::ssize(body.columns));
  --body.records;
}

void TextReader::first_is_row(TextBody& body) const {
  for (std::size_t i = 0; i < body.columns.size(); ++i) {
    auto& column = body.columns[i];
    const auto later = std::exchange(column.text, {});
    read(column, body.first[i], body.first_line, false);
    if (!column.text) column.text = later;
  }
}

}  // namespace pushforward::data
