#include <pushforward/import/text_numbers.hpp>

#include <pushforward/core/text.hpp>
#include <pushforward/import/text_records.hpp>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

namespace pushforward::data {

namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool is_word(std::string_view field, std::string_view lower) {
  return std::ranges::equal(field, lower, {}, [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
}

std::size_t count_digits(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find_if_not(text, is_digit) - text.begin());
}

constexpr std::string_view minus = "\xE2\x88\x92";  // U+2212

std::string_view without_sign(std::string_view field) {
  if (field.starts_with(minus)) {
    field.remove_prefix(minus.size());
  } else if (field.starts_with('+') || field.starts_with('-')) {
    field.remove_prefix(1);
  }
  return field;
}

// Whether there is nothing, or an exponent.
bool is_exponent(std::string_view text) {
  if (text.empty()) return true;
  if (std::string_view("eEdD").find(text.front()) == std::string_view::npos) return false;
  text = without_sign(text.substr(1));
  return !text.empty() && count_digits(text) == text.size();
}

// Returns the length of digits in groups of three after a first group, or 0 if there are no groups. A number in groups
// does not begin with a zero.
std::size_t length_of_groups(std::string_view text, char between) {
  const std::size_t first = count_digits(text);
  if (first == 0 || first > 3 || text.front() == '0') return 0;
  std::size_t at = first;
  while (at < text.size() && text[at] == between && count_digits(text.substr(at + 1)) == 3) at += 4;
  return at == first ? 0 : at;
}

// Whether the text is empty, or a mark with decimals, and then perhaps an exponent.
bool are_decimals(std::string_view text, char mark) {
  if (text.empty() || text.front() != mark) return is_exponent(text);
  text.remove_prefix(1);
  return is_exponent(text.substr(count_digits(text)));
}

// Reads a number with the marks between its groups left out and with a point for the decimals.
std::optional<double> number_with(std::string_view field, char between, char mark) {
  std::string text(field);
  std::erase(text, between);
  std::ranges::replace(text, mark, '.');
  return number_in(text);
}

bool is_hexadecimal(std::string_view field) {
  field = without_sign(field);
  return field.size() > 2 && field[0] == '0' && (field[1] == 'x' || field[1] == 'X');
}

// The mark between thousands at the beginning of a text, or "".
std::string_view mark_at(std::string_view text) {
  constexpr std::string_view quotation_mark = "\xE2\x80\x99";  // U+2019
  if (text.starts_with('\'')) return text.substr(0, 1);
  if (text.starts_with(quotation_mark)) return quotation_mark;
  const auto length = blank_length(text);
  return length == 1 && text.front() != ' ' ? std::string_view() : text.substr(0, length);
}

// A field in which all signs are in ASCII, and without the marks of marks_in().
class Plain {
 public:
  explicit Plain(std::string_view field) : text_(field) {
    const auto is_special = [](char c) { return c == ' ' || c == '\'' || static_cast<unsigned char>(c) >= 0x80; };
    if (std::ranges::none_of(field, is_special)) return;
    const bool has_marks = marks_in(field) != Marks::none;
    while (!field.empty()) {
      const auto mark = has_marks ? mark_at(field) : std::string_view();
      if (field.starts_with(minus)) {
        changed_ += '-';
        field.remove_prefix(minus.size());
      } else if (!mark.empty()) {
        field.remove_prefix(mark.size());
      } else {
        changed_ += field.front();
        field.remove_prefix(1);
      }
    }
    text_ = changed_;
  }
  Plain(const Plain&) = delete;
  Plain& operator=(const Plain&) = delete;

  std::string_view text() const { return text_; }

 private:
  std::string changed_;
  std::string_view text_;
};

CommaUse comma_use_of(std::string_view field) {
  if (field.find(',') == std::string_view::npos) return CommaUse::none;
  const auto text = without_sign(field);
  const std::size_t groups = length_of_groups(text, ',');
  const bool separates = groups > 0 && are_decimals(text.substr(groups), '.');
  const std::size_t points = length_of_groups(text, '.');
  const std::size_t whole = points > 0 ? points : count_digits(text);
  const bool follows = whole + 1 < text.size() && text[whole] == ',' && is_digit(text[whole + 1]);
  const bool decimals = follows && are_decimals(text.substr(whole), ',');
  if (decimals) return separates ? CommaUse::either : CommaUse::decimals;
  return separates ? CommaUse::separation : CommaUse::none;
}

std::optional<double> number_of(std::string_view field, Commas commas) {
  if (commas == Commas::decimal && field.find_first_of(",.") != std::string_view::npos) {
    const auto digits = without_sign(field);
    const std::size_t groups = length_of_groups(digits, '.');
    if (groups > 0 && are_decimals(digits.substr(groups), ',')) return number_with(field, '.', ',');
    if (field.find('.') != std::string_view::npos || comma_use_of(field) == CommaUse::none) return {};
    return number_with(field, '.', ',');
  }
  if (const auto value = parse_number<double>(field, Beyond::rounded)) return value;
  if (field.empty()) return {};
  if (commas == Commas::thousands && field.find(',') != std::string_view::npos) {
    const auto use = comma_use_of(field);
    if (use == CommaUse::separation || use == CommaUse::either) return number_with(field, ',', '.');
    return {};
  }
  if (is_word(field, "true")) return 1;
  if (is_word(field, "false")) return 0;
  if (is_hexadecimal(field)) {
    const std::string text(field);
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() + text.size()) return value;
    return {};
  }
  if (const auto letter = field.find_first_of("dD"); letter != std::string_view::npos && letter > 0) {
    const char before = field[letter - 1];
    if ((!is_digit(before) && before != '.') || !is_exponent(field.substr(letter))) return {};
    std::string text(field);
    text[letter] = 'e';
    return parse_number<double>(text, Beyond::rounded);
  }
  return {};
}

}  // namespace

