#include <pushforward/core/option_value.hpp>
#include <pushforward/core/text.hpp>

#include <fmt/format.h>

#include <cmath>
#include <type_traits>

namespace pushforward {

namespace {

template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};

template <class T>
constexpr std::string_view name_of() {
  if constexpr (std::is_same_v<T, bool>) return "true or false";
  if constexpr (std::is_same_v<T, Index>) return "an integer";
  if constexpr (std::is_same_v<T, double>) return "a number";
  if constexpr (std::is_same_v<T, std::string>) return "a string";
  if constexpr (std::is_same_v<T, std::vector<Index>>) return "a list of integers";
  if constexpr (std::is_same_v<T, std::vector<double>>) return "a list of numbers";
  if constexpr (std::is_same_v<T, std::vector<std::string>>) return "a list of strings";
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// NaN keeps no rule, so it is no value.
template <class T>
std::optional<T> number_in(std::string_view text) {
  const auto value = parse_number<T>(text);
  if constexpr (std::is_floating_point_v<T>) {
    if (value && std::isnan(*value)) return {};
  }
  return value;
}

std::optional<bool> parse_truth(std::string_view text) {
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return {};
}

template <class T>
std::optional<T> parse_as(std::string_view text) {
  if constexpr (IsVector<T>::value) {
    T list;
    if (trimmed(text).empty()) return list;
    for (std::size_t at = 0; at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      auto element = parse_as<typename T::value_type>(trimmed(text.substr(at, comma - at)));
      if (!element) return {};
      list.push_back(std::move(*element));
      at = comma + 1;
    }
    return list;
  } else if constexpr (std::is_same_v<T, bool>) {
    return parse_truth(text);
  } else if constexpr (std::is_same_v<T, std::string>) {
    return std::string(text);
  } else {
    return number_in<T>(text);
  }
}

bool holds_nan(const OptionValue& value) {
  if (const auto* number = std::get_if<double>(&value)) return std::isnan(*number);
  if (const auto* list = std::get_if<std::vector<double>>(&value)) {
    for (const double number : *list) {
      if (std::isnan(number)) return true;
    }
  }
  return false;
}

template <class T>
std::optional<OptionValue> convert_to(const OptionValue& value) {
  if (std::holds_alternative<T>(value)) return value;
  if constexpr (std::is_same_v<T, double>) {
    if (const auto* integer = std::get_if<Index>(&value)) return static_cast<double>(*integer);
  }
  if constexpr (std::is_same_v<T, std::vector<double>>) {
    if (const auto* integers = std::get_if<std::vector<Index>>(&value)) return T(integers->begin(), integers->end());
  }
  if constexpr (IsVector<T>::value) {
    const bool empty = std::visit(
        [](const auto& v) {
          if constexpr (IsVector<std::decay_t<decltype(v)>>::value) return v.empty();
          return false;
        },
        value);
    if (empty) return T{};
  }
  return {};
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (const auto code = static_cast<unsigned char>(c); code < 0x20 || code == 0x7f) {
      out += fmt::format("\\u{:04X}", code);
    } else {
      out += c;
    }
  }
  return out + '"';
}

// The shortest digits that read back to the same double, marked as a floating-point number.
std::string number_text(double value) {
  std::string text = fmt::format("{}", value);
  if (std::isfinite(value) && text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

template <class T, class Format>
std::string list_text(const std::vector<T>& list, std::string_view separator, const Format& format) {
  std::vector<std::string> elements;
  for (const auto& element : list) elements.push_back(format(element));
  return join(elements, separator);
}

struct FlagFormat {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(Index value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return fmt::format("{}", value); }
  std::string operator()(const std::string& value) const { return value; }
  template <class T>
  std::string operator()(const std::vector<T>& list) const {
    return list_text(list, ",", *this);
  }
};

struct TomlFormat {
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(Index value) const { return fmt::format("{}", value); }
  std::string operator()(double value) const { return number_text(value); }
  std::string operator()(const std::string& value) const { return quoted(value); }
  template <class T>
  std::string operator()(const std::vector<T>& list) const {
    return fmt::format("[{}]", list_text(list, ", ", *this));
  }
};

}  // namespace

OptionValue current_value(const OptionTarget& target) {
  return std::visit([](const auto* field) { return OptionValue(*field); }, target);
}

std::string_view type_name(const OptionTarget& target) {
  return std::visit([](const auto* field) { return name_of<std::decay_t<decltype(*field)>>(); }, target);
}

std::string_view type_name(const OptionValue& value) {
  return std::visit([](const auto& v) { return name_of<std::decay_t<decltype(v)>>(); }, value);
}

bool is_list(const OptionTarget& target) {
  return std::visit([](const auto* field) { return IsVector<std::decay_t<decltype(*field)>>::value; }, target);
}

std::optional<OptionValue> parse_value(const OptionTarget& target, std::string_view text) {
  return std::visit(
      [&](const auto* field) -> std::optional<OptionValue> { return parse_as<std::decay_t<decltype(*field)>>(text); },
      target);
}

std::optional<OptionValue> convert_value(const OptionTarget& target, const OptionValue& value) {
  if (holds_nan(value)) return {};
  return std::visit([&](const auto* field) { return convert_to<std::decay_t<decltype(*field)>>(value); }, target);
}

std::string flag_text(const OptionValue& value) {
  return std::visit(FlagFormat{}, value);
}

std::string toml_text(const OptionValue& value) {
  return std::visit(TomlFormat{}, value);
}

}  // namespace pushforward
