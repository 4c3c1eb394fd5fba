#include <pushforward/import/import_csv.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <deque>
#include <limits>

namespace pushforward::data {

namespace {

constexpr std::string_view blanks = " \t";

std::string_view trim(std::string_view field) {
  const auto first = field.find_first_not_of(blanks);
  return first == std::string_view::npos ? std::string_view()
                                         : field.substr(first, field.find_last_not_of(blanks) + 1 - first);
}

bool is_missing(std::string_view field) {
  static constexpr std::array marks{"", "NA", "N/A", "NaN", "nan", "NULL", "null", "None", "?"};
  return std::ranges::find(marks, field) != marks.end();
}

std::optional<double> number_in(std::string_view field) {
  return parse_number<double>(field, Beyond::rounded);
}

// The records of a text, one after the other.
class Records {
 public:
  Records(std::string_view text, char separator) : text_(text), separator_(separator) {}

  // Fields of the next record, valid until the call after; false at the end.
  bool next(std::vector<std::string_view>& fields) {
    fields.clear();
    unquoted_.clear();
    while (at_ < text_.size()) {
      ++line_;
      record_line_ = line_;
      const auto end = std::min(text_.find('\n', at_), text_.size());
      auto line = text_.substr(at_, end - at_);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (trim(line).empty() || line.starts_with('#')) {
        at_ = end + 1;
        continue;
      }
      if (line.find('"') == std::string_view::npos) {
        split(line, fields);
        at_ = end + 1;
      } else {
        split_quoted(fields);
      }
      return true;
    }
    return false;
  }

  // Number of the line on which the last record began, from 1.
  Index line() const { return record_line_; }

 private:
  bool separates(char c) const { return separator_ == ' ' ? c == ' ' || c == '\t' : c == separator_; }

  void split(std::string_view line, std::vector<std::string_view>& fields) const {
    if (separator_ != ' ') {
      for (auto end = line.find(separator_); end != std::string_view::npos; end = line.find(separator_)) {
        fields.push_back(trim(line.substr(0, end)));
        line.remove_prefix(end + 1);
      }
      fields.push_back(trim(line));
      return;
    }
    for (line = trim(line); !line.empty(); line = trim(line)) {
      const auto end = std::min(line.find_first_of(blanks), line.size());
      fields.push_back(line.substr(0, end));
      line.remove_prefix(end);
    }
  }

  // A record with quoted fields, which may hold separators, line ends and doubled quotes.
  void split_quoted(std::vector<std::string_view>& fields) {
    bool quoted = false, pending = true;
    std::string* field = &unquoted_.emplace_back();
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (quoted) {
        if (c == '\n') ++line_;
        if (c != '"') {
          field->push_back(c);
        } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
          field->push_back(text_[++at_]);
        } else {
          quoted = false;
        }
      } else if (c == '"') {
        quoted = true;
        pending = true;
      } else if (c == '\n') {
        ++at_;
        break;
      } else if (separates(c)) {
        if (separator_ == ' ' && !pending) continue;
        field = &unquoted_.emplace_back();
        pending = separator_ != ' ';
      } else if (c != '\r') {
        field->push_back(c);
        pending = true;
      }
    }
    if (!pending) unquoted_.pop_back();
    for (const auto& text : unquoted_) fields.push_back(trim(text));
  }

  std::string_view text_;
  char separator_;
  std::size_t at_ = 0;
  Index line_ = 0, record_line_ = 0;
  std::deque<std::string> unquoted_;
};

// The first of these that stands in the first line and in at least half of those after it.
char find_separator(std::string_view text) {
  constexpr std::size_t sample = 16;
  std::vector<std::string> lines;
  Records records(text, '\n');
  for (std::vector<std::string_view> line; lines.size() < sample && records.next(line);) {
    lines.emplace_back(line.front());
  }
  for (const char candidate : {'\t', ';', ','}) {
    const auto has = [&](const std::string& line) { return line.find(candidate) != std::string::npos; };
    const auto count = static_cast<std::size_t>(std::ranges::count_if(lines, has));
    if (count > 0 && has(lines.front()) && 2 * count >= lines.size()) return candidate;
  }
  return ' ';
}

std::string describe(char separator) {
  switch (separator) {
    case '\t': return "tab";
    case ' ': return "blanks";
    default: return {'\'', separator, '\''};
  }
}

std::string text_complaint(const Table& table, std::size_t column, Index line, std::string_view value, char separator) {
  constexpr std::size_t longest = 40;
  const std::string shown = std::string(value.substr(0, longest)) + (value.size() > longest ? "…" : "");
  const bool comma = separator != ',' && value.find(',') != std::string_view::npos;
  return fmt::format("{}:{}: '{}' in column {} ({}) is not a number{}", table.source, line, shown, column + 1,
                     table.names[column],
                     comma ? "; decimals are written with a point"
                           : fmt::format("; leave the column out with --exclude {}", column + 1));
}

}  // namespace

Table parse_csv(std::string_view text, const std::string& source, const CsvFormat& format) {
  constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
  Table table;
  table.source = source;
  const bool marked = text.starts_with(byte_order_mark);
  if (marked) text.remove_prefix(byte_order_mark.size());
  const auto zero = text.find('\0');
  require<DataError>(zero == std::string_view::npos, "{}: is not text in UTF-8: byte {} is zero", source, zero);

  const char separator = format.separator != '\0' ? format.separator : find_separator(text);
  Records records(text, separator);
  std::vector<std::string_view> fields;
  require<DataError>(records.next(fields), "{}: has no rows", source);
  const auto names_a_column = [](std::string_view field) { return !is_missing(field) && !number_in(field); };
  table.named = format.header == CsvFormat::Header::yes ||
                (format.header == CsvFormat::Header::automatic && std::ranges::all_of(fields, names_a_column));
  table.names = default_names(static_cast<Index>(fields.size()));
  table.text.resize(fields.size());
  if (table.named) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].empty()) table.names[i] = fields[i];
    }
  }

  const Index first_line = records.line();
  for (bool more = !table.named || records.next(fields); more; more = records.next(fields)) {
    require<DataError>(fields.size() == table.names.size(), "{}:{}: {} fields, where line {} has {}", source,
                       records.line(), fields.size(), first_line, table.names.size());
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const auto value = number_in(fields[i]);
      if (!value && table.text[i].empty() && !is_missing(fields[i])) {
        table.text[i] = text_complaint(table, i, records.line(), fields[i], separator);
      }
      table.values.push_back(value.value_or(std::numeric_limits<double>::quiet_NaN()));
    }
  }
  require<DataError>(!table.values.empty(), "{}: has a header, but no rows", source);
  table.remark = fmt::format("{}{}, separator {}", marked ? "byte order mark, " : "",
                             table.named ? "header" : "no header", describe(separator));
  return table;
}

}  // namespace pushforward::data