Marks marks_in(std::string_view field) {
  const auto text = without_sign(field);
  std::size_t at = count_digits(text);
  if (at == 0 || at > 3 || text.front() == '0') return Marks::none;
  const auto mark = mark_at(text.substr(at));
  if (mark.empty()) return Marks::none;
  while (text.substr(at).starts_with(mark) && count_digits(text.substr(at + mark.size())) == 3) at += mark.size() + 3;
  const auto rest = text.substr(at);
  const bool ends = are_decimals(rest, '.') || are_decimals(rest, ',');
  if (count_digits(text) == at || !ends) return Marks::none;
  return blank_length(mark) > 0 ? Marks::blanks : Marks::apostrophes;
}

bool is_missing(std::string_view field) {
  static constexpr auto marks = std::to_array<std::string_view>(
      {"",    "NA",       "N/A",  "n/a",     "NULL",    "null",  "None",   "?",       "-",       ".",        "#N/A",
       "#NA", "#N/A N/A", "<NA>", "#VALUE!", "#DIV/0!", "#NUM!", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN", minus});
  return field.size() <= 8 && std::ranges::find(marks, field) != marks.end();
}

std::optional<double> number_in(std::string_view field, Commas commas) {
  return number_of(Plain(field).text(), commas);
}

CommaUse comma_use(std::string_view field) {
  return field.find(',') == std::string_view::npos ? CommaUse::none : comma_use_of(Plain(field).text());
}

bool is_doubtful_point(std::string_view field) {
  const auto text = without_sign(field);
  const std::size_t groups = length_of_groups(text, '.');
  return groups > 0 && groups == text.size() && std::ranges::count(text, '.') == 1;
}

bool has_point_groups(std::string_view field) {
  const auto text = without_sign(field);
  const std::size_t groups = length_of_groups(text, '.');
  return groups > 0 && are_decimals(text.substr(groups), ',') && !is_doubtful_point(field);
}

bool is_plain_integer(std::string_view field) {
  return !field.empty() && count_digits(field) == field.size();
}

}  // namespace pushforward::data
