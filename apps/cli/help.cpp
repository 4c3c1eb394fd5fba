#include <cli/help.hpp>

#include <fmt/format.h>

#include <sstream>
#include <string_view>

namespace pushforward::apps {

namespace {

constexpr std::size_t left_width = 36;
constexpr std::size_t full_width = 100;

std::string two_columns(const std::string& left, const std::string& right) {
  std::string out;
  std::string line = fmt::format("  {:<{}}", left, left_width - 2);
  if (line.size() > left_width || line.back() != ' ') {
    out += fmt::format("  {}\n", left);
    line = std::string(left_width, ' ');
  }
  std::istringstream words(right);
  for (std::string word; words >> word;) {
    if (line.size() + 1 + word.size() > full_width) {
      out += line + '\n';
      line = std::string(left_width, ' ');
    }
    if (line.back() != ' ') line += ' ';
    line += word;
  }
  return out + line + '\n';
}

}  // namespace

std::string HelpFormatter::make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const {
  return CLI::detail::find_and_replace(Formatter::make_help(app, std::move(name), mode), "\n\n\n", "\n\n");
}

std::string HelpFormatter::make_option(const CLI::Option* option, bool is_positional) const {
  std::string left = make_option_name(option, is_positional);
  if (!is_positional && option->get_type_size() != 0) left += ' ' + option->get_type_name();
  std::string right = option->get_description();
  if (option->get_required()) right += " (required)";
  if (!option->get_default_str().empty()) right += fmt::format(" [{}]", option->get_default_str());
  return two_columns(left, right);
}

std::string HelpFormatter::make_subcommand(const CLI::App* command) const {
  return two_columns(command->get_name(), command->get_description());
}

}  // namespace pushforward::apps
