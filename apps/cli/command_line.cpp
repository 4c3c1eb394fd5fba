#include <cli/command_line.hpp>

#include <pushforward/core/error.hpp>
#include <pushforward/core/text.hpp>

#include <algorithm>

namespace pushforward::apps {

namespace {

std::string flag_of(const OptionEntry& entry) {
  return "--" + entry.key;
}

// The kind of value as the help shows it.
std::string value_name(const OptionEntry& entry) {
  if (is_list(entry.target)) return "LIST";
  if (std::holds_alternative<bool*>(entry.target)) return "[BOOL]";
  if (std::holds_alternative<Index*>(entry.target)) return "INT";
  if (std::holds_alternative<double*>(entry.target)) return "NUMBER";
  return "TEXT";
}

bool is_long_flag(const std::string& argument) {
  return argument.size() > 2 && argument.starts_with("--");
}

std::vector<std::string> long_flags(const std::vector<const CLI::App*>& apps) {
  std::vector<std::string> flags;
  for (const auto* app : apps) {
    for (const auto* option : app->get_options()) {
      for (const auto& name : option->get_lnames()) flags.push_back("--" + name);
    }
  }
  return flags;
}

const CLI::Option* find_option(const std::vector<const CLI::App*>& apps, const std::string& flag) {
  for (const auto* app : apps) {
    if (const auto* option = app->get_option_no_throw(flag)) return option;
  }
  return nullptr;
}

// The command that the arguments call, or none. Throws for a word in its place that is no command.
const CLI::App* called_command(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<std::string> names;
  for (const auto* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (names.empty()) return nullptr;
  const auto first =
      std::find_if(arguments.begin(), arguments.end(), [](const auto& a) { return !a.starts_with('-'); });
  if (first == arguments.end()) return nullptr;
  require<OptionError>(std::find(names.begin(), names.end(), *first) != names.end(),
                       "unknown command {}{}; the commands are {}", *first, suggestion(*first, names), join(names));
  return app.get_subcommand(*first);
}

}  // namespace

OptionFlags::OptionFlags(OptionSet& options, CLI::App& app, const std::string& config_names)
    : options_(options), app_(app) {
  app.add_option(config_names, config_path_, "configuration file (TOML); flags override it")->type_name("FILE");
  app.add_flag("--print-config", print_config_, "print the resolved configuration as TOML and stop");
  app.add_flag("--dry-run", dry_run_, "check everything, write nothing");
  for (const auto& entry : options.entries()) add_flag(entry);
}

void OptionFlags::add_flag(const OptionEntry& entry) {
  std::string names = flag_of(entry);
  for (const auto& alias : entry.aliases) names += ',' + alias;
  const auto record = [this, key = entry.key](const std::vector<std::string>& texts) {
    given_.emplace_back(key, join(texts, ","));
    return true;
  };
  // A list's flag may be repeated, each time with one or more elements; of any other the last one counts.
  auto* option = app_.add_option(names, record, help_text(entry));
  option->type_name(value_name(entry))->default_str(flag_text(entry.default_value));
  option->multi_option_policy(is_list(entry.target) ? CLI::MultiOptionPolicy::TakeAll
                                                    : CLI::MultiOptionPolicy::TakeLast);
  const auto table = table_of(entry.key);
  if (!table.empty()) option->group(std::string(table));
}

void OptionFlags::apply() {
  for (const auto& [key, text] : given_) options_.set_text(key, text, "flag --" + key);
}

bool OptionFlags::is_switch(const std::string& flag) const {
  const auto& entries = options_.entries();
  return std::any_of(entries.begin(), entries.end(), [&](const auto& entry) {
    const bool named =
        flag == flag_of(entry) || std::find(entry.aliases.begin(), entry.aliases.end(), flag) != entry.aliases.end();
    return named && std::holds_alternative<bool*>(entry.target);
  });
}

void check_arguments(const CLI::App& app, const std::vector<std::string>& arguments) {
  std::vector<const CLI::App*> apps{&app};
  if (const auto* command = called_command(app, arguments)) apps.push_back(command);
  std::string waiting;  // the flag whose value comes next
  for (const auto& argument : arguments) {
    if (argument == "--") break;
    if (!is_long_flag(argument)) {
      waiting.clear();
      continue;
    }
    const auto equals = argument.find('=');
    const std::string flag = argument.substr(0, equals);
    const auto* option = find_option(apps, flag);
    require<OptionError>(option != nullptr, "unknown flag {}{}", flag, suggestion(flag, long_flags(apps)));
    require<OptionError>(waiting.empty(), "flag {} needs a value, but {} follows", waiting, argument);
    if (equals == std::string::npos && option->get_items_expected_min() > 0) waiting = flag;
  }
}

}  // namespace pushforward::apps
