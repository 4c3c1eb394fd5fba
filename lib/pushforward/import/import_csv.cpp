#include <pushforward/import/import_csv.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/import/samples.hpp>
#include <pushforward/import/text_header.hpp>
#include <pushforward/import/text_numbers.hpp>
#include <pushforward/import/text_records.hpp>
#include <pushforward/import/text_separator.hpp>
#include <pushforward/table/columns.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

namespace pushforward::data {

namespace {

using Fields = std::vector<std::string_view>;
using Header = CsvFormat::Header;
using Decimal = CsvFormat::Decimal;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

// A field that is remembered for a message.
struct Found {
  Index line = 0;  // 0: nothing was found
  std::string field;

  explicit operator bool() const { return line > 0; }
  void note(Index at, std::string_view text) {
    if (line == 0) *this = {at, std::string(text)};
  }
};

struct Column {
  ColumnFacts facts;      // of the lines after the first record
  Found text;             // the first field that is text
  Found decimals;         // "1,5"
  Found separation;       // "1,234,567"
  Found either;           // "1,234"
  Found points;           // "1.5" in a table with decimal commas
  Found doubtful_points;  // "1.234" in a table with decimal commas
  bool point_groups = false;
};

// All records of a text with as many fields in each.
struct Body {
  std::vector<std::string> first;  // the fields of the first record
  Index first_line = 0;
  bool same_line = false;   // the first record occurs again
  Index repeated_line = 0;  // the line on which it does
  std::vector<Column> columns;
  std::vector<double> values;  // (d × N), with the first record
  Index records = 0;
  Index comments = 0;
};

// How a text is read. What is found out on the way is added.
struct Reader {
  std::string_view text;
  const std::string& source;
  char separator;
  Index begin;  // the line on which the text begins
  Commas commas = Commas::undecided;
  bool short_header = false;  // the first record is a header with one name fewer than the rows have fields

  TextRecords records() const { return {text, separator, begin}; }

  void check_quote(const TextRecords& records) const {
    require<DataError>(records.open_quote() == 0, "{}:{}: a double quote opens here and is never closed", source,
                       records.open_quote());
  }

