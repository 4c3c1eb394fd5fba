#include <cli/config_file.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>

namespace pushforward::apps {

namespace {

template <class T>
std::vector<T> list_of(const toml::array& array) {
  std::vector<T> list;
  for (const auto& element : array) list.push_back(*element.value<T>());
  return list;
}

std::optional<OptionValue> value_of(const toml::node& node) {
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* integer = node.as_integer()) return Index{integer->get()};
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* array = node.as_array()) {
    const auto all = [&](auto holds) { return std::all_of(array->begin(), array->end(), holds); };
    if (all([](const auto& e) { return e.is_integer(); })) return list_of<Index>(*array);
    if (all([](const auto& e) { return e.is_number(); })) return list_of<double>(*array);
    if (all([](const auto& e) { return e.is_string(); })) return list_of<std::string>(*array);
  }
  return {};
}

std::string_view kind_of(const toml::node& node) {
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array of mixed types";
  return "a date or time";
}

class Reader {
 public:
  Reader(OptionSet& options, const std::string& path) : options_(options), path_(path), keys_(options.keys()) {}

  /// All keys of a table but `skipped`.
  void read_table(const toml::table& table, const std::string& prefix, std::string_view skipped = "") {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (key == skipped) continue;
      const bool known = std::find(keys_.begin(), keys_.end(), key) != keys_.end();
      if (const auto* tables = options_.tables(key)) {
        read_tables(*tables, node);
      } else if (const auto* inner = node.as_table(); inner != nullptr && !known) {
        require_table(key, node);
        read_table(*inner, key + '.');
      } else {
        read_value(key, node);
      }
    }
    options_.accept_printed(prefix.empty() ? prefix : prefix.substr(0, prefix.size() - 1));
  }

 private:
  // Calls f() and adds the place in the file to its errors.
  template <class F>
  auto at(const toml::node& node, F&& f) const {
    try {
      return f();
    } catch (const OptionError& error) {
      throw OptionError(fmt::format("{}: {}", place(node), error.what()));
    }
  }

  std::string place(const toml::node& node) const {
    return fmt::format("{}, line {}", path_, node.source().begin.line);
  }

  void read_tables(const OptionTables& tables, const toml::node& node) {
    const auto* array = node.as_array();
    const bool is_list = array != nullptr && std::all_of(array->begin(), array->end(),
                                                         [](const auto& element) { return element.is_table(); });
    require<OptionError>(is_list, "{}: {} must be a list of tables: [[{}]]", place(node), tables.key, tables.key);
    tables.clear();
    for (const auto& element : *array) {
      const auto& table = *element.as_table();
      const auto kind = table["kind"].value<std::string>();
      require<OptionError>(kind.has_value(), "{}: [[{}]] needs its kind, as text: kind = \"…\"", place(element),
                           tables.key);
      OptionSet keys = at(element, [&] { return tables.append(*kind); });
      Reader(keys, path_).read_table(table, "", "kind");
      keys.require_effect(place(element));
    }
  }

  // An empty table holds no key that would be reported as unknown.
  void require_table(const std::string& name, const toml::node& node) const {
    const bool has_keys = !node.as_table()->empty();
    const bool known =
        std::any_of(keys_.begin(), keys_.end(), [&](const auto& k) { return k.starts_with(name + '.'); });
    require<OptionError>(has_keys || known, "{}: unknown table [{}]", place(node), name);
  }

  void read_value(const std::string& key, const toml::node& node) {
    const auto& entry = options_.at(key, place(node));
    const auto value = value_of(node);
    require<OptionError>(value.has_value(), "{}: {}: must be {}, not {}", place(node), key, type_name(entry.target),
                         kind_of(node));
    options_.set(key, *value, place(node));
  }

  OptionSet& options_;
  const std::string& path_;
  std::vector<std::string> keys_;
};

// Tables are nested as deep as keys are long, and the parser's memory for nested calls has an end.
void require_short_keys(std::string_view text, const std::string& path) {
  constexpr Index most_parts = 1000;
  Index line = 1, parts = 1;
  for (const char c : text) {
    if (c == '\n') ++line;
    parts = c == '.' ? parts + 1 : std::string_view("\n=,[{").find(c) == std::string_view::npos ? parts : 1;
    require<OptionError>(parts <= most_parts, "{}, line {}: a key of more than {} parts", path, line, most_parts);
  }
}

}  // namespace

std::string read_text_file(const std::string& path) {
  const std::unique_ptr<std::FILE, decltype(&std::fclose)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  require<IoError>(file != nullptr, "cannot read {}: {}", path, std::strerror(errno));
  std::string text;
  std::array<char, 4096> part{};
  while (const auto count = std::fread(part.data(), 1, part.size(), file.get())) text.append(part.data(), count);
  require<IoError>(std::ferror(file.get()) == 0, "cannot read {}: {}", path, std::strerror(errno));
  return text;
}

void read_config(OptionSet& options, std::string_view text, const std::string& path) {
  require_short_keys(text, path);
  toml::table document;
  try {
    document = toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    throw OptionError(fmt::format("{}, line {}: {}", path, error.source().begin.line, error.description()));
  }
  Reader(options, path).read_table(document, "");
}

}  // namespace pushforward::apps
