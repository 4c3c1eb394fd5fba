#include <pushforward/core/error.hpp>
#include <pushforward/core/option_set.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>

namespace pushforward {

namespace {

OptionRule number_rule(std::string text, std::string_view unit, std::function<bool(double)> number) {
  if (!unit.empty()) text += fmt::format(" ({})", unit);
  return {std::move(text), std::move(number), {}};
}

// Whether every number or word of a value meets the rule.
struct Meets {
  const OptionRule& rule;

  bool operator()(bool) const { return true; }
  bool operator()(Index value) const { return (*this)(static_cast<double>(value)); }
  bool operator()(double value) const { return !rule.number || rule.number(value); }
  bool operator()(const std::string& value) const { return !rule.word || rule.word(value); }
  template <class T>
  bool operator()(const std::vector<T>& list) const {
    return std::all_of(list.begin(), list.end(), [this](const T& element) { return (*this)(element); });
  }
};

void assign(const OptionTarget& target, const OptionValue& value) {
  std::visit([&](auto* field) { *field = std::get<std::decay_t<decltype(*field)>>(value); }, target);
}

// Assigns a value whose type is right, or throws; `shown` is the value as the user wrote it.
void assign_checked(OptionEntry& entry, const OptionValue& value, std::string_view shown, std::string_view source) {
  require<OptionError>(std::visit(Meets{entry.rule}, value), "{}: {} = {}: must be {}", source, entry.key, shown,
                       entry.rule.text);
  assign(entry.target, value);
  entry.is_set = true;
}

}  // namespace

OptionRule at_least(double low, std::string_view unit) {
  return number_rule(fmt::format("at least {}", low), unit, [=](double x) { return x >= low; });
}

OptionRule more_than(double low, std::string_view unit) {
  return number_rule(fmt::format("more than {}", low), unit, [=](double x) { return x > low; });
}

OptionRule between(double low, double high, std::string_view unit) {
  return number_rule(fmt::format("between {} and {}", low, high), unit,
                     [=](double x) { return x >= low && x <= high; });
}

OptionRule strictly_between(double low, double high, std::string_view unit) {
  return number_rule(fmt::format("more than {} and less than {}", low, high), unit,
                     [=](double x) { return x > low && x < high; });
}

OptionRule from_to_below(double low, double high, std::string_view unit) {
  return number_rule(fmt::format("at least {} and less than {}", low, high), unit,
                     [=](double x) { return x >= low && x < high; });
}

OptionRule one_of(std::vector<std::string> words) {
  std::string text = fmt::format("one of {}", join(words));
  return {std::move(text), {}, [words = std::move(words)](std::string_view word) {
            return std::find(words.begin(), words.end(), word) != words.end();
          }};
}

OptionSet& OptionSet::add_entry(OptionEntry entry) {
  const bool present = std::any_of(entries_.begin(), entries_.end(), [&](const auto& e) { return e.key == entry.key; });
  require<BugError>(!present, "OptionSet::add: the key {} is added twice", entry.key);
  entries_.push_back(std::move(entry));
  return *this;
}

OptionSet& OptionSet::add_table(std::string_view table, const OptionSet& keys) {
  for (OptionEntry entry : keys.entries_) {
    entry.key = fmt::format("{}.{}", table, entry.key);
    if (!entry.use.key.empty()) entry.use.key = fmt::format("{}.{}", table, entry.use.key);
    add_entry(std::move(entry));
  }
  return *this;
}

OptionSet& OptionSet::add_all(const OptionSet& keys) {
  for (const OptionEntry& entry : keys.entries_) add_entry(entry);
  return *this;
}

OptionSet& OptionSet::add_kind(std::string_view key, std::string_view kind, const OptionSet& keys) {
  for (OptionEntry entry : keys.entries_) {
    const auto present =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.key == entry.key; });
    require<OptionError>(present == entries_.end(), "{} = '{}': another kind has the key {} already", key, kind,
                         entry.key);
    entry.help = fmt::format("{}: {}", kind, entry.help);
    if (entry.use.key.empty()) entry.use = {std::string(key), {std::string(kind)}};
    add_entry(std::move(entry));
  }
  return *this;
}

OptionSet& OptionSet::only_with(std::string_view key, std::string_view other, std::vector<std::string> values) {
  entries_[position(key, "only_with")].use = {std::string(other), std::move(values)};
  return *this;
}