  void check_count(const TextRecords& records, const Fields& fields, std::size_t wanted, Index first_line) const {
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

  void note(Column& column, std::string_view field, Index line, bool is_first) const {
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
  double read(Column& column, std::string_view field, Index line, bool is_first) const {
    const auto value = number_in(field, commas);
    auto& facts = column.facts;
    if (value) {
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

  Body read() const {
    Body body;
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

  void add(Body& body, const Fields& fields, Index line) const {
    const bool is_first = !short_header && body.records == 0;
    for (std::size_t i = 0; i < fields.size(); ++i) {
      auto& column = body.columns[i];
      if (!is_first && i < body.first.size() && fields[i] == body.first[i]) column.facts.repeats = true;
      body.values.push_back(read(column, fields[i], line, is_first));
    }
    ++body.records;
  }

  // The classes of the columns for which `wanted` is true, without the first record if it is a header.
  std::vector<Labels> labels(const std::vector<bool>& wanted, bool skip_first) const {
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
};

std::string shown(std::string_view value) {
  std::size_t longest = 40;
  if (value.size() <= longest) return std::string(value);
  while ((static_cast<unsigned char>(value[longest]) & 0xC0U) == 0x80U) --longest;
  return std::string(value.substr(0, longest)) + "…";
}

// Decides what commas mean from the numbers of all columns. Returns `undecided` if the numbers do not tell.
Commas decide(const std::vector<Column>& columns) {
  const auto some = [&](auto&& member) {
    return std::ranges::any_of(columns, [&](const Column& c) { return bool(c.*member); });
  };
  const bool decimals = some(&Column::decimals), separation = some(&Column::separation);
  if (decimals == separation) return Commas::undecided;
  return decimals ? Commas::decimal : Commas::thousands;
}

// The error message for a column whose numbers can be read in two ways, or "".
std::string comma_complaint(const std::string& source, const std::vector<Column>& columns, std::size_t i,
                            const std::string& name, Commas commas) {
  const auto& column = columns[i];
  const auto place = [&](const Found& found) {
    return fmt::format("{}:{}: '{}' in column {} ({})", source, found.line, shown(found.field), i + 1, name);
  };
  constexpr auto advice = "say --decimal comma, or --decimal point if commas separate thousands";
  if (commas == Commas::decimal) {
    const bool grouped = std::ranges::any_of(columns, &Column::point_groups);
    if (column.points) {
      return place(column.points) + " has a decimal point, but other numbers have decimal commas; write all in one way";
    }
    if (column.doubtful_points && !grouped) {
      return place(column.doubtful_points) +
             " has a point, and other numbers have decimal commas; if its points separate thousands, say --decimal "
             "comma";
    }
    return "";
  }
  if (commas != Commas::undecided) return "";
  const auto mark = [](const Found& found) { return bool(found); };
  if (mark(column.decimals) && std::ranges::any_of(columns, mark, &Column::separation)) {
    return place(column.decimals) + " has a decimal comma, but in other numbers commas separate thousands; " + advice;
  }
  if (column.separation) {
    return place(column.separation) + " has commas between thousands, but other numbers have decimal commas; " + advice;
  }
  if (column.either) return fmt::format("{} can be a decimal number or thousands; {}", place(column.either), advice);
  return "";
}

std::string text_complaint(const std::string& source, const Body& body, std::size_t i,
                           const std::vector<std::string>& names, bool named) {
  const auto& column = body.columns[i];
  auto complaint = fmt::format("{}:{}: '{}' in column {} ({}) is not a number", source, column.text.line,
                               shown(column.text.field), i + 1, names[i]);
  if (named && body.repeated_line == column.text.line) return complaint + "; the line repeats the names";
  const auto selector = selector_of(static_cast<Index>(i), names);
  if (column.facts.numbers > column.facts.texts) {
    return complaint + fmt::format(", as {} others are; correct the line, or leave the column out with --exclude {}",
                                   column.facts.numbers, selector);
  }
  return complaint + fmt::format(
                         "; leave the column out with --exclude {0}, or take its classes with --context {0} "
                         "--one-hot {0}",
                         selector);
}

bool is_text(std::string_view field) {
  return !is_missing(field) && !number_in(field) && comma_use(field) == CommaUse::none;
}

// The names in the last comment before the first record, or nothing if it does not look like a line of names.
std::vector<std::string> names_in_comment(const Reader& reader, Header header) {
  auto records = reader.records();
  Fields first;
  if (header == Header::no || !records.next(first) || records.comments() == 0) return {};
  if (std::ranges::all_of(first, is_text)) return {};
  auto names = fields_of(records.comment(), reader.separator);
  if (names.size() != first.size()) return {};
  const bool chosen = header == Header::yes ? std::ranges::any_of(names, is_text) : std::ranges::all_of(names, is_text);
  return chosen ? names : std::vector<std::string>();
}

// Whether the first record is a header with one name fewer than the next record has fields.
bool has_short_header(const Reader& reader, Header header) {
  auto records = reader.records();
  Fields fields;
  if (header == Header::no || !records.next(fields)) return false;
  const std::size_t count = fields.size();
  const auto names_a_column = [](std::string_view field) { return field.empty() || is_text(field); };
  if (header == Header::automatic && !std::ranges::all_of(fields, names_a_column)) return false;
  return records.next(fields) && fields.size() == count + 1;
}

std::vector<std::string> names_from(const std::vector<std::string>& fields) {
  auto names = default_names(static_cast<Index>(fields.size()));
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!fields[i].empty()) {
      names[i] = fields[i];
    } else {
      while (std::ranges::find(fields, names[i]) != fields.end()) names[i] += '_';
    }
  }
  return names;
}

bool has_header(const Body& body, const std::string& source, Header header, Commas commas) {
  if (header != Header::automatic) return header == Header::yes;
  std::vector<ColumnFacts> facts;
  for (const auto& column : body.columns) facts.push_back(column.facts);
  const auto verdict = judge_first_line(body.first, facts, body.same_line, commas);
  require<DataError>(verdict != FirstLine::doubtful,
                     "{}:{}: the line ({}) can be the names of the columns or a row; say --header yes or --header no",
                     source, body.first_line, shown(join_some(body.first)));
  return verdict == FirstLine::header;
}

// Removes columns from the table, as they were numbered, and with the body's.
void keep(Table& table, Body& body, const std::vector<bool>& kept) {
  const std::size_t d = kept.size();
  std::size_t to = 0;
  for (std::size_t from = 0; from < table.values.size(); ++from) {
    if (kept[from % d]) table.values[to++] = table.values[from];
  }
  table.values.resize(to);
  to = 0;
  for (std::size_t i = 0; i < d; ++i) {
    if (!kept[i]) continue;
    table.names[to] = table.names[i];
    body.columns[to++] = body.columns[i];
  }
  table.names.resize(to);
  body.columns.resize(to);
}

}  // namespace

Table parse_csv(std::string_view text, const std::string& source, const CsvFormat& format) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  Table table;
  table.source = source;
  const bool marked = text.starts_with(byte_order_mark);
  if (marked) text.remove_prefix(byte_order_mark.size());
  require<DataError>(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
                     "{}: is text in UTF-16; save it in UTF-8", source);
  const auto zero = text.find('\0');
  require<DataError>(zero == std::string_view::npos, "{}: is not text in UTF-8: byte {} is zero", source, zero);
  const bool latin = !is_utf8(text);
  const std::string converted = latin ? latin1_to_utf8(text) : "";
  if (latin) text = converted;
  if (text.ends_with('\x1A')) text.remove_suffix(1);  // the end of a file of DOS
  const auto declared = take_declared_separator(text);

  Reader reader{.text = text,
                .source = source,
                .separator = format.separator != '\0' ? format.separator
                             : declared != '\0'       ? declared
                                                      : find_separator(text, format.decimal == Decimal::comma),
                .begin = declared != '\0' ? 2 : 1};
  if (format.decimal != Decimal::automatic) {
    reader.commas = format.decimal == Decimal::comma ? Commas::decimal : Commas::thousands;
  }
  const auto comment_names = names_in_comment(reader, format.header);
  reader.short_header = comment_names.empty() && has_short_header(reader, format.header);
  Body body = reader.read();
  const auto some_comma = [](const Column& c) { return c.decimals || c.separation || c.either; };
  if (reader.commas == Commas::undecided && std::ranges::any_of(body.columns, some_comma)) {
    reader.commas = decide(body.columns);
    if (reader.commas != Commas::undecided) body = reader.read();
  }

  const std::size_t d = body.columns.size();
  const bool first_has_names =
      comment_names.empty() && (reader.short_header || has_header(body, source, format.header, reader.commas));
  table.named = first_has_names || !comment_names.empty();
  table.values = std::move(body.values);
  if (first_has_names && !reader.short_header) {
    table.values.erase(table.values.begin(), table.values.begin() + static_cast<std::ptrdiff_t>(d));
    --body.records;
  } else if (!reader.short_header) {
    // The first record is a row, so the facts are of all records.
    for (std::size_t i = 0; i < d; ++i) {
      Column first = body.columns[i];
      first.text = {};
      reader.read(first, body.first[i], body.first_line, false);
      if (first.text) std::swap(body.columns[i].text, first.text);
      first.text = body.columns[i].text;
      body.columns[i] = first;
    }
  }
  require<DataError>(body.records > 0, "{}: has a header, but no rows", source);

  // Columns that are no data: names of the rows, and what separators at the ends of lines make.
  std::vector<std::string> written = comment_names.empty() ? body.first : comment_names;
  std::vector<bool> kept(d, true);
  const auto is_empty = [&](std::size_t i) { return body.columns[i].facts.empty == body.records; };
  bool row_names = false;
  if (reader.short_header) {
    row_names = !is_empty(d - 1);
    const auto& names = body.columns.front().facts;
    require<DataError>(!row_names || names.numbers == names.plain_integers,
                       "{}:{}: {} fields, where the line before has {}, and the first of them are no names of rows",
                       source, body.first_line, d, body.first.size());
    written.insert(row_names ? written.begin() : written.end(), "");
    kept.front() = !row_names;
  }
  for (std::size_t i = d; i-- > 1 && is_empty(i) && (!table.named || written[i].empty());) kept[i] = false;
  const auto trailing = std::ranges::count(kept, false) - (row_names ? 1 : 0);
  table.names = table.named ? names_from(written) : default_names(static_cast<Index>(d));
  std::vector<bool> texts(d);
  for (std::size_t i = 0; i < d; ++i) texts[i] = kept[i] && body.columns[i].facts.texts > 0;
  std::vector<Labels> labels;
  if (std::ranges::find(texts, true) != texts.end()) labels = reader.labels(texts, first_has_names);
  if (std::ranges::find(kept, false) != kept.end()) keep(table, body, kept);

  table.text.resize(table.names.size());
  for (std::size_t i = 0; i < table.names.size(); ++i) {
    if (format.decimal == Decimal::automatic) {
      table.text[i] = comma_complaint(source, body.columns, i, table.names[i], reader.commas);
    }
    if (table.text[i].empty() && body.columns[i].facts.texts > 0) {
      table.text[i] = text_complaint(source, body, i, table.names, table.named);
    }
  }
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (kept[i]) table.labels.push_back(std::move(labels[i]));
  }

  std::vector<std::string> remarks;
  if (marked) remarks.emplace_back("byte order mark");
  if (latin) remarks.emplace_back("ISO 8859-1");
  remarks.emplace_back(comment_names.empty() ? table.named ? "header" : "no header" : "header in a comment");
  remarks.push_back("separator " + describe_separator(reader.separator));
  const auto has_commas = [&] { return std::ranges::any_of(body.columns, some_comma); };
  if (reader.commas == Commas::decimal) remarks.emplace_back("decimal commas");
  if (reader.commas == Commas::thousands && has_commas()) remarks.emplace_back("commas between thousands");
  const Index header_comments = comment_names.empty() ? 0 : 1;
  if (body.comments > header_comments) {
    remarks.push_back(fmt::format("{} comments", body.comments - header_comments));
  }
  if (row_names) remarks.emplace_back("names of the rows left out");
  if (trailing == 1) remarks.emplace_back("empty last column left out");
  if (trailing > 1) remarks.push_back(fmt::format("{} empty last columns left out", trailing));
  table.remark = join(remarks);
  return table;
}

}  // namespace pushforward::data
