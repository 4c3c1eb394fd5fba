#include <pushforward/import/import_csv.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>
#include <pushforward/import/text_body.hpp>
#include <pushforward/import/text_separator.hpp>
#include <pushforward/table/columns.hpp>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

namespace pushforward::data {

namespace {

using Fields = std::vector<std::string_view>;
using Header = CsvFormat::Header;
using Decimal = CsvFormat::Decimal;

std::string shown(std::string_view value) {
  std::size_t longest = 40;
  if (value.size() <= longest) return std::string(value);
  while ((static_cast<unsigned char>(value[longest]) & 0xC0U) == 0x80U) --longest;
  return std::string(value.substr(0, longest)) + "…";
}

// Decides what commas mean from the numbers of all columns. Returns `undecided` if the numbers do not tell.
Commas decide(const std::vector<TextColumn>& columns) {
  const auto some = [&](auto&& member) {
    return std::ranges::any_of(columns, [&](const TextColumn& c) { return bool(c.*member); });
  };
  const bool decimals = some(&TextColumn::decimals), separation = some(&TextColumn::separation);
  if (decimals == separation) return Commas::undecided;
  return decimals ? Commas::decimal : Commas::thousands;
}

// The error message for a column whose numbers can be read in two ways, or "".
std::string comma_complaint(const std::string& source, const std::vector<TextColumn>& columns, std::size_t i,
                            const std::string& name, Commas commas) {
  const auto& column = columns[i];
  const auto place = [&](const FoundField& found) {
    return fmt::format("{}:{}: '{}' in column {} ({})", source, found.line, shown(found.field), i + 1, name);
  };
  constexpr auto advice = "say --decimal comma, or --decimal point if commas separate thousands";
  if (commas == Commas::decimal) {
    const bool grouped = std::ranges::any_of(columns, &TextColumn::point_groups);
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
  const auto mark = [](const FoundField& found) { return bool(found); };
  if (mark(column.decimals) && std::ranges::any_of(columns, mark, &TextColumn::separation)) {
    return place(column.decimals) + " has a decimal comma, but in other numbers commas separate thousands; " + advice;
  }
  if (column.separation) {
    return place(column.separation) + " has commas between thousands, but other numbers have decimal commas; " + advice;
  }
  if (column.either) return fmt::format("{} can be a decimal number or thousands; {}", place(column.either), advice);
  return "";
}

std::string text_complaint(const std::string& source, const TextBody& body, std::size_t i,
                           const std::vector<std::string>& names, bool named, bool has_classes) {
  const auto& column = body.columns[i];
  auto complaint = fmt::format("{}:{}: '{}' in column {} ({}) is not a number", source, column.text.line,
                               shown(column.text.field), i + 1, names[i]);
  if (named && body.repeated_line == column.text.line) return complaint + "; the line repeats the names";
  const auto has_name = [&](const TextColumn& other) {
    return other.facts.texts == 1 && other.text.line == column.text.line;
  };
  constexpr Index most_lines_above = 5;
  const Index above = column.text.line - body.first_line;
  if (!named && names.size() > 1 && above > 0 && above <= most_lines_above &&
      std::ranges::all_of(body.columns, has_name)) {
    return complaint +
           fmt::format("; the line may be the names of the columns. Then remove line {} and others above it",
                       body.first_line);
  }
  if (names.size() == 1)
    return complaint + "; if lines have several fields, choose what is between them with --separator";
  const auto selector = selector_of(static_cast<Index>(i), names);
  if (column.facts.numbers > 0) {
    complaint += fmt::format(", as {} others are; correct the line, or leave", column.facts.numbers);
  } else {
    complaint += "; leave";
  }
  complaint += " the column out with --exclude " + selector;
  const bool mostly_text = column.facts.texts > column.facts.numbers;
  if (has_classes && mostly_text) {
    complaint += fmt::format(", or take its classes with --context {0} --one-hot {0}", selector);
  }
  return complaint;
}

bool is_text(std::string_view field) {
  return !is_missing(field) && !number_in(field) && comma_use(field) == CommaUse::none;
}

// The names in the last comment before the first record, or nothing if it does not look like a line of names.
std::vector<std::string> names_in_comment(const TextReader& reader, Header header) {
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
bool has_short_header(const TextReader& reader, Header header) {
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

bool has_header(const TextBody& body, const std::string& source, Header header, Commas commas) {
  if (header != Header::automatic) return header == Header::yes;
  std::vector<ColumnFacts> facts;
  for (const auto& column : body.columns) facts.push_back(column.facts);
  const auto verdict = judge_first_line(body.first, facts, body.same_line, commas);
  require<DataError>(verdict != FirstLine::doubtful,
                     "{}:{}: the line ({}) can be the names of the columns or a row; say --header yes or --header no",
                     source, body.first_line, shown(join_some(body.first)));
  return verdict == FirstLine::header;
}

// The text itself, and what was found around it.
struct Content {
  std::string converted;  // the text if it had to be converted
  std::string_view text;
  bool marked = false, latin = false;
  char separator = '\0';  // declared by a line "sep=;"
};

void open_content(Content& content, std::string_view text, const std::string& source) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  content.marked = text.starts_with(byte_order_mark);
  if (content.marked) text.remove_prefix(byte_order_mark.size());
  require<DataError>(!text.starts_with("\xFF\xFE") && !text.starts_with("\xFE\xFF"),
                     "{}: is text in UTF-16; save it in UTF-8", source);
  const auto zero = text.find('\0');
  require<DataError>(zero == std::string_view::npos, "{}: is not text in UTF-8: byte {} is zero", source, zero);
  content.latin = !is_utf8(text);
  if (content.latin) {
    content.converted = latin1_to_utf8(text);
    text = content.converted;
  }
  if (text.ends_with('\x1A')) text.remove_suffix(1);  // the end of a file of DOS
  content.separator = take_declared_separator(text);
  content.text = text;
}

// Octave's `save` writes one variable below the other. Several of them are no table, even if they have equally many
// columns.
void refuse_several_variables(std::string_view text, const std::string& source) {
  constexpr std::string_view mark = "\n# name: ";
  if (!text.starts_with("# Created by Octave")) return;
  std::vector<std::string> names;
  for (auto at = text.find(mark); at != std::string_view::npos; at = text.find(mark, at)) {
    at += mark.size();
    names.emplace_back(trim_blanks(text.substr(at, text.find_first_of("\r\n", at) - at)));
  }
  require<DataError>(names.size() <= 1, "{}: holds {} variables of Octave, {}; save one of them", source, names.size(),
                     join_some(names));
}

// Reads the records, and reads them again if the first reading tells what commas mean.
TextBody read_body(TextReader& reader) {
  TextBody body = reader.read();
  if (reader.commas != Commas::undecided || !std::ranges::any_of(body.columns, &TextColumn::has_commas)) return body;
  reader.commas = decide(body.columns);
  return reader.commas == Commas::undecided ? body : reader.read();
}

// The columns of a text, of which some are left out.
struct Choice {
  std::vector<std::string> names;
  std::vector<bool> kept;
  bool row_names = false;  // the first column is left out
  Index trailing = 0;      // last columns that are left out
};

// Whether the first fields of the rows below a short header can be names of rows, as R writes them: unique and without
// fractions. Below a single name they are not other numbers than 0, 1, … or 1, 2, …, since the name may be a title.
bool are_row_names(const TextReader& reader) {
  auto records = reader.records();
  Fields fields;
  records.next(fields);
  const bool single = fields.size() == 1;
  std::set<std::string, std::less<>> seen;
  bool has_text = false, counts = true;
  std::optional<double> last;
  while (records.next(fields)) {
    const auto& field = fields.front();
    if (!seen.emplace(field).second) return false;
    const auto value = number_in(field);
    has_text = has_text || !value;
    if (!value) continue;
    if (!is_plain_integer(field)) return false;
    counts = counts && (last ? *value == *last + 1 : *value <= 1);
    last = value;
  }
  return has_text || counts || !single;
}

// written: the names in the text, or nothing if it has none.
Choice choose(const TextReader& reader, const TextBody& body, std::vector<std::string> written) {
  const std::size_t d = body.columns.size();
  const bool named = !written.empty();
  Choice choice{.names = {}, .kept = std::vector<bool>(d, true)};
  const auto is_empty = [&](std::size_t i) { return body.columns[i].facts.empty == body.records; };
  if (reader.short_header) {
    choice.row_names = !is_empty(d - 1);
    require<DataError>(!choice.row_names || are_row_names(reader),
                       "{}:{}: {} fields, where the line before has {}, and the first of them are no names of rows; if "
                       "the line before is a title, remove it, and otherwise write a name for each column",
                       reader.source, body.first_line, d, body.first.size());
    written.insert(choice.row_names ? written.begin() : written.end(), "");
    choice.kept.front() = !choice.row_names;
  }
  for (std::size_t i = d; i-- > 1 && is_empty(i) && (!named || written[i].empty());) {
    choice.kept[i] = false;
    ++choice.trailing;
  }
  choice.names = named ? names_from(written) : default_names(static_cast<Index>(d));
  return choice;
}

template <class V>
void keep(std::vector<V>& elements, const std::vector<bool>& kept) {
  std::size_t to = 0;
  for (std::size_t from = 0; from < elements.size(); ++from) {
    if (!kept[from % kept.size()]) continue;
    if (to != from) elements[to] = std::move(elements[from]);
    ++to;
  }
  elements.resize(to);
}

std::string remark(const Content& content, const TextReader& reader, const TextBody& body, const Choice& choice,
                   std::string_view header, Index comments) {
  std::vector<std::string> remarks;
  if (content.marked) remarks.emplace_back("byte order mark");
  if (content.latin) remarks.emplace_back("ISO 8859-1");
  remarks.emplace_back(header);
  remarks.push_back("separator " + describe_separator(reader.separator));
  if (reader.commas == Commas::decimal) remarks.emplace_back("decimal commas");
  if (reader.commas == Commas::thousands && std::ranges::any_of(body.columns, &TextColumn::has_commas)) {
    remarks.emplace_back("commas between thousands");
  }
  if (std::ranges::any_of(body.columns, &TextColumn::blanks)) remarks.emplace_back("blanks between thousands");
  if (std::ranges::any_of(body.columns, &TextColumn::apostrophes))
    remarks.emplace_back("apostrophes between thousands");
  if (comments > 0) remarks.push_back(fmt::format("{} comments", comments));
  if (choice.row_names) remarks.emplace_back("names of the rows left out");
  if (choice.trailing == 1) remarks.emplace_back("empty last column left out");
  if (choice.trailing > 1) remarks.push_back(fmt::format("{} empty last columns left out", choice.trailing));
  return join(remarks);
}

}  // namespace

Table parse_csv(std::string_view text, const std::string& source, const CsvFormat& format) {
  Content content;
  open_content(content, text, source);
  refuse_several_variables(content.text, source);
  TextReader reader{.text = content.text, .source = source, .begin = content.separator != '\0' ? 2 : 1};
  if (format.decimal != Decimal::automatic) {
    reader.commas = format.decimal == Decimal::comma ? Commas::decimal : Commas::thousands;
  }
  reader.separator = format.separator != '\0'    ? format.separator
                     : content.separator != '\0' ? content.separator
                                                 : find_separator(reader.text, reader.commas == Commas::decimal);
  const auto comment_names = names_in_comment(reader, format.header);
  reader.short_header = comment_names.empty() && has_short_header(reader, format.header);
  TextBody body = read_body(reader);
  const bool has_names =
      comment_names.empty() && (reader.short_header || has_header(body, source, format.header, reader.commas));
  if (has_names) {
    reader.first_is_header(body);
  } else {
    reader.first_is_row(body);
  }
  require<DataError>(body.records > 0, "{}: has a header, but no rows", source);
  auto choice = choose(reader, body, has_names ? body.first : comment_names);

  Table table;
  table.source = source;
  table.named = has_names || !comment_names.empty();
  std::vector<bool> texts;
  for (std::size_t i = 0; i < body.columns.size(); ++i) {
    texts.push_back(choice.kept[i] && body.columns[i].facts.texts > 0);
  }
  if (std::ranges::find(texts, true) != texts.end()) table.labels = reader.labels(texts, has_names);
  if (std::ranges::find(choice.kept, false) != choice.kept.end()) {
    keep(body.values, choice.kept);
    keep(body.columns, choice.kept);
    keep(choice.names, choice.kept);
    keep(table.labels, choice.kept);
  }
  table.values = std::move(body.values);
  table.names = std::move(choice.names);
  table.text.resize(table.names.size());
  for (std::size_t i = 0; i < table.names.size(); ++i) {
    if (format.decimal == Decimal::automatic) {
      table.text[i] = comma_complaint(source, body.columns, i, table.names[i], reader.commas);
    }
    if (table.text[i].empty() && body.columns[i].facts.texts > 0) {
      table.text[i] = text_complaint(source, body, i, table.names, table.named, !table.labels[i].classes.empty());
    }
  }
  const std::string_view header = !comment_names.empty() ? "header in a comment" : has_names ? "header" : "no header";
  table.remark = remark(content, reader, body, choice, header, body.comments - (comment_names.empty() ? 0 : 1));
  return table;
}

}  // namespace pushforward::data