OptionSet& OptionSet::alias(std::string_view key, std::string flag) {
  auto& entry = entries_[position(key, flag)];
  entry.aliases.push_back(std::move(flag));
  return *this;
}

std::size_t OptionSet::position(std::string_view key, std::string_view source) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.key == key; });
  if (found == entries_.end()) {
    throw OptionError(fmt::format("{}: unknown key {}{}", source, key, suggestion(key, keys())));
  }
  return static_cast<std::size_t>(found - entries_.begin());
}

void OptionSet::set(std::string_view key, const OptionValue& value, std::string_view source) {
  auto& entry = entries_[position(key, source)];
  const auto converted = convert_value(entry.target, value);
  const std::string shown = toml_text(value);
  require<OptionError>(converted.has_value(), "{}: {} = {}: must be {}, not {}", source, key, shown,
                       type_name(entry.target), type_name(value));
  assign_checked(entry, *converted, shown, source);
}

void OptionSet::set_text(std::string_view key, std::string_view text, std::string_view source) {
  auto& entry = entries_[position(key, source)];
  const auto value = parse_value(entry.target, text);
  require<OptionError>(value.has_value(), "{}: {} = {}: must be {}", source, key, text, type_name(entry.target));
  assign_checked(entry, *value, text, source);
}

bool OptionSet::has_effect(const OptionEntry& entry) const {
  if (entry.use.key.empty()) return true;
  const OptionEntry& other = at(entry.use.key, entry.key);
  const auto value = std::get<std::string>(current_value(other.target));
  return std::find(entry.use.values.begin(), entry.use.values.end(), value) != entry.use.values.end() &&
         has_effect(other);
}

void OptionSet::require_effect(std::string_view source) const {
  for (const auto& entry : entries_) {
    if (!entry.is_set || has_effect(entry)) continue;
    throw OptionError(fmt::format("{}{}{} does nothing for {} = '{}'; leave it out", source, source.empty() ? "" : ": ",
                                  entry.key, entry.use.key,
                                  flag_text(current_value(at(entry.use.key, entry.key).target))));
  }
}

void OptionSet::accept_printed(std::string_view table) {
  const auto belongs = [&](const OptionEntry& entry) { return table_of(entry.key) == table; };
  const bool all =
      std::all_of(entries_.begin(), entries_.end(), [&](const auto& e) { return !belongs(e) || e.is_set; });
  for (auto& entry : entries_) {
    if (all && belongs(entry) && current_value(entry.target) == entry.default_value) entry.is_set = false;
  }
}

OptionSet& OptionSet::add_tables(OptionTables tables) {
  tables_.push_back(std::move(tables));
  return *this;
}

const OptionTables* OptionSet::tables(std::string_view key) const {
  const auto found = std::find_if(tables_.begin(), tables_.end(), [&](const auto& t) { return t.key == key; });
  return found == tables_.end() ? nullptr : &*found;
}

std::vector<std::string> OptionSet::keys() const {
  std::vector<std::string> keys;
  for (const auto& entry : entries_) keys.push_back(entry.key);
  return keys;
}

std::string OptionSet::to_toml() const {
  // Keys outside tables come first, since a table lasts until the next one begins.
  std::vector<std::string_view> tables{""};
  for (const auto& entry : entries_) {
    const auto table = table_of(entry.key);
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.push_back(table);
  }
  std::string text;
  for (const auto table : tables) {
    if (!table.empty()) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", table);
    for (const auto& entry : entries_) {
      if (table_of(entry.key) != table) continue;
      const auto name = std::string_view(entry.key).substr(table.empty() ? 0 : table.size() + 1);
      text += fmt::format("# {}\n{} = {}\n", help_text(entry), name, toml_text(current_value(entry.target)));
    }
  }
  for (const auto& list : tables_) {
    for (const auto& [kind, keys] : list.all()) {
      text += fmt::format("\n[[{}]]\nkind = {}\n{}", list.key, toml_text(kind), keys.to_toml());
    }
  }
  return text;
}

std::string_view table_of(std::string_view key) {
  const auto dot = key.rfind('.');
  return dot == std::string_view::npos ? std::string_view{} : key.substr(0, dot);
}

std::string help_text(const OptionEntry& entry) {
  return entry.rule.text.empty() ? entry.help : fmt::format("{}; {}", entry.help, entry.rule.text);
}

}  // namespace pushforward
