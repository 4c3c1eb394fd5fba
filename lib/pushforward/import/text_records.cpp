#include <pushforward/import/text_records.hpp>

#include <pushforward/import/text_numbers.hpp>

#include <algorithm>
#include <array>

namespace pushforward::data {

namespace {

// U+00A0, U+2007, U+2009, U+202F and U+FEFF.
constexpr std::array<std::string_view, 5> wide_blanks{"\xC2\xA0", "\xE2\x80\x87", "\xE2\x80\x89", "\xE2\x80\xAF",
                                                      "\xEF\xBB\xBF"};

bool is_narrow_blank(char c) {
  return c == ' ' || c == '\t' || c == '\f' || c == '\v';
}

std::size_t blank_length_at_end(std::string_view text) {
  if (text.empty()) return 0;
  if (is_narrow_blank(text.back())) return 1;
  const auto wide = std::ranges::find_if(wide_blanks, [&](std::string_view blank) { return text.ends_with(blank); });
  return wide == wide_blanks.end() ? 0 : wide->size();
}

std::string_view without_single_quotes(std::string_view field) {
  const bool quoted = field.size() >= 2 && field.front() == '\'' && field.find('\'', 1) == field.size() - 1;
  return quoted ? trim_blanks(field.substr(1, field.size() - 2)) : field;
}

}  // namespace

std::size_t blank_length(std::string_view text) {
  if (text.empty()) return 0;
  if (is_narrow_blank(text.front())) return 1;
  if (static_cast<unsigned char>(text.front()) < 0x80) return 0;
  const auto wide = std::ranges::find_if(wide_blanks, [&](std::string_view blank) { return text.starts_with(blank); });
  return wide == wide_blanks.end() ? 0 : wide->size();
}

std::string_view trim_blanks(std::string_view text) {
  for (auto n = blank_length(text); n > 0; n = blank_length(text)) text.remove_prefix(n);
  for (auto n = blank_length_at_end(text); n > 0; n = blank_length_at_end(text)) text.remove_suffix(n);
  return text;
}

bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t k) { return i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U; };
    const unsigned lead = byte(0);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    const std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4) return false;
    for (std::size_t k = 1; k <= more; ++k) {
      if ((byte(k) & 0xC0U) != 0x80U) return false;
    }
    const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xED && byte(1) >= 0xA0, beyond = lead == 0xF4 && byte(1) >= 0x90;
    if (overlong || surrogate || beyond) return false;
    i += more + 1;
  }
  return true;
}

std::string latin1_to_utf8(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      result.push_back(c);
    } else {
      result.push_back(static_cast<char>(0xC0U | (byte >> 6U)));
      result.push_back(static_cast<char>(0x80U | (byte & 0x3FU)));
    }
  }
  return result;
}

TextRecords::TextRecords(std::string_view text, char separator, Index first_line)
    : text_(text), separator_(separator), newline_(text.find('\n')), line_(first_line) {}

// Returns the line that begins at at_, without its end, and goes to the next one.
std::string_view TextRecords::take_line() {
  if (newline_ != std::string_view::npos && newline_ < at_) newline_ = text_.find('\n', at_);
  auto line = text_.substr(at_, newline_ == std::string_view::npos ? newline_ : newline_ - at_);
  line = line.substr(0, line.find('\r'));
  at_ += line.size();
  end_line();
  return line;
}

// Goes behind the line end at at_, if there is one. The end of the text ends a line as well.
bool TextRecords::end_line() {
  if (at_ < text_.size() && text_[at_] != '\n' && text_[at_] != '\r') return false;
  if (text_.substr(at_).starts_with("\r\n")) ++at_;
  at_ = std::min(at_ + 1, text_.size());
  ++line_;
  return true;
}

std::size_t TextRecords::separator_length(std::string_view text) const {
  if (separator_ == ' ') return blank_length(text);
  return text.front() == separator_ ? 1 : 0;
}

// "#N/A" and its like in the first field are missing values.
bool TextRecords::is_comment(std::string_view content) const {
  if (!content.starts_with('#')) return false;
  std::size_t end = 0;
  while (end < content.size() && separator_length(content.substr(end)) == 0) ++end;
  return !is_missing(trim_blanks(content.substr(0, end)));
}

bool TextRecords::next(std::vector<std::string_view>& fields) {
  fields.clear();
  unquoted_.clear();
  while (at_ < text_.size()) {
    first_of_record_ = line_;
    const std::size_t begin = at_;
    const auto line = take_line();
    const auto content = trim_blanks(line);
    // A line of nothing but tabs has empty fields if tabs separate them.
    if (content.empty() && (separator_ != '\t' || line.find('\t') == std::string_view::npos)) continue;
    if (is_comment(content)) {
      ++comments_;
      comment_ = trim_blanks(content.substr(std::min(content.find_first_not_of('#'), content.size())));
      continue;
    }
    if (line.find('"') == std::string_view::npos) {
      split(line, fields);
    } else {
      at_ = begin;
      --line_;
      split_quoted(fields);
    }
    for (auto& field : fields) field = without_single_quotes(field);
    return true;
  }
  return false;
}

void TextRecords::split(std::string_view line, std::vector<std::string_view>& fields) const {
  if (separator_ != ' ') {
    for (auto end = line.find(separator_); end != std::string_view::npos; end = line.find(separator_)) {
      fields.push_back(trim_blanks(line.substr(0, end)));
      line.remove_prefix(end + 1);
    }
    fields.push_back(trim_blanks(line));
    return;
  }
  for (line = trim_blanks(line); !line.empty(); line = trim_blanks(line)) {
    std::size_t end = 0;
    while (end < line.size() && blank_length(line.substr(end)) == 0) ++end;
    fields.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

// Reads a record with quotes. It may go over several lines.
void TextRecords::split_quoted(std::vector<std::string_view>& fields) {
  std::string* field = &unquoted_.emplace_back();
  bool quoted = false, begun = false;  // begun: the field has a character or a quote
  Index opened = 0;
  for (;;) {
    if (quoted) {
      if (at_ >= text_.size()) {
        open_quote_ = opened;
        ++line_;
        break;
      }
      const char c = text_[at_];
      if (c == '\n' || c == '\r') {
        const std::size_t begin = at_;
        end_line();
        field->append(text_.substr(begin, at_ - begin));
        continue;
      }
      ++at_;
      if (c != '"') {
        field->push_back(c);
      } else if (at_ < text_.size() && text_[at_] == '"') {
        field->push_back('"');
        ++at_;
      } else {
        quoted = false;
      }
      continue;
    }
    if (end_line()) break;
    const auto rest = text_.substr(at_);
    if (const auto length = separator_length(rest); length > 0) {
      at_ += length;
      if (separator_ == ' ' && !begun) continue;
      field = &unquoted_.emplace_back();
      begun = false;
    } else if (const auto blank = begun ? 0 : blank_length(rest); blank > 0) {
      at_ += blank;
    } else if (rest.front() == '"' && !begun) {
      quoted = begun = true;
      opened = line_;
      ++at_;
    } else {
      field->push_back(rest.front());
      begun = true;
      ++at_;
    }
  }
  if (separator_ == ' ' && !begun) unquoted_.pop_back();
  for (const auto& text : unquoted_) fields.push_back(trim_blanks(text));
}

std::vector<std::string> fields_of(std::string_view line, char separator) {
  TextRecords records(line, separator);
  std::vector<std::string_view> fields;
  records.next(fields);
  return {fields.begin(), fields.end()};
}

}  // namespace pushforward::data
